"""What zero-point energies, free energies and frequencies are uncertain by: supercell, mesh, symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from megabar.analysis.phonons.convergence import smaller
from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import Spectrum, spectrum


@dataclass(frozen=True, eq=False)
class Alternatives:
    """The same crystal computed otherwise; what differs is an error.

    crystals, spectra: by the cause of the error: supercell (force constants cut at two thirds of its size); symmetry
    (imposed or not), where force constants were read; displacement (atoms displaced further), where it was tried.
    mesh: the spectrum on a mesh of two thirds of the points.
    """

    crystals: dict[str, Harmonic]
    spectra: dict[str, Spectrum] = field(default_factory=dict)
    mesh: Spectrum | None = None

    def shifts_THz(self, crystal: Harmonic, q: Sequence[Sequence[float]] | Array) -> dict[str, Array]:
        """Return by how much each cause moves the frequencies at some q (q, modes)."""
        own = crystal.modes(q).frequencies_THz
        return {cause: np.abs(other.modes(q).frequencies_THz - own) for cause, other in self.crystals.items()}

    def zero_point_eV(self, found: Spectrum) -> dict[str, float]:
        """Return by how much each cause moves the zero-point energy (eV/atom)."""
        own = found.zero_point_eV_per_atom
        return {cause: abs(other.zero_point_eV_per_atom - own) for cause, other in self._all().items()}

    def free_energy_eV(self, found: Spectrum, temperatures_K: Sequence[float]) -> dict[str, Array]:
        """Return by how much each cause moves the free energy (eV/atom) at some temperatures (K)."""
        own = found.thermal(temperatures_K).free_energy_eV
        return {
            cause: np.abs(other.thermal(temperatures_K).free_energy_eV - own) for cause, other in self._all().items()
        }

    def _all(self) -> dict[str, Spectrum]:
        return self.spectra if self.mesh is None else {**self.spectra, "mesh": self.mesh}


def alternatives(
    crystal: Harmonic,
    found: Spectrum,
    coarser: Spectrum | None = None,
    other: Harmonic | None = None,
    further: Harmonic | None = None,
) -> Alternatives:
    """Return a crystal otherwise: in a smaller supercell, on a coarser mesh, and with or without its symmetry imposed.

    found: the spectrum whose errors are wanted; the alternatives are computed on its mesh. further: the crystal by
    atoms that were displaced further.
    """
    crystals = {"supercell": smaller(crystal)} | ({} if other is None else {"symmetry": other})
    crystals |= {} if further is None else {"displacement": further}
    spectra = {cause: spectrum(each, found.points) for cause, each in crystals.items()}
    return Alternatives(crystals, spectra, coarser)


def together(parts: dict[str, float]) -> float:
    """Return independent errors together: the root of the sum of their squares."""
    return float(np.sqrt(sum(value**2 for value in parts.values())))
