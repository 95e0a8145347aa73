"""What other programs mean by a number μ*: the energy that they refer it to, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np

from megabar.analysis.superconductivity.spectral import SpectralFunction
from megabar.structures.errors import InputError


@dataclass(frozen=True)
class Convention:
    """A way to refer μ* to an energy, or to cut its sum over Matsubara frequencies off at one.

    rule: in words; source: where it stands. reference_meV: the energy (meV) for a spectrum and a μ*; of a cut-off, that
    which gives the same Tc.
    """

    name: str
    rule: str
    source: str
    reference_meV: Callable[[SpectralFunction, float], float]


Reference = float | Convention | None
"""The energy (meV) that μ* is referred to, how others choose it, or None for the highest frequency."""


def _highest(spectrum: SpectralFunction, mu_star: float) -> float:
    return spectrum.omega_max_meV


def _cut_at(energy_meV: float, more: float, spectrum: SpectralFunction, mu_star: float) -> float:
    """Return the energy that gives the Tc of a repulsion that is summed up to ω_n = energy, and so many more ω_n."""
    from megabar.analysis.superconductivity.eliashberg.cutoff import reference_of_cutoff
    from megabar.analysis.superconductivity.eliashberg.kernel import modes_of

    found = reference_of_cutoff(modes_of(spectrum), mu_star, lambda t: energy_meV / (2 * pi * t) + more)
    return energy_meV if found is None else found


def _elk(spectrum: SpectralFunction, mu_star: float) -> float:
    """Elk: n = 0 to nint(2ω̄₂/2πT), one more than 2ω̄₂ takes."""
    return _cut_at(2 * spectrum.omega_2_meV, 1.0, spectrum, mu_star)


def _epw(spectrum: SpectralFunction, mu_star: float) -> float:
    """EPW: ten times the end of its grid of frequencies: of the table, or 1.1 times the highest mode."""
    end = float(spectrum.omega_meV[-1]) * (1.1 if spectrum.discrete else 1.0)
    return _cut_at(10 * end, 0.0, spectrum, mu_star)


def _ten(spectrum: SpectralFunction, mu_star: float) -> float:
    return _cut_at(10 * spectrum.omega_max_meV, 0.0, spectrum, mu_star)


def _isome(spectrum: SpectralFunction, mu_star: float) -> float:
    """The highest frequency at which α²F is above 0.01; of peaks, the highest one."""
    if spectrum.discrete:
        return spectrum.omega_max_meV
    above = np.flatnonzero(spectrum.alpha2f > 0.01)
    return float(spectrum.omega_meV[above[-1]]) if above.size else spectrum.omega_max_meV


CONVENTIONS: dict[str, Convention] = {
    each.name: each
    for each in (
        Convention("omega-max", "the highest frequency of α²F, the default here", "", _highest),
        Convention(
            "elk", "a sum over n up to nint(2ω̄₂/2πk_BT)", "eliashberg.f90 of Elk 8.4 (older versions: ω̄₂)", _elk
        ),
        Convention(
            "epw",
            "a cut-off at 10 times the end of the grid of frequencies",
            "epw_readin.f90 and eliashberg_setup.f90 of EPW 4 to 5: wscut = 0 stands for 10 wsphmax",
            _epw,
        ),
        Convention("isome", "the highest frequency with α²F > 0.01", "ReadIn.jl of IsoME 1.0: muc_AD", _isome),
        Convention("10-omega-max", "a cut-off at 10 times the highest frequency", "stated in many papers", _ten),
    )
}
"""The registry: what `--mu-star-convention` can be."""


def convention_named(name: str) -> Convention:
    """Return the convention of a name, in any case; InputError if there is none."""
    found = CONVENTIONS.get(name.strip().lower())
    if found is None:
        raise InputError(f"--mu-star-convention is {name!r}; it can be {', '.join(CONVENTIONS)}, or give --mu-ref-mev")
    return found


def reference_asked(mu_ref_meV: float | None, convention: str | None) -> Reference:
    """Return the energy or the convention that is asked for; InputError where both are."""
    if convention is None:
        return mu_ref_meV
    if mu_ref_meV is not None:
        raise InputError("--mu-ref-mev and --mu-star-convention both say what μ* is referred to: give one of them")
    return convention_named(convention)
