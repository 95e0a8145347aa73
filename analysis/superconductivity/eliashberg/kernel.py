"""What α²F is to the Eliashberg equations: Einstein modes (ωᵢ, λᵢ) and the pairing kernel λ(l) that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Spectrum(Protocol):
    """What is needed of an α²F: `analysis.superconductivity.spectral.SpectralFunction` has it."""

    @property
    def omega_meV(self) -> Array:
        """Frequencies (meV), above 0, increasing, shape (n,)."""
        ...

    @property
    def alpha2f(self) -> Array:
        """α²F at the frequencies, shape (n,); used between them where the spectrum is not discrete."""
        ...

    @property
    def mode_lambda(self) -> Array:
        """λ carried by each frequency, shape (n,)."""
        ...

    @property
    def omega_max_meV(self) -> float:
        """Highest frequency (meV), the default reference of μ*."""
        ...

    @property
    def shares(self) -> Mapping[str, Array]:
        """By species, its share of each frequency's motion, shape (n,); empty where it is not known."""
        ...

    @property
    def discrete(self) -> bool:
        """True where the frequencies are those of peaks, with nothing between them."""
        ...


@dataclass(frozen=True, eq=False)
class Modes:
    """Einstein modes: frequencies ωᵢ (meV) and couplings λᵢ, both of shape (n,), only those with λᵢ > 0."""

    omega_meV: Array
    coupling: Array

    @property
    def lambda_(self) -> float:
        """λ = Σ λᵢ."""
        return float(np.sum(self.coupling))

    @property
    def omega_log_meV(self) -> float:
        """ω_log (meV)."""
        return float(np.exp(self.coupling @ np.log(self.omega_meV) / self.lambda_))

    @property
    def omega_2_meV(self) -> float:
        """ω̄₂ (meV)."""
        return float(np.sqrt(self.coupling @ self.omega_meV**2 / self.lambda_))

    @property
    def scale_meV(self) -> float:
        """The energy (meV) beyond which nothing is left to pair: ω_max, or √λ ω̄₂ at very strong coupling."""
        return max(float(np.max(self.omega_meV)), float(np.sqrt(self.lambda_)) * self.omega_2_meV)


def modes_of(spectrum: Spectrum) -> Modes:
    """Return the Einstein modes of a spectrum, those without coupling left out."""
    coupled = spectrum.mode_lambda > 0
    return Modes(spectrum.omega_meV[coupled], spectrum.mode_lambda[coupled])


def kernel(modes: Modes, temperature_meV: float, difference: ArrayLike) -> Array:
    """Return λ(l) = Σᵢ λᵢ ωᵢ²/(ωᵢ² + (2πTl)²) = ∫ 2ω α²F/(ω² + (2πTl)²) dω, shape of l.

    difference: l, a difference of Matsubara indices, real. Allen & Dynes, Phys. Rev. B 12, 905 (1975)
    """
    return mode_kernels(modes, temperature_meV, difference) @ modes.coupling


def mode_kernels(modes: Modes, temperature_meV: float, difference: ArrayLike) -> Array:
    """Return ωᵢ²/(ωᵢ² + (2πTl)²) of each mode, shape (*l.shape, n)."""
    scaled = 2 * np.pi * temperature_meV / modes.omega_meV
    values: Array = 1 / (1 + (np.asarray(difference, float)[..., None] * scaled) ** 2)
    return values
