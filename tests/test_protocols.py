"""Protocols as data: complete, ordered, and k-point grids that symmetry agrees with."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import kpts2sizeandoffsets

from megabar.structures.errors import InputError
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.protocols import SMEARING_KINDS, kpoint_grid, protocol, protocol_names

CODES = [name for name in ADAPTERS if name != "emt"]


def test_the_three_protocols_are_there():
    assert protocol_names() == ("fast", "moderate", "precise")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["fast", "moderate", "precise"])
def test_every_code_has_every_protocol(code, name):
    found = protocol(code, name)
    assert found.code_settings
    assert found.smearing_kind in SMEARING_KINDS
    assert 0 < found.smearing_eV < 1
    assert found.metal_density >= found.insulator_density > 0


@pytest.mark.parametrize("code", CODES)
def test_a_finer_protocol_is_finer_in_everything(code):
    found = [protocol(code, name) for name in protocol_names()]
    for coarse, fine in itertools.pairwise(found):
        assert fine.metal_density > coarse.metal_density
        assert fine.insulator_density > coarse.insulator_density
        assert fine.force_eV_per_A < coarse.force_eV_per_A
        assert fine.stress_GPa < coarse.stress_GPa
        assert fine.smearing_eV <= coarse.smearing_eV
        assert fine.code_settings.keys() == coarse.code_settings.keys()


def test_settings_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        protocol("gpaw", "fast").code_settings["cutoff_eV"] = 1


def test_unknown_protocols_are_told_with_the_nearest():
    with pytest.raises(InputError, match=r"no protocol 'moderat'; did you mean moderate"):
        protocol("gpaw", "moderat")


@pytest.mark.parametrize("structure", [bulk("Na"), bulk("Mg", "hcp", a=3.2, c=5.2), bulk("C", cubic=True)])
@pytest.mark.parametrize("density", [1.5, 2.0, 3.0, 4.5])
def test_grids_are_those_of_ase(structure, density):
    size, _ = kpts2sizeandoffsets(density=density, even=False, atoms=structure)
    ours = kpoint_grid(structure, density)
    # ASE rounds up too; it may differ by one where the product is whole to rounding.
    assert np.abs(np.array(ours) - size).max() <= 1
    spacing = 2 * math.pi * np.linalg.norm(structure.cell.reciprocal(), axis=1) / ours
    assert (spacing * density <= 1 + 1e-3).all()


def test_rounding_does_not_break_the_symmetry_of_a_grid():
    # |b| = 2π/a; the density makes the product 6 exactly on one axis and 6 + 1e-10 on another.
    edge = 2 * math.pi
    atoms = Atoms("Na", cell=[edge, edge * (1 - 1e-10), edge * (1 + 1e-10)], pbc=True)
    assert kpoint_grid(atoms, 6.0) == [6, 6, 6]


def test_large_cells_get_one_point():
    assert kpoint_grid(Atoms("Na", cell=[50, 50, 50], pbc=True), 0.1) == [1, 1, 1]
