"""Whether a table that claims to be α²F looks like one, or like another spectrum that people have in such files."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.spectral import SpectralFunction

Array = NDArray[np.float64]
LARGEST_LAMBDA = 20.0
"""No λ of a crystal that is stable comes near it: the largest published ones, of hydrides, are about 6."""
MODES, ROUNDING = 12, 0.015
"""Most modes, and the precision of ∫ dω, for which a table counts as a density of states normalised to them."""
SOFT, MOST_SOFT = 0.05, 0.5
"""Share of λ that may come from frequencies below that share of the highest one."""
_ALPHA2F = re.compile(r"(?:a|alpha|α)_?(?:2|²)_?f", re.IGNORECASE)
_NAMES = (
    (re.compile(r"ph(?:onon)?[._-]?dos|total_dos|(?:^|[._-])p?dos(?:[._-]|$)", re.IGNORECASE), "a density of states"),
    (
        re.compile(
            r"(?:^|[._-])freq(?:uenc(?:y|ies))?(?:[._-]|$)|\.gp$|(?:^|[._-])bands?(?:[._-]|$)|phdisp", re.IGNORECASE
        ),
        "phonon bands",
    ),
)


def other_spectrum(omega: Array, value: Array, spectrum: SpectralFunction, name: str, column: str | None) -> str | None:
    """Return in words what a table looks like if it is not α²F, and why; None where nothing speaks against α²F.

    omega: frequencies as the file has them, shape (n,); value: the second column, shape (n,). name: of the file;
    column: of that second column where it is named as something else.
    """
    if column is not None:
        return f"its column is named {column!r}: a density of states or bands"
    by_name = None if _ALPHA2F.search(name) else next((what for each, what in _NAMES if each.search(name)), None)
    if by_name is not None:
        return f"by its name it is {by_name}"
    modes = float(np.sum((value[1:] + value[:-1]) * np.diff(omega)) / 2)
    whole = round(modes / 3) * 3
    if (3 <= whole <= MODES and abs(modes - whole) <= ROUNDING) or abs(modes - 1) <= ROUNDING / 3:
        return f"its integral over ω is {modes:.3f}, the number of modes: a phonon density of states is normalised so"
    if spectrum.lambda_ > LARGEST_LAMBDA:
        return f"λ would be {spectrum.lambda_:.3g}, which no metal has: bands, a density of states, or other columns"
    soft = float(spectrum.mode_lambda[spectrum.omega_meV < SOFT * spectrum.omega_max_meV].sum()) / spectrum.lambda_
    if soft > MOST_SOFT:
        return f"{soft:.0%} of λ would come from below {SOFT:.0%} of the highest frequency: α²F falls as ω² there"
    return None
