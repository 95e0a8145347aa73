"""Eliashberg equations of the full band: N(ε) instead of a constant density of states.

Where N(ε) varies over energies of phonons about E_F, as at the peak of H₃S, pairing sees its average over them:

    ω_n Z_n = ω_n + T Σ_m λ(n−m) ∫dε N(ε)/N(E_F) ω_m Z_m/Θ_m          φ_n = Z_n Δ_n
    χ_n     =     − T Σ_m λ(n−m) ∫dε N(ε)/N(E_F) (ε − μ + χ_m)/Θ_m
    φ_n     =       T Σ_m [λ(n−m) − μ*] ∫dε N(ε)/N(E_F) φ_m/Θ_m
    Θ_m     = (ω_m Z_m)² + (ε − μ + χ_m)² + φ_m², and μ such that T Σ_m ∫dε N(ε)(ε − μ + χ_m)/Θ_m keeps its value.

Pickett, Phys. Rev. B 26, 1186 (1982); in this form Lee et al., npj Comput. Mater. 9, 156 (2023), as EPW has it. For a
constant N(ε) they are those of `linearised` and `nonlinear`. The integrals are values of the resolvent
G(z) = ∫dε N(ε)/N(E_F)/(z − ε) at z = μ − χ_m + iW_m with W_m² = (ω_m Z_m)² + φ_m².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.eliashberg.anderson import fixed_point
from megabar.analysis.superconductivity.eliashberg.band import Band
from megabar.analysis.superconductivity.eliashberg.frequencies import Frequencies, blocks_for, frequencies
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, Spectrum, kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.linearised import LOWEST, interaction_of, transition
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import BCS_RATIO, BCS_RISE, matsubara
from megabar.analysis.superconductivity.eliashberg.roots import falling_root, polished_root
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]
REACH = 20.0
"""Cutoff of the Matsubara sums over the farther band edge."""
PHONONS = 1024.0
"""… and at least this over the energy scale of the phonons."""
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class BandState:
    """Electrons in a band at one temperature; energies in meV.

    pairing, renormalisation, shift: φ_n = Z_n Δ_n, Z_n and χ_n at the nodes, shape (k,). chemical_meV: μ − E_F.
    """

    points: Frequencies
    temperature_meV: float
    pairing: Array
    renormalisation: Array
    shift: Array
    chemical_meV: float

    @property
    def gap(self) -> Array:
        """Δ_n (meV) at the nodes, shape (k,)."""
        values: Array = self.pairing / self.renormalisation
        return values


@dataclass(frozen=True, eq=False)
class BandEquations:
    """The equations at one temperature. Made by `equations`.

    frequency: ω_n (meV) at the nodes, shape (k,). even, odd: πT[λ(n−m) ± λ(n+m+1)] summed over m, shape (k, k).
    elements: Σ_nm ℓᵢ [λ(n−m) + λ(n+m+1)] ℓⱼ, symmetric. inverse: 1/μ*(ω_c), infinite for μ* = 0. bare: −Re G(iω_n)/π
    without phonons, whose sum says how many electrons there are.
    """

    points: Frequencies
    temperature_meV: float
    electrons: Band
    frequency: Array
    even: Array
    odd: Array
    elements: Array
    inverse: float
    bare: Array

    def eigenvalue(self, state: BandState) -> float:
        """Return the largest eigenvalue of the pairing equations of the normal state, 1 at Tc."""
        width = state.renormalisation * self.frequency
        seen, _ = self._seen(width, state.shift, state.chemical_meV)
        weight = self.points.weight
        factor = np.sqrt(np.pi * self.temperature_meV * seen / (width * weight))
        repulsion = 0.0 if np.isinf(self.inverse) else 2 / self.inverse
        matrix = self.elements - repulsion * weight[:, None] * weight
        # Beyond the pole of μ* one eigenvalue comes from infinity: see `linearised`.
        return float(np.linalg.eigvalsh(matrix * factor[:, None] * factor)[-2 if self.inverse < 0 else -1])

    def _seen(self, width: Array, shift: Array, chemical: ArrayLike) -> tuple[Array, Array]:
        """Return −Im G/π and −Re G/π at μ − χ_n + iW_n."""
        resolvent = self.electrons.resolvent(np.asarray(np.asarray(chemical) - shift + 1j * width, np.complex128))
        return -resolvent.imag / np.pi, -resolvent.real / np.pi

    def solved(self, start: Array | None = None) -> BandState:
        """Return the state from a guess of φ_n (meV), shape (k,); the normal one if there is none.

        Raises ArithmeticError where the equations do not converge.
        """
        count, thermal = self.frequency.size, 2 * np.pi * self.temperature_meV
        parts = [count, 2 * count, 3 * count]
        # Beyond the cutoff G(z) is (number of states)/z.
        beyond = self.electrons.states_meV / (np.pi * thermal * self.points.count)

        def following(unknown: Array) -> Array:
            mass, shift, pairing, chemical = np.split(unknown, parts)
            width = np.hypot(mass * self.frequency, pairing)
            seen, moved = self._seen(width, shift, chemical)
            excess = thermal * float(self.points.weight @ (moved - self.bare)) - float(chemical[0]) * beyond
            new_mass = 1 + self.odd @ (seen * mass * self.frequency / width) / self.frequency
            paired = self._paired(pairing * seen / width, seen / width)
            return np.concatenate([new_mass, -self.even @ moved, paired, chemical + excess])

        zero = np.zeros(count)
        first = np.concatenate([zero + 1, zero, zero if start is None else start, [0.0]])
        of_one, of_energy = 1 / self.frequency, 1 / (self.frequency * self.frequency[0] ** 2)
        weight = np.concatenate([of_one, of_energy, of_energy, of_energy[:1]])
        found, _ = fixed_point(following, first, TOLERANCE, weight=weight)
        mass, shift, pairing, chemical = np.split(found, parts)
        return BandState(self.points, self.temperature_meV, pairing, mass, shift, float(chemical[0]))

    def _paired(self, source: Array, response: Array) -> Array:
        """Return φ_n of its sources; what the repulsion takes is solved for, so that it converges."""
        attracted: Array = self.even @ source
        if np.isinf(self.inverse):
            return attracted
        weight = 2 * np.pi * self.temperature_meV * self.points.weight
        return attracted - float(weight @ (response * attracted)) / (self.inverse + float(weight @ response))


def equations(
    modes: Modes,
    interaction: Coulomb,
    electrons: Band,
    temperature_meV: float,
    blocks: int | None = None,
) -> BandEquations:
    """Return the equations at a temperature (meV), with a number of blocks of frequencies or as many as it takes."""
    points = frequencies(blocks or blocks_of(modes, electrons, temperature_meV))
    frequency = matsubara(points, temperature_meV)
    values = kernel(modes, temperature_meV, points.differences)
    minus, plus = (points.symmetric(each @ values) for each in (points.minus, points.plus))
    thermal = np.pi * temperature_meV / points.weight[:, None]
    inverse = np.inf
    if interaction.mu_star > 0:
        inverse = inverse_coulomb(interaction, electrons, temperature_meV, points)
    bare = -electrons.resolvent(np.asarray(1j * frequency, np.complex128)).real / np.pi
    return BandEquations(
        points,
        temperature_meV,
        electrons,
        frequency,
        thermal * (minus + plus),
        thermal * (minus - plus),
        minus + plus,
        inverse,
        bare,
    )


def blocks_of(modes: Modes, electrons: Band, temperature_meV: float) -> int:
    """Return how many blocks of frequencies hold the phonons and the band."""
    return blocks_for(max(REACH * electrons.width_meV, PHONONS * modes.scale_meV), temperature_meV)


def inverse_coulomb(interaction: Coulomb, electrons: Band, temperature_meV: float, points: Frequencies) -> float:
    """Return 1/μ*(ω_c) in a band: 1/μ*(ω_ref) − ∫_{ω_ref}^{ω_c} N̄(ω)/N(E_F) dω/ω, N̄ = −Im G(iω)/π.

    For a constant N(ε) this is `Coulomb.inverse` (Morel & Anderson, 1962); beyond the band nothing is scattered, so
    that the inverse stays finite for any cutoff.
    """
    from scipy.special import digamma

    cutoff = 2 * np.pi * temperature_meV * float(np.exp(digamma(points.count + 0.5)))
    return 1 / interaction.mu_star - electrons.pairs_between(interaction.reference_meV, cutoff)


def critical_temperature_of_band(
    spectrum: Spectrum, electrons: Band, mu_star: float, mu_ref_meV: float | None = None
) -> float:
    """Return Tc (K) with the full band, converged to 1e-6; 0 where there is none.

    mu_star: referred to mu_ref_meV, by default the highest phonon frequency; above it the Coulomb repulsion scatters
    pairs into N(ε) as it is (`inverse_coulomb`). Raises InputError where they are out of range, ArithmeticError where
    the normal state does not converge.
    """
    modes, interaction = modes_of(spectrum), interaction_of(spectrum, mu_star, mu_ref_meV)
    if modes.coupling.size == 0:
        return 0.0
    constant = transition(modes, interaction)
    start = float(np.log(constant[0] if constant else 1e-3 * modes.omega_log_meV))

    def excess(log_temperature: float, blocks: int | None = None) -> float:
        here = equations(modes, interaction, electrons, float(np.exp(log_temperature)), blocks)
        return here.eigenvalue(here.solved()) - 1

    found = falling_root(excess, start, -0.3, float(np.log(LOWEST * modes.omega_log_meV)))
    if found is None:
        return 0.0
    blocks = blocks_of(modes, electrons, float(np.exp(found[0])))
    return float(np.exp(polished_root(lambda x: excess(x, blocks), *found))) / MEV_PER_K


def gap_of_band(
    spectrum: Spectrum,
    electrons: Band,
    temperature_K: float,
    mu_star: float,
    mu_ref_meV: float | None = None,
) -> BandState:
    """Return Δ_n, Z_n, χ_n and μ with the full band at a temperature (K); Δ is 0 above Tc.

    mu_star: as in `critical_temperature_of_band`. Raises InputError where it is out of range, ArithmeticError where the
    equations do not converge.
    """
    modes, interaction = modes_of(spectrum), interaction_of(spectrum, mu_star, mu_ref_meV)
    tc, temperature = critical_temperature_of_band(spectrum, electrons, mu_star, mu_ref_meV), temperature_K * MEV_PER_K
    if temperature_K >= tc:
        return equations(modes, interaction, electrons, temperature).solved()
    height = BCS_RATIO * tc * MEV_PER_K * float(np.tanh(BCS_RISE * np.sqrt(tc / temperature_K - 1)))
    here = equations(modes, interaction, electrons, temperature)
    phonons = modes.omega_log_meV
    return here.solved((1 + modes.lambda_) * height * phonons**2 / (phonons**2 + here.frequency**2))
