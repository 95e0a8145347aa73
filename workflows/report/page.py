"""What the pages of all reports share: style sheet, formulas and symbols in HTML, the environment of templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def style() -> Markup:
    """Return the style sheet of a page."""
    from markupsafe import Markup

    return Markup(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))


def chem(text: str) -> Markup:
    """Return formulas and reactions with the numbers in formulas as subscripts."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[A-Za-z)])(\d+)", r"<sub>\1</sub>", str(escape(text))))


_SYMBOLS = {
    "k_BTc": "k<sub>B</sub>T<sub>c</sub>",
    "Tc": "T<sub>c</sub>",
    "Hc": "H<sub>c</sub>",
    "ω_log": "ω<sub>log</sub>",
    "γ_qν": "γ<sub>qν</sub>",
    "λ_qν": "λ<sub>qν</sub>",
}


_SYMBOL = re.compile("|".join(_SYMBOLS))


def symbols(text: str) -> Markup:
    """Return a text with the indices of the usual symbols of superconductivity as subscripts."""
    from markupsafe import Markup, escape

    return Markup(_SYMBOL.sub(lambda found: _SYMBOLS[found[0]], str(escape(text))))
