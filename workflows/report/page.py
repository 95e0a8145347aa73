"""What the pages of all reports share: style sheet, formulas and symbols in HTML, the environment of templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from megabar.workflows.report.values import measured

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def templates(folder: Path) -> Environment:
    """Return the environment of a folder's templates: what a template names must be there, and is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"chem": chem, "measured": measured, "symbols": symbols}
    return environment


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
