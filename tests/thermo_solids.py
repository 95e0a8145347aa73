"""Solids of which everything is known: Vinet's static curve, Debye's vibrations, one Grüneisen parameter."""

from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from scipy.optimize import brentq

from megabar.analysis import eos
from megabar.analysis.enthalpy import VolumePoint, enthalpy_curve
from megabar.analysis.thermo.debye import debye_solid
from megabar.analysis.thermo.table import helmholtz_table


@dataclass(frozen=True)
class Solid:
    """Per atom: Å³, GPa, eV, K; θ = θ0 (V0/V)^γ."""

    v0: float = 16.0
    k0: float = 100.0
    k0_prime: float = 4.5
    e0: float = -3.0
    theta0: float = 400.0
    gamma: float = 1.6

    def static(self, volume):
        energy, pressure = eos.vinet_shapes(volume, self.v0, self.k0_prime)
        return self.e0 + self.k0 * GPa * energy, self.k0 * pressure

    def theta(self, volume):
        return self.theta0 * (self.v0 / np.asarray(volume)) ** self.gamma

    def thermal(self, volume, temperature):
        """F, S, C_V."""
        return debye_solid(temperature, self.theta(volume))[:3]

    def pressure(self, volume, temperature):
        by_theta = debye_solid(temperature, self.theta(volume))[3]
        return self.static(volume)[1] + self.gamma * self.theta(volume) * by_theta / volume / GPa

    def volume(self, pressure, temperature):
        return brentq(lambda v: self.pressure(v, temperature) - pressure, 0.4 * self.v0, 1.4 * self.v0, rtol=1e-14)

    def state(self, pressure, temperature):
        """V, G, S, α, K_T (GPa), C_V at P and T: closed forms, the compressibility from the exact pressure."""
        v = self.volume(pressure, temperature)
        free, entropy, capacity = (float(each) for each in self.thermal(v, temperature))
        h = 1e-5 * v
        bulk = -v * (self.pressure(v + h, temperature) - self.pressure(v - h, temperature)) / (2 * h)
        gibbs = float(self.static(v)[0]) + free + pressure * GPa * v
        return v, gibbs, entropy, self.gamma * capacity / (bulk * GPa * v), bulk, capacity

    def table(self, volumes, temperatures, atoms=1):
        v, t = np.asarray(volumes, dtype=float), np.asarray(temperatures, dtype=float)
        parts = [each * atoms for each in self.thermal(v, t[:, None])]
        return helmholtz_table(v * atoms, self.static(v)[0] * atoms, t, *parts, atoms=atoms)

    def curve(self, volumes, name="solid"):
        points = [VolumePoint(v, *(float(each) for each in self.static(v))) for v in volumes]
        return enthalpy_curve(name, "X", points)
