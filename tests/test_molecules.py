"""Elements of diatomic molecules are counted as such, atomic phases of them are not."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa

from megabar.analysis.stability import analyse
from megabar.analysis.tables import TabulatedCurve
from megabar.structures.library import library
from megabar.structures.molecules import formula_unit


@pytest.mark.parametrize(
    ("name", "expected"), [("H-C2c", "H2"), ("H-Cmca-4", "H2"), ("H-I41amd", "H"), ("Na-hP4", "Na"), ("H3S-R3m", "H3S")]
)
def test_phases_of_the_library(name, expected):
    assert formula_unit(library()[name].atoms) == expected


def test_a_chain_is_no_molecule():
    """Atoms with two neighbours at the length of the bond."""
    chain = Atoms("H2", cell=[1.6, 5, 5], positions=[[0, 0, 0], [0.8, 0, 0]], pbc=True)
    assert formula_unit(chain) == "H"
    dimer = Atoms("H2", cell=[3.0, 5, 5], positions=[[0, 0, 0], [0.8, 0, 0]], pbc=True)
    assert formula_unit(dimer) == "H2"
    assert formula_unit(bulk("Na")) == "Na"


def test_reactions_count_molecules():
    """3 H2 + 2 S → 2 H3S at 50 GPa: ΔV = −1 Å³/atom, ΔE = 50 GPa Å³."""

    def line(phase, formula, energy, volume):
        pressures = [0.0, 50.0, 100.0]
        enthalpies = [energy + volume * pressure * GPa for pressure in pressures]
        return TabulatedCurve(phase, formula, np.array(pressures), np.array(enthalpies), np.full(3, np.nan))

    curves = [line("H-C2c", "H", 0, 3), line("S", "S", 0, 9), line("H3S-x", "H3S", 50 * GPa, (3 * 3 + 9) / 4 - 1)]
    [transition] = analyse(curves, units={"H-C2c": "H2"}).transitions
    assert transition.reaction.text == "3 H2 + 2 S → 2 H3S"
    assert transition.pressure_GPa == pytest.approx(50, abs=0.01)
    assert transition.delta_volume == pytest.approx(-1, abs=1e-6)
