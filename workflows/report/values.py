"""Numbers, times and settings as a report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, isfinite, log10
from typing import Any


def measured(value: float | None, error: float | None = None, decimals: int = 1) -> str:
    """Return a number with its standard uncertainty, rounded to what that deserves: ``154.2 ± 1.3``."""
    if value is None or not isfinite(value):
        return "–"
    if error is None or not isfinite(error) or error <= 0:
        return _plain(value, decimals)
    digits = max(0, min(4, (1 if error < 3 * 10 ** floor(log10(error)) else 0) - floor(log10(error))))
    if error < 0.5 * 10**-4:
        return f"{value:.4f} ± <0.0001"
    return f"{_plain(value, digits)} ± {error:.{digits}f}"


def _plain(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as one table of names and texts: ``scf: steps``."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}: ")
        elif value is not None and value != "":
            found[prefix + name] = _text(value)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        separator = " × " if len(value) == 3 and all(isinstance(each, int) for each in value) else ", "
        return separator.join(_text(each) for each in value)
    return str(value)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: ``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
