"""The thermal equation of state of Stixrude & Lithgow-Bertelloni, fitted to F(V,T), as programs of geophysics take it.

F = F0 + 9 K0 V0 [f²/2 + (K0' − 4) f³/2] + F_th(T, θ(V)) − F_th(T0, θ(V)), f = [(V0/V)^⅔ − 1]/2, F_th Debye's without
the zero-point energy, θ = θ0 √(1 + 6γ0 f + ½(−12γ0 + 36γ0² − 18 q0 γ0) f²).
L. Stixrude & C. Lithgow-Bertelloni, Geophys. J. Int. 162, 610 (2005), doi:10.1111/j.1365-246X.2005.02642.x, eqs. 20–28.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis import eos
from megabar.analysis.thermo.debye import (
    debye_solid,
    debye_temperature_from_entropy,
    debye_temperature_from_zero_point,
)
from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
NAMES = ("F_0", "V_0", "K_0", "Kprime_0", "Debye_0", "grueneisen_0", "q_0")
REFERENCE_K = 300.0
_TEMPERATURES = 16
_LEAST_VOLUMES = 5


@dataclass(frozen=True, eq=False)
class ThermalEos:
    """A fitted equation of state, per cell of ``atoms`` atoms.

    values: shape (7,), F_0 (eV, at V_0 and 300 K), V_0 (Å³), K_0 (GPa), K_0', Debye_0 (K), gruneisen_0, q_0.
    covariance: of these, scaled by the misfit. misfit_eV: root mean square of F.
    """

    values: Array
    covariance: Array
    atoms: int
    misfit_eV: float
    from_A3: float
    to_A3: float
    to_K: float

    def free_energy(self, volume_A3: ArrayLike, temperature_K: ArrayLike) -> Array:
        """F (eV) at volumes and temperatures (shapes that broadcast)."""
        return _free_energy(self.values, np.asarray(volume_A3, float), np.asarray(temperature_K, float), self.atoms)

    def pressure(self, volume_A3: ArrayLike, temperature_K: ArrayLike) -> Array:
        """P = −∂F/∂V (GPa)."""
        v, h = np.asarray(volume_A3, dtype=float), 1e-4
        up, down = (self.free_energy(v * np.exp(side * h), temperature_K) for side in (1.0, -1.0))
        return np.asarray(-(up - down) / (2.0 * h * v) / GPa)


def fit_thermal_eos(table: HelmholtzTable) -> ThermalEos:
    """Fit the equation of state to F(V,T) of a table, by least squares of F at temperatures evenly apart.

    Raises InputError where the table lacks static energies, the number of atoms or five volumes, or where its electrons
    are at temperature, which the form cannot describe.
    """
    from scipy.optimize import least_squares

    if table.static_eV is None or table.atoms is None:
        raise InputError("a thermal equation of state needs static energies and the number of atoms of the cell")
    if table.electronic is not None:
        raise InputError("the thermal equation of state has no electrons at temperature; leave out --electronic")
    if len(table.volumes_A3) < _LEAST_VOLUMES:
        raise InputError(f"a thermal equation of state needs {_LEAST_VOLUMES} volumes, found {len(table.volumes_A3)}")
    known, atoms = table.temperatures_K, table.atoms
    if known[-1] < REFERENCE_K or known[0] > REFERENCE_K:
        raise InputError(f"a thermal equation of state needs free energies around {REFERENCE_K:g} K, its reference")
    table = table.at_temperatures(np.linspace(known[0], known[-1], _TEMPERATURES))
    v, t, free = table.volumes_A3, table.temperatures_K[:, None], table.free_energy_eV
    start = _start(table)
    scale = np.array([0.1, 0.05 * start[1], 0.2 * start[2], 1.0, 0.2 * start[4], 0.5, 1.0])
    found = least_squares(
        lambda x: (_free_energy(start + scale * x, v, t, atoms) - free).ravel(),
        np.zeros(len(NAMES)),
        bounds=([-np.inf, -6.0, -4.5, -4.0, -4.5, -8.0, -20.0], np.inf),
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
    )
    freedom = max(free.size - len(NAMES), 1)
    noise = float(found.fun @ found.fun) / freedom
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * noise * np.outer(scale, scale)
    misfit = float(np.sqrt((found.fun**2).mean()))
    return ThermalEos(start + scale * found.x, covariance, atoms, misfit, float(v[0]), float(v[-1]), float(known[-1]))


def deviations(fit: ThermalEos, gibbs: GibbsTable) -> tuple[float, float]:
    """Return how far V and K_T of the fit are from those of a table at most, relative; nan where the table has none."""
    known = (gibbs.beyond == 0) & (gibbs.volume_A3 >= fit.from_A3) & (gibbs.volume_A3 <= fit.to_A3)
    if not known.any():
        return float("nan"), float("nan")
    i, j = np.nonzero(known)
    v, t, h = gibbs.volume_A3[known], gibbs.temperatures_K[j], 1e-3
    up, down = (fit.pressure(v * np.exp(side * h), t) for side in (1.0, -1.0))
    bulk = (down - up) / (2.0 * h)
    # what the pressure is off by at the same volume is what ln V is off by at the same pressure, times K
    volume = np.abs(fit.pressure(v, t) - gibbs.pressures_GPa[i]) / bulk
    return float(volume.max()), float(np.abs(bulk / gibbs.bulk_modulus_GPa[known] - 1.0).max())


def _start(table: HelmholtzTable) -> Array:
    """Parameters near the solution: the fit of the coldest isotherm, θ and γ from entropies or zero-point energies."""
    assert table.atoms is not None
    cold = eos.fit(table.volumes_A3, table.free_energy_eV[0], kind="bm3")
    middle = len(table.temperatures_K) // 2
    entropy, t = table.vibrational.entropy_eV_per_K[middle], table.temperatures_K[middle]
    theta = debye_temperature_from_entropy(entropy, t, table.atoms)
    if not np.isfinite(theta).all():
        theta = debye_temperature_from_zero_point(table.vibrational.free_energy_eV[0], table.atoms)
    gamma, ln_theta = np.polyfit(-np.log(table.volumes_A3 / cold.v0), np.log(theta), 1)
    return np.array([cold.e0, cold.v0, cold.k0, cold.k0_prime, np.exp(ln_theta), gamma, 1.0])


def _free_energy(values: Array, volume: Array, temperature: Array, atoms: int) -> Array:
    f0, v0, k0, k_prime, theta0, gamma0, q0 = values
    f = 0.5 * ((v0 / volume) ** (2.0 / 3.0) - 1.0)
    second = -12.0 * gamma0 + 36.0 * gamma0**2 - 18.0 * q0 * gamma0
    theta = theta0 * np.sqrt(np.maximum(1.0 + 6.0 * gamma0 * f + 0.5 * second * f**2, 1e-6))
    cold = k0 * GPa * eos.birch_murnaghan_shapes(volume, v0, k_prime)[0]
    # The zero-point energies of both terms cancel.
    warm = debye_solid(temperature, theta, atoms)[0] - debye_solid(REFERENCE_K, theta, atoms)[0]
    return np.asarray(f0 + cold + warm)
