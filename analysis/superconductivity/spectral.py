"""The Eliashberg spectral function α²F(ω), from whatever code it comes: one type for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.checks import (
    END,
    NEGATIVE,
    check_at_zero,
    check_columns,
    check_scale,
    without_negative,
)
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
BROADENING = 0.015
"""Width of the Gaussians that a sum of peaks is drawn with, in units of its highest frequency."""
VISIBLE = 1e-3
"""Share of the maximum of α²F below which a tail does not count towards ω_max."""


@dataclass(frozen=True, eq=False)
class SpectralFunction:
    """α²F(ω) with the weights that make integrals over it sums: ∫ f(ω) α²F(ω) dω = Σᵢ wᵢ f(ωᵢ) α²Fᵢ.

    omega_meV: frequencies (meV), increasing, above 0, shape (n,). alpha2f: dimensionless, not negative, shape (n,).
    weight_meV: weights (meV), shape (n,): of the trapezium rule for a smooth function, 1 meV for peaks, so that
    `area_meV` is the weight of each δ(ω − ωᵢ). source: file or calculation. unit: of the frequencies there.
    discrete: true for a sum of peaks (modes), which has no values between them. dos_per_eV: N(E_F) per spin, eV and
    cell where known. notes: sentences on what a reader noticed. shares: by species, the share of each point that is
    motion of its atoms, shape (n,), together 1; empty where the eigenvectors are not known. sigma: standard errors of
    α²F where they are known, shape (n,).
    Made by `tabulated` and `from_modes`, which check what they are given.
    """

    omega_meV: Array
    alpha2f: Array
    weight_meV: Array
    source: str
    unit: str = "meV"
    discrete: bool = False
    dos_per_eV: float | None = None
    notes: tuple[str, ...] = ()
    shares: Mapping[str, Array] = field(default_factory=dict)
    sigma: Array | None = None

    @property
    def area_meV(self) -> Array:
        """∫α²F dω carried by each point (meV), shape (n,)."""
        return self.weight_meV * self.alpha2f

    @property
    def mode_lambda(self) -> Array:
        """λ carried by each point, 2 wᵢ α²Fᵢ/ωᵢ, shape (n,): the spectrum as Einstein modes (ωᵢ, λᵢ)."""
        return 2 * self.area_meV / self.omega_meV

    def integral(self, function: Callable[[Array], Array]) -> float:
        """Return ∫ f(ω) α²F(ω) dω of a function of ω (meV)."""
        return float(np.sum(self.area_meV * function(self.omega_meV)))

    @property
    def lambda_(self) -> float:
        """λ = 2 ∫ α²F/ω dω."""
        return float(np.sum(self.mode_lambda))

    @property
    def omega_log_meV(self) -> float:
        """ω_log = exp[(2/λ) ∫ ln ω α²F/ω dω] (meV): Allen & Dynes, Phys. Rev. B 12, 905 (1975)."""
        return float(np.exp(np.sum(self.mode_lambda * np.log(self.omega_meV)) / self.lambda_))

    @property
    def omega_2_meV(self) -> float:
        """ω̄₂ = [(2/λ) ∫ ω α²F dω]^½ (meV): Allen & Dynes, Phys. Rev. B 12, 905 (1975)."""
        return float(np.sqrt(np.sum(self.mode_lambda * self.omega_meV**2) / self.lambda_))

    @property
    def omega_max_meV(self) -> float:
        """Highest frequency (meV) at which α²F is above a thousandth of its maximum; of peaks, the highest one."""
        least = 0.0 if self.discrete else VISIBLE * float(np.max(self.alpha2f))
        return float(self.omega_meV[np.flatnonzero(self.alpha2f > least)[-1]])

    @property
    def cumulative_lambda(self) -> Array:
        """λ(ω) = 2 ∫₀^ω α²F/ω′ dω′ at each frequency, shape (n,); its last value is λ."""
        return np.cumsum(self.mode_lambda)


def tabulated(
    omega: ArrayLike,
    alpha2f: ArrayLike,
    source: str,
    *,
    unit: str = "meV",
    dos_per_eV: float | None = None,
    notes: tuple[str, ...] = (),
    most_negative: float = NEGATIVE,
) -> SpectralFunction:
    """Return a smooth α²F(ω) from a table, integrated by the trapezium rule, beginning with 0 at ω = 0.

    omega: frequencies in the unit named, increasing, from 0 or above, shape (n,). alpha2f: dimensionless, shape (n,).
    most_negative: share of λ that negative values may carry.
    Raises InputError for frequencies that are negative, decreasing or no phonon's, for an α²F that does not vanish at
    0, is negative beyond rounding or 0 everywhere, and for nan.
    """
    from megabar.analysis.superconductivity.units import MEV_PER

    frequency, value = np.asarray(omega, float) * MEV_PER[unit], np.asarray(alpha2f, float)
    check_columns(frequency, value, source)
    check_at_zero(frequency, value, source)
    above = frequency > 0
    frequency, value = frequency[above], value[above]
    weight = trapezium_weights(frequency)
    value, said = without_negative(frequency, value, weight, source, most_negative)
    if value[-1] > END * value.max():
        said += (
            f"α²F is still {value[-1]:.2g} at the last frequency ({frequency[-1]:.4g} meV): is the table cut off?",
        )
    spectrum = SpectralFunction(frequency, value, weight, source, unit, False, dos_per_eV, (*notes, *said))
    check_scale(spectrum.omega_max_meV, source, unit)
    return spectrum


def from_modes(
    omega_meV: ArrayLike,
    lambdas: ArrayLike,
    source: str,
    *,
    unit: str = "meV",
    dos_per_eV: float | None = None,
    notes: tuple[str, ...] = (),
    shares: Mapping[str, ArrayLike] | None = None,
) -> SpectralFunction:
    """Return α²F(ω) = ½ Σᵢ λᵢ ωᵢ δ(ω − ωᵢ) of modes in any order; modes of equal frequency become one peak.

    omega_meV: frequencies (meV), above 0, shape (n,). lambdas: λ of each, not negative, shape (n,).
    shares: by species, the weight of its atoms in the eigenvector of each mode, shape (n,).
    Raises InputError where that does not hold or where there is no coupling at all.
    """
    omega, coupling = np.atleast_1d(np.asarray(omega_meV, float)), np.atleast_1d(np.asarray(lambdas, float))
    if omega.shape != coupling.shape or omega.ndim != 1 or not omega.size:
        raise InputError(f"{source}: {omega.size} frequencies and {coupling.size} couplings; each mode has one of each")
    if not (np.all(np.isfinite(omega)) and np.all(np.isfinite(coupling))):
        raise InputError(f"{source}: a frequency or a λ of a mode is not a number")
    if omega.min() <= 0:
        raise InputError(f"{source}: a mode has the frequency {omega.min():g} meV; only modes above 0 have an α²F")
    if coupling.min() < 0:
        raise InputError(f"{source}: a mode has λ = {coupling.min():g}; λ of a mode is not negative")
    if coupling.max() == 0:
        raise InputError(f"{source}: λ is 0 in every mode; there is nothing that pairs electrons")
    peaks, place = np.unique(omega, return_inverse=True)
    area = np.bincount(place, weights=coupling * omega / 2).astype(float)
    parts = {
        species: _merged(np.asarray(each, float), coupling * omega / 2, place)
        for species, each in (shares or {}).items()
    }
    return SpectralFunction(peaks, area, np.ones_like(peaks), source, unit, True, dos_per_eV, notes, parts)


def _merged(share: Array, area: Array, place: NDArray[np.intp]) -> Array:
    """Return the share of each peak: the mean over its modes, by area, or the plain one where none has an area."""
    total, count = np.bincount(place, weights=area), np.bincount(place)
    plain = np.bincount(place, weights=share) / count
    weighted = np.bincount(place, weights=share * area)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), plain)


def drawn_width_meV(spectrum: SpectralFunction) -> float:
    """Return the width (meV) of the Gaussians that the peaks of a spectrum are drawn with."""
    return BROADENING * spectrum.omega_max_meV


def broadened(spectrum: SpectralFunction, width_meV: float, points: int = 500) -> SpectralFunction:
    """Return a sum of peaks as a smooth function, for the eye: each λᵢ spread as ½λᵢω g(ω − ωᵢ), g a Gaussian.

    Written with ω, not ωᵢ, in front, it vanishes at ω = 0 and keeps λ of every peak that is several widths above 0.
    width_meV: standard deviation of the Gaussian. A smooth spectrum is returned as it is.
    """
    if not spectrum.discrete:
        return spectrum
    top = float(spectrum.omega_meV[-1]) + 6 * width_meV
    omega = np.linspace(top / points, top, points)
    gauss = np.exp(-(((omega[:, None] - spectrum.omega_meV) / width_meV) ** 2) / 2) / (width_meV * np.sqrt(2 * np.pi))
    each = 0.5 * omega[:, None] * gauss * spectrum.mode_lambda
    alpha2f = each.sum(axis=1)
    safe = np.where(alpha2f > 0, alpha2f, 1.0)
    shares = {species: (each @ share) / safe for species, share in spectrum.shares.items()}
    return replace(
        spectrum,
        omega_meV=omega,
        alpha2f=alpha2f,
        weight_meV=trapezium_weights(omega),
        discrete=False,
        shares=shares,
    )


def scale_frequencies(spectrum: SpectralFunction, factor: float) -> SpectralFunction:
    """Return the spectrum with every frequency times a factor and λ kept: α²F(ω) → α²F(ω/factor).

    A factor √(M/M′) is the isotope effect of one common mass M → M′: harmonic force constants and matrix elements
    stay what they are.
    """
    omega = spectrum.omega_meV * factor
    if spectrum.discrete:  # a peak keeps its weight of 1 meV and grows in area
        return replace(spectrum, omega_meV=omega, alpha2f=spectrum.alpha2f * factor)
    return replace(spectrum, omega_meV=omega, weight_meV=spectrum.weight_meV * factor)


def scale_coupling(spectrum: SpectralFunction, factor: float) -> SpectralFunction:
    """Return the spectrum with α²F, and so λ, times a factor."""
    sigma = None if spectrum.sigma is None else spectrum.sigma * abs(factor)
    return replace(spectrum, alpha2f=spectrum.alpha2f * factor, sigma=sigma)


def trapezium_weights(omega_meV: Array) -> Array:
    """Return weights (meV) of the trapezium rule from 0 through the given frequencies, for a function that is 0 at 0.

    omega_meV: increasing, above 0, shape (n,). The panel between 0 and the first frequency is part of the integral.
    """
    edges = np.concatenate([[0.0], omega_meV, omega_meV[-1:]])
    weights: Array = (edges[2:] - edges[:-2]) / 2
    return weights
