"""What a table of α²F must be before anything is computed from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
AT_ZERO = 0.02
"""Share of the maximum of α²F that it may have, by straight extrapolation, at ω = 0."""
NEGATIVE = 0.01
"""Share of λ that negative values may carry before a table is refused."""
LOBES = 0.10
"""The same for tables broadened with Methfessel-Paxton functions, whose sides are negative."""
HIGHEST_meV, LOWEST_meV = 550.0, 2.0
"""No phonon is faster than the vibron of H₂ (4161 cm⁻¹ = 516 meV; NIST WebBook); caesium's go up to 6 meV."""
ROUNDING = 1e-6
"""Share of the highest frequency by which the first one may lie below 0: the rounding of the code that wrote it."""
END = 0.05
"""Share of its maximum that α²F may have at the last frequency before the table is called cut off."""
LAMBDA_DIGITS = 0.01
"""Relative difference between λ as integrated and λ as a file states it beyond which the file is refused."""


def check_columns(omega_meV: Array, alpha2f: Array, source: str) -> None:
    """Raise InputError unless frequencies are numbers from 0 up, increasing, with a number α²F each."""
    if omega_meV.ndim != 1 or omega_meV.shape != alpha2f.shape:
        raise InputError(f"{source}: {omega_meV.size} frequencies and {alpha2f.size} values of α²F; they go in pairs")
    if omega_meV.size < 3:
        raise InputError(f"{source}: only {omega_meV.size} rows of numbers; a table of α²F has at least three")
    bad = np.flatnonzero(~(np.isfinite(omega_meV) & np.isfinite(alpha2f)))
    if bad.size:
        raise InputError(f"{source}: row {bad[0] + 1} holds nan or infinity; the calculation that wrote it failed")
    if omega_meV.min() < -ROUNDING * omega_meV.max():
        raise InputError(
            f"{source}: row {int(np.argmin(omega_meV)) + 1} has the frequency {omega_meV.min():.4g} meV; frequencies "
            "begin at 0 (negative ones stand for imaginary modes: the structure is unstable there)"
        )
    falls = np.flatnonzero(np.diff(omega_meV) <= 0)
    if falls.size:
        row = int(falls[0])
        raise InputError(
            f"{source}: the frequency {omega_meV[row + 1]:.6g} meV in row {row + 2} is not above the one before "
            f"({omega_meV[row]:.6g} meV); frequencies must increase"
        )


def check_scale(highest_meV: float, source: str, unit: str) -> None:
    """Raise InputError where the highest frequency cannot be one of a phonon, so that the unit must be wrong."""
    from megabar.analysis.superconductivity.units import MEV_PER

    if LOWEST_meV <= highest_meV <= HIGHEST_meV:
        return
    value = highest_meV / MEV_PER[unit]
    others = [name for name, factor in MEV_PER.items() if 4 <= value * factor <= HIGHEST_meV]
    would = f"it would be one in {', '.join(others)}" if others else "it would be none in any unit known here"
    converted = "" if unit == "meV" else f" = {highest_meV:.4g} meV"
    raise InputError(
        f"{source}: α²F reaches up to {value:.4g} {unit}{converted}, which is no phonon "
        f"({LOWEST_meV:g}-{HIGHEST_meV:g} meV); {would}: name the right unit"
    )


def check_at_zero(omega_meV: Array, alpha2f: Array, source: str) -> None:
    """Raise InputError where α²F does not vanish at ω = 0: λ would be infinite.

    A table that begins above 0 is continued to 0 along its first two points.
    """
    slope = (alpha2f[1] - alpha2f[0]) / (omega_meV[1] - omega_meV[0])
    at_zero = alpha2f[0] - slope * omega_meV[0]
    top = float(np.max(alpha2f))
    if at_zero > AT_ZERO * top and alpha2f[0] > AT_ZERO * top:
        raise InputError(
            f"{source}: α²F is {alpha2f[0]:.4g} at {omega_meV[0]:.4g} meV and does not go to 0 there (its maximum is "
            f"{top:.4g}); α²F must vanish at ω = 0, or λ = 2∫α²F/ω dω has no value"
        )


def without_negative(
    omega_meV: Array, alpha2f: Array, weight_meV: Array, source: str, most: float = NEGATIVE
) -> tuple[Array, tuple[str, ...]]:
    """Return α²F with small negative values set to 0 and the rest scaled so that λ stays, and a sentence that says so.

    most: the share of λ that they may carry. Raises InputError where they carry more, or where nothing is left.
    """
    clean: Array = np.maximum(alpha2f, 0.0)
    if clean.max() == 0:
        raise InputError(f"{source}: α²F is nowhere above 0; an insulator, or a calculation that failed, has no Tc")
    share = 2 * weight_meV / omega_meV
    signed, kept = float(np.sum(share * alpha2f)), float(np.sum(share * clean))
    if kept - signed > most * kept:
        raise InputError(
            f"{source}: α²F is negative down to {alpha2f.min():.3g}, which takes {kept - signed:.3g} from λ; "
            "α²F is a sum of squares: use a finer grid or the direct sum over q-points instead of the interpolation"
        )
    if kept - signed <= 1e-6 * kept:
        return clean, ()
    said = (
        f"negative values of α²F (down to {alpha2f.min():.2g}, {1 - signed / kept:.1%} of λ) were set to 0 and the "
        "rest scaled so that λ stays what it is"
    )
    return clean * (signed / kept), (said,)


def check_lambda(integrated: float, stated: float, source: str, *, resolution: float = 0.0) -> None:
    """Raise InputError where 2∫α²F/ω dω differs from the λ that the file states.

    resolution: absolute error of either from the digits or the grid of the file, allowed besides a hundredth.
    """
    if not abs(integrated - stated) <= LAMBDA_DIGITS * abs(stated) + resolution:
        raise InputError(
            f"{source}: 2∫α²F/ω dω is {integrated:.4g}, but the file says λ = {stated:.4g}; "
            "the table is cut, damaged, or of another kind than taken for: nothing is computed from it"
        )
