"""What every reader returns: the spectral functions of a file, which one is meant, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.checks import NEGATIVE, ROUNDING
from megabar.analysis.superconductivity.spectral import SpectralFunction, tabulated
from megabar.analysis.superconductivity.units import MEV_PER, unit_named
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from megabar.analysis.superconductivity.elph import ElectronPhonon

Array = NDArray[np.float64]
NO_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class Variant:
    """One spectral function of several in a file. smearing_Ry: of the double delta over the Fermi surface, if so."""

    label: str
    spectrum: SpectralFunction
    smearing_Ry: float | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """What a file holds.

    chosen: the place of the variant that is meant where one is asked for; why: the reason; around: the places of the
    variants that tell what this choice is worth. details: further values for the JSON document. mu_ref_meV: the energy
    that μ* is referred to where none is asked for; ω_max of the spectrum where that is None. coupling: the q-points and
    their modes, where the spectra are of per-q files.
    """

    path: str
    code: str
    variants: tuple[Variant, ...]
    chosen: int = 0
    why: str = ""
    notes: tuple[str, ...] = ()
    around: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    mu_ref_meV: float | None = None
    coupling: ElectronPhonon | None = None

    @property
    def spectrum(self) -> SpectralFunction:
        """The spectral function that is meant where one is asked for."""
        return self.variants[self.chosen].spectrum


def own_unit(path: str, code: str, unit: str, asked: str | None) -> str:
    """Return the unit of a code's files; InputError where another one is asked for."""
    if asked is not None and unit_named(asked) != unit:
        raise InputError(
            f"{path}: this is a file of {code}, whose frequencies are in {unit}, not in {unit_named(asked)}"
        )
    return unit


def of_stable_modes(
    omega: ArrayLike, alpha2f: ArrayLike, source: str, unit: str
) -> tuple[Array, Array, tuple[str, ...]]:
    """Return the part of a table above ω = 0, and sentences on imaginary modes (written as negative frequencies).

    For the files of codes that write α²F from the lowest, perhaps negative, frequency on.
    """
    frequency, value = np.asarray(omega, float), np.asarray(alpha2f, float)
    if not (np.all(np.isfinite(frequency)) and np.all(np.isfinite(value))):
        raise InputError(f"{source}: it holds nan or infinity; the calculation that wrote it failed")
    below = frequency < -ROUNDING * np.max(frequency)
    if not below.any() or below.sum() > len(frequency) - 3:
        return frequency, value, ()
    step = np.gradient(frequency)
    would_be = 2 * float(np.sum((step * value / np.abs(frequency))[below]))
    real = frequency > 0
    kept = 2 * float(np.sum(step[real] * value[real] / frequency[real]))
    if would_be <= NO_SHARE * kept:
        return frequency[~below], value[~below], ()
    lowest = float(frequency[below & (value > 0)][0]) * MEV_PER[unit] if (below & (value > 0)).any() else 0.0
    said = (
        f"imaginary modes, down to {lowest:.4g} meV, are left out: they would have carried λ = {would_be:.3g} "
        f"beside the {kept:.3g} of the real ones; the structure is unstable, or the interpolation in q is at fault"
    )
    return frequency[~below], value[~below], (said,)


def variant(
    omega: ArrayLike,
    alpha2f: ArrayLike,
    source: str,
    label: str,
    unit: str,
    *,
    smearing_Ry: float | None = None,
    dos_per_eV: float | None = None,
    notes: tuple[str, ...] = (),
    most_negative: float = NEGATIVE,
) -> Variant:
    """Return a variant of a table of numbers in a unit; see `tabulated` for what it must be."""
    spectrum = tabulated(
        omega, alpha2f, source, unit=unit, dos_per_eV=dos_per_eV, notes=notes, most_negative=most_negative
    )
    return Variant(label, spectrum, smearing_Ry)
