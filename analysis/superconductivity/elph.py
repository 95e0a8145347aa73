"""Electron-phonon coupling on a grid of q from the per-q files of Quantum ESPRESSO, and α²F(ω) from it.

α²F(ω) = ½ Σ_q w_q Σ_ν λ_qν ω_qν δ(ω − ω_qν), for every smearing of the double delta over the Fermi surface; the
weights w_q are the sizes of the stars. Imaginary modes, and the three translations at Γ, are no part of it; what they
would have carried is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.readers.reading import Reading, Variant
from megabar.analysis.superconductivity.smearing import FLAT, Choice, choose
from megabar.analysis.superconductivity.spectral import SpectralFunction, from_modes
from megabar.analysis.superconductivity.units import MEV_PER_RY
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
CODE = "Quantum ESPRESSO"
NAMED = 3
"""Imaginary modes that the notes name one by one, those that would have carried most."""
NOTHING = 1e-4
"""λ of modes with a negative linewidth that is rounding: ph.x writes λ to four digits."""


@dataclass(frozen=True, eq=False)
class QPoint:
    """Phonons and coupling at one q, which stands for its star.

    q: Cartesian, in 2π/a. weight: share of the star in the grid. omega_meV: negative where imaginary, shape (modes,).
    lambda_: negative where ω² is, shape (smearings, modes). eigenvectors: columns, shape (modes, modes). translation:
    the three rigid shifts at Γ, shape (modes,). force_constants: Φ(q) (Ry/bohr²). coupling: the matrices G (Cartesian)
    of every smearing where they are known, shape (smearings, modes, modes). star_q, star_constants: q and Φ(q) of every
    member of the star, shapes (star, 3) and (star, modes, modes).
    """

    number: int
    q: tuple[float, float, float]
    weight: float
    omega_meV: Array
    lambda_: Array
    eigenvectors: Complex
    translation: NDArray[np.bool_]
    force_constants: Complex
    coupling: Complex | None = None
    star_q: Array = field(default_factory=lambda: np.zeros((0, 3)))
    star_constants: Complex = field(default_factory=lambda: np.zeros((0, 0, 0), complex))

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Modes that are part of α²F, shape (modes,)."""
        found: NDArray[np.bool_] = (self.omega_meV > 0) & ~self.translation
        return found

    def atom_shares(self) -> Array:
        """Weight |e_s|² of every atom in every mode, shape (modes, atoms); a mode's weights are together 1."""
        squares = np.abs(self.eigenvectors.T) ** 2
        shares: Array = squares.reshape(len(squares), -1, 3).sum(axis=2)
        return shares


@dataclass(frozen=True, eq=False)
class Crystal:
    """Where the atoms are. cell_A: rows: lattice vectors (Å). positions_A: Cartesian, shape (n, 3). alat_A: a (Å)."""

    cell_A: Array
    positions_A: Array
    alat_A: float

    @property
    def volume_A3(self) -> float:
        """Volume of the cell (Å³)."""
        return float(abs(np.linalg.det(self.cell_A)))

    def fractions(self, q: Array) -> Array:
        """Return q (Cartesian, 2π/a) in units of the reciprocal lattice vectors, shape of q."""
        found: Array = q @ self.cell_A.T / self.alat_A
        return found


@dataclass(frozen=True, eq=False)
class ElectronPhonon:
    """Coupling on a grid of q.

    smearings_Ry, dos_per_Ry (N(E_F) per spin, Ry and cell), fermi_eV: shape (smearings,). species, masses: by atom, the
    masses in Rydberg units (911.44 is 1 u). notes: what was noticed. crystal: where the files tell it.
    """

    source: str
    points: tuple[QPoint, ...]
    smearings_Ry: Array
    dos_per_Ry: Array
    fermi_eV: Array
    species: tuple[str, ...]
    masses: Array
    notes: tuple[str, ...] = field(default=())
    crystal: Crystal | None = None


@dataclass(frozen=True)
class LeftOut:
    """A mode that is no part of α²F.

    omega_meV: below 0 where imaginary. would_carry: w_q|λ_qν|, its part of λ at the smearing (Ry).
    """

    q: tuple[float, float, float]
    number: int
    mode: int
    omega_meV: float
    translation: bool
    would_carry: float
    smearing_Ry: float


def species_shares(data: ElectronPhonon) -> Mapping[str, Array]:
    """Return by species the weight of its atoms in every stable mode, in the order of `stable_modes`."""
    by_atom = np.concatenate([point.atom_shares()[point.stable] for point in data.points])
    return {
        species: by_atom[:, [i for i, each in enumerate(data.species) if each == species]].sum(axis=1)
        for species in dict.fromkeys(data.species)
    }


def stable_modes(data: ElectronPhonon, smearing: int) -> tuple[Array, Array]:
    """Return frequencies (meV) and w_q λ_qν of all modes of α²F at a smearing (its number), both of shape (n,)."""
    omega = np.concatenate([point.omega_meV[point.stable] for point in data.points])
    coupling = np.concatenate([point.weight * point.lambda_[smearing][point.stable] for point in data.points])
    return omega, coupling


def spectrum(data: ElectronPhonon, smearing: int) -> SpectralFunction:
    """Return α²F at a smearing (its number) as the sum of peaks that it is, with the shares of the species.

    Raises InputError where no mode carries any coupling.
    """
    omega, coupling = stable_modes(data, smearing)
    value = data.smearings_Ry[smearing]
    return from_modes(
        omega,
        np.maximum(coupling, 0.0),
        f"{data.source} (tetrahedra)" if tetrahedra(data) else f"{data.source} (smearing {value:g} Ry)",
        unit="Ry",
        dos_per_eV=float(data.dos_per_Ry[smearing]) / MEV_PER_RY * 1e3,
        shares=species_shares(data),
    )


def total_lambda(data: ElectronPhonon) -> Array:
    """Return λ = Σ_q w_q Σ_ν λ_qν of the stable modes at every smearing, shape (smearings,)."""
    return np.array([stable_modes(data, i)[1].sum() for i in range(len(data.smearings_Ry))])


def left_out(data: ElectronPhonon, smearing: int) -> tuple[LeftOut, ...]:
    """Return the modes that are no part of α²F, with the λ that each would have carried at a smearing (its number)."""
    return tuple(
        LeftOut(
            point.q,
            point.number,
            int(mode) + 1,
            float(point.omega_meV[mode]),
            bool(point.translation[mode]),
            float(point.weight * abs(point.lambda_[smearing, mode])),
            float(data.smearings_Ry[smearing]),
        )
        for point in data.points
        for mode in np.flatnonzero(~point.stable)
    )


def left_out_notes(data: ElectronPhonon, smearing: int) -> tuple[str, ...]:
    """Return sentences on the modes that are no part of α²F: each imaginary one with its q, number and λ."""
    found = left_out(data, smearing)
    at = _where(data, smearing)
    imaginary = sorted((each for each in found if not each.translation), key=lambda each: -each.would_carry)
    said = [
        f"imaginary mode {each.mode} at q-point {each.number} ({_q(each.q)}): {each.omega_meV:.3g} meV; left out, it "
        f"would have carried λ = {each.would_carry:.3g} ({at}): the structure is not stable as calculated"
        for each in imaginary[:NAMED]
    ]
    if len(imaginary) > NAMED:
        rest = sum(each.would_carry for each in imaginary[NAMED:])
        said.append(
            f"{len(imaginary) - NAMED} more imaginary modes, down to {min(each.omega_meV for each in imaginary):.3g} "
            f"meV, are left out; they would have carried λ = {rest:.3g} ({at}); --json names all of them"
        )
    shifts = [each for each in found if each.translation]
    if any(each.would_carry > 0 for each in shifts):
        carried = sum(each.would_carry for each in shifts)
        frequencies = ", ".join(f"{each.omega_meV:.3g}" for each in shifts)
        said.append(
            f"the three translations at Γ ({frequencies} meV instead of 0) are left out; by the file they would have "
            f"carried λ = {carried:.3g} ({at})"
        )
    return tuple(said)


def negative_notes(data: ElectronPhonon, smearing: int) -> tuple[str, ...]:
    """Return a sentence on stable modes whose linewidth is negative, which are no part of α²F either."""
    found = [
        (float(point.weight * point.lambda_[smearing, mode]), point.number, int(mode) + 1)
        for point in data.points
        for mode in np.flatnonzero(point.stable & (point.lambda_[smearing] < 0))
    ]
    total = sum(each[0] for each in found)
    if total > -NOTHING:
        return ()
    worst, number, mode = min(found)
    return (
        f"{len(found)} mode{'s have' if len(found) > 1 else ' has'} a negative linewidth {_where(data, smearing)}, "
        f"most of all mode {mode} at q-point {number} (λ = {worst:.3g}): α²F is a sum of squares; they are taken as 0, "
        f"and λ is by {-total:.3g} larger than the sum that the files make",
    )


def lambdas_of(matrices: Complex, masses: Array, eigenvectors: Complex, squares_Ry2: Array, dos_per_Ry: Array) -> Array:
    """Return λ_ν = e† M^-½ G M^-½ e/(2 N(E_F) ω²) of every smearing and mode, shape (smearings, modes)."""
    root = np.sqrt(np.repeat(masses, 3))
    scaled = matrices / (root[:, None] * root)
    diagonal = np.einsum("iv,sij,jv->sv", eigenvectors.conj(), scaled, eigenvectors).real
    found: Array = diagonal / (2 * dos_per_Ry[:, None] * squares_Ry2)
    return found


def translations(eigenvectors: Complex, masses: Array) -> NDArray[np.bool_]:
    """Return which three modes at Γ are rigid shifts of the crystal: those that project most on √M, shape (modes,)."""
    root = np.sqrt(masses)
    moved = np.einsum("s,sxv->xv", root, eigenvectors.reshape(len(masses), 3, -1))
    share = np.sum(np.abs(moved) ** 2, axis=0) / masses.sum()
    found = np.zeros(share.shape, bool)
    found[np.argsort(share)[-3:]] = True
    return found


def reading(data: ElectronPhonon) -> Reading:
    """Return the spectra of all smearings, the one at which λ depends least on the smearing being meant."""
    lambdas = total_lambda(data)
    if not np.all(lambdas > 0):
        raise InputError(f"{data.source}: no stable mode carries any coupling: there is no α²F")
    if tetrahedra(data):
        said = "the double delta is by tetrahedra on one grid: nothing tells how λ depends on that"
        choice = Choice(0, (0,), None, "by tetrahedra", (said,))
        variants: tuple[Variant, ...] = (Variant("tetrahedra", spectrum(data, 0)),)
    else:
        choice = choose(data.smearings_Ry.tolist(), lambdas.tolist())
        variants = tuple(
            Variant(f"{value:.3f} Ry", spectrum(data, i), float(value)) for i, value in enumerate(data.smearings_Ry)
        )
    notes = data.notes + left_out_notes(data, choice.place) + negative_notes(data, choice.place)
    notes += choice.notes + density_notes(data, choice)
    details: dict[str, Any] = {"modes_left_out": [asdict(each) for each in left_out(data, choice.place)]}
    if data.crystal is not None:
        details["volume_A3_cell"] = data.crystal.volume_A3
    return Reading(data.source, CODE, variants, choice.place, choice.why, notes, choice.around, details, coupling=data)


def tetrahedra(data: ElectronPhonon) -> bool:
    """Whether the double delta is by tetrahedra: there is one spectrum, and no smearing."""
    return data.smearings_Ry.size == 1 and float(data.smearings_Ry[0]) == 0.0


def _where(data: ElectronPhonon, smearing: int) -> str:
    return "by tetrahedra" if tetrahedra(data) else f"at {data.smearings_Ry[smearing]:g} Ry"


def density_notes(data: ElectronPhonon, choice: Choice) -> tuple[str, ...]:
    """Return a sentence where λ depends on the smearing only as N(E_F) does, which has a peak.

    λ is N(E_F) times an average over the Fermi surface; where that has a plateau and λ has none, a better N(E_F) is a
    better λ.
    """
    smearings, density = data.smearings_Ry.tolist(), data.dos_per_Ry
    found = choose(smearings, (total_lambda(data) / density).tolist())
    if choice.spread is None or found.spread is None or choice.spread < FLAT or found.spread > choice.spread / 4:
        return ()
    first, last = smearings[found.around[0]], smearings[found.around[-1]]
    at_best = total_lambda(data)[found.place] / density[found.place] * density[0]
    return (
        f"λ/N(E_F) varies by only {found.spread:.1%} between {first:g} and {last:g} Ry: λ depends on the smearing "
        f"because the density of states does, {density[0]:.3g} states/Ry per spin and cell at {smearings[0]:g} Ry and "
        f"{density[-1]:.3g} at {smearings[-1]:g} Ry; with the former λ would be {at_best:.3g}",
    )


def _q(q: tuple[float, float, float]) -> str:
    return ", ".join(f"{each:.4g}" for each in q)
