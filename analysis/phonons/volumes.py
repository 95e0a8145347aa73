"""The modes of a crystal against its volume: each frequency on a mesh as a smooth function of ln V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import ZERO_THZ, Spectrum, Thermal, spectrum, thermal
from megabar.structures.errors import InputError

HIGHEST_DEGREE = 3
GRUNEISEN, GRUNEISEN_ERROR = 1.5, 1.0
"""Of a usual solid, for a crystal that is known at one volume alone, and by how much it may be off."""
STEP = 1e-3
"""In ln V, of the derivative of the free energy."""


@dataclass(frozen=True, eq=False)
class ModeSeries:
    """Frequencies of a crystal at several volumes, ascending, on one mesh; modes of a q are told apart by their order.

    ln ω of each mode is a polynomial in ln V through all volumes, of third order at most; beyond the volumes it goes on
    as a straight line, that of the mode's Grüneisen parameter there.
    volumes_A3: (n,), per atom. spectra: (n,).
    """

    volumes_A3: Array
    spectra: tuple[Spectrum, ...]

    @classmethod
    def of(cls, crystals: Sequence[Harmonic]) -> ModeSeries:
        """Return the series of crystals of one phase in any order; raises InputError where they are of several."""
        ordered = sorted(crystals, key=lambda each: each.volume_A3_per_atom)
        if not ordered:
            raise InputError("modes against volume need force constants at one volume at least")
        first = spectrum(ordered[-1])
        spectra = [first, *(spectrum(each, first.points) for each in reversed(ordered[:-1]))]
        if any(each.frequencies_THz.shape != first.frequencies_THz.shape for each in spectra):
            raise InputError("the crystals are not of one phase: their q-points or numbers of modes differ")
        return cls(np.array([each.volume_A3_per_atom for each in ordered]), tuple(reversed(spectra)))

    def without(self, place: int) -> ModeSeries:
        """Return the same without one of the volumes."""
        kept = [i for i in range(len(self.volumes_A3)) if i != place]
        return ModeSeries(self.volumes_A3[kept], tuple(self.spectra[i] for i in kept))

    def frequencies_THz(self, volume_A3: float, gruneisen: float = GRUNEISEN) -> Array:
        """Return the frequencies (q, modes) at a volume (Å³/atom); gruneisen: where one volume alone is known.

        Translations, and modes that are imaginary at any volume, stay zero.
        """
        x = np.log(self.volumes_A3)
        values = np.array([each.frequencies_THz for each in self.spectra])
        real = (values > ZERO_THZ).all(axis=0)
        logs = np.log(np.where(real, values, 1.0))
        at = float(np.log(volume_A3))
        if len(x) == 1:
            found = logs[0] - gruneisen * (at - x[0])
        else:
            inside = float(np.clip(at, x[0], x[-1]))
            weights, slopes = _lagrange(x, inside)
            found = np.tensordot(weights, logs, axes=1) + (at - inside) * np.tensordot(slopes, logs, axes=1)
        return np.where(real, np.exp(found), 0.0)

    def free_energy_eV(self, volume_A3: float, temperature_K: float, gruneisen: float = GRUNEISEN) -> float:
        """Return the free energy of the vibrations (eV/atom) at a volume (Å³/atom) and temperature (K)."""
        return float(self._thermal(volume_A3, temperature_K, gruneisen).free_energy_eV[0])

    def entropy_eV_K(self, volume_A3: float, temperature_K: float) -> float:
        """Return the entropy of the vibrations (eV/K an atom) at a volume (Å³/atom) and temperature (K)."""
        return float(self._thermal(volume_A3, temperature_K, GRUNEISEN).entropy_eV_K[0])

    def pressure_GPa(self, volume_A3: float, temperature_K: float) -> float:
        """Return the pressure of the vibrations (GPa), −∂F/∂V."""
        high, low = (self.free_energy_eV(volume_A3 * np.exp(s), temperature_K) for s in (STEP, -STEP))
        return float(-(high - low) / (2 * STEP * volume_A3) / GPa)

    def error_eV(self, volume_A3: float, temperature_K: float) -> float:
        """Return what the interpolation over volumes leaves uncertain of the free energy (eV/atom).

        What leaving out the nearest volume moves it by, zero at a volume itself; of two volumes at least what Grüneisen
        parameters that change between them would do; of a single one, what its Grüneisen parameter does.
        """
        own = self.free_energy_eV(volume_A3, temperature_K)
        if len(self.volumes_A3) == 1:
            return abs(self.free_energy_eV(volume_A3, temperature_K, GRUNEISEN + GRUNEISEN_ERROR) - own)
        nearest = int(np.argmin(np.abs(np.log(self.volumes_A3 / volume_A3))))
        distance = abs(float(np.log(self.volumes_A3[nearest] / volume_A3)))
        if distance < STEP:
            return 0.0
        moved = abs(self.without(nearest).free_energy_eV(volume_A3, temperature_K) - own)
        return moved if len(self.volumes_A3) > 2 else max(moved, distance * self._bend(temperature_K))

    def _bend(self, temperature_K: float) -> float:
        """Return by how much ∂F/∂ln V would change if all Grüneisen parameters were off by half their usual error."""
        high = self.spectra[0].thermal([temperature_K]).free_energy_eV[0]
        scaled = self.spectra[0].frequencies_THz * np.exp(GRUNEISEN_ERROR * STEP)
        other = thermal(scaled, self.spectra[0].weights, self.spectra[0].atoms, [temperature_K])
        return abs(float(other.free_energy_eV[0] - high)) / STEP * 0.5

    def _thermal(self, volume_A3: float, temperature_K: ArrayLike, gruneisen: float) -> Thermal:
        first = self.spectra[0]
        modes = self.frequencies_THz(volume_A3, gruneisen)
        return thermal(modes, first.weights, first.atoms, temperature_K)


def _lagrange(x: Array, at: float) -> tuple[Array, Array]:
    """Return the weights of values at x in the least-squares polynomial at a place, and in its slope there."""
    degree = min(len(x) - 1, HIGHEST_DEGREE)
    middle, scale = float(x.mean()), float(np.ptp(x)) or 1.0
    t, s = (x - middle) / scale, (at - middle) / scale
    basis = np.vander(t, degree + 1, increasing=True)
    inverse = np.linalg.pinv(basis)
    value = s ** np.arange(degree + 1)
    slope = np.concatenate([[0.0], np.arange(1, degree + 1) * s ** np.arange(degree)]) / scale
    return value @ inverse, slope @ inverse
