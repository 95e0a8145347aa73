"""Figures hold what they must; invented phases with known enthalpies."""

import numpy as np
import pytest
from ase.units import GPa

from megabar.analysis.enthalpy import VolumePoint, enthalpy_curve


def murnaghan(pressure, v0, k0, k0_prime):
    """Return enthalpy (eV/atom) and volume (Å³/atom) of a Murnaghan solid, integrated from zero pressure."""
    x = 1 + k0_prime * pressure / k0
    return v0 * k0 * GPa / (k0_prime - 1) * (x ** (1 - 1 / k0_prime) - 1), v0 * x ** (-1 / k0_prime)


SOLIDS = {"Na": (37.0, 10.0, 3.6), "He": (13.0, 3.0, 4.5), "H": (11.0, 3.0, 4.2), "S": (26.0, 14.0, 4.5),
          "Mg": (23.0, 35.0, 4.0), "O": (16.0, 9.0, 4.5)}  # fmt: skip


def invented(phase, formula, shares, a_meV, b_meV_per_GPa, pressures, noise_eV=3e-4):
    """Return a curve whose H is that of a mixture of the elements' solids plus a + b P (meV/atom)."""
    pressures = np.asarray(pressures, float)
    total = sum(shares.values())
    parts = [np.array(murnaghan(pressures, *SOLIDS[e])) * n / total for e, n in shares.items()]
    h, v = sum(parts)
    h = h + (a_meV + b_meV_per_GPa * pressures) / 1000
    v = v + b_meV_per_GPa / 1000 / GPa
    points = [VolumePoint(vi, hi - p * GPa * vi, p, noise_eV, 0.3) for p, hi, vi in zip(pressures, h, v, strict=True)]
    return enthalpy_curve(phase, formula, points)


def sodium_helium():
    """Return a system like Na–He: transitions at 65, 105, 150 GPa; Na2He stable above about 160."""
    na, he = {"Na": 1}, {"He": 1}
    return [
        invented("Na-bcc", "Na", na, 0, 0, np.linspace(0, 95, 7)),
        invented("Na-fcc", "Na", na, 26, -0.4, np.linspace(40, 135, 6)),
        invented("Na-cI16", "Na", na, 78.5, -0.9, np.linspace(85, 180, 6)),
        invented("Na-hP4", "Na", na, 123.5, -1.2, np.linspace(120, 505, 8)),
        invented("He-hcp", "He", he, 0, 0, np.linspace(-0.2, 510, 11)),
        invented("He-fcc", "He", he, 1.5, 0.01, np.linspace(0, 30, 3)),
        invented("Na2He", "Na2He", {"Na": 2, "He": 1}, 167.0, -1.33, np.linspace(80, 505, 9)),
    ]


def hydrogen_sulfur():
    """Return a binary with several compounds."""

    def mix(h, s):
        return {"H": h, "S": s}

    full = np.linspace(-0.2, 310, 9)
    return [
        invented("H-C2c", "H2", {"H": 1}, 0, 0, full),
        invented("H-Cmca", "H2", {"H": 1}, 20, -0.1, full),
        invented("S-II", "S", {"S": 1}, 0, 0, np.linspace(0, 120, 6)),
        invented("S-Im-3m", "S", {"S": 1}, 60, -0.8, np.linspace(40, 300, 7)),
        invented("H2S-a", "H2S", mix(2, 1), -80, 0.1, full),
        invented("H2S-b", "H2S", mix(2, 1), -60, -0.15, full),
        invented("H3S-Cccm", "H3S", mix(3, 1), -55, -0.3, full),
        invented("H3S-Im-3m", "H3S", mix(3, 1), 20, -1.0, full),
        invented("HS2", "HS2", mix(1, 2), 30, -0.3, full),
        invented("HS", "HS", mix(1, 1), 150, 0.2, full),
        invented("H5S2", "H5S2", mix(5, 2), -40, -0.3, full),
    ]


def magnesium_silicate():
    """Return a ternary."""
    return [
        invented("Mg-hcp", "Mg", {"Mg": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("S-a", "S", {"S": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("O-a", "O2", {"O": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("MgO-B1", "MgO", {"Mg": 1, "O": 1}, -900, 0, np.linspace(-0.3, 205, 6)),
        invented("MgS", "MgS", {"Mg": 1, "S": 1}, -500, 0, np.linspace(-0.3, 205, 6)),
        invented("SO2", "SO2", {"S": 1, "O": 2}, -300, 0, np.linspace(-0.3, 205, 6)),
        invented("SO3", "SO3", {"S": 1, "O": 3}, -280, -1, np.linspace(-0.3, 205, 6)),
        invented("MgSO3", "MgSO3", {"Mg": 1, "S": 1, "O": 3}, -800, 0, np.linspace(-0.3, 205, 6)),
        invented("MgSO4", "MgSO4", {"Mg": 1, "S": 1, "O": 4}, -650, -2, np.linspace(-0.3, 205, 6)),
        invented("Mg2SO5", "Mg2SO5", {"Mg": 2, "S": 1, "O": 5}, -790, 1, np.linspace(-0.3, 205, 6)),
    ]
