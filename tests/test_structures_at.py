"""Relaxed structures at any pressure: interpolation that keeps the symmetry, files that say where they come from."""

from __future__ import annotations

import io
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.spacegroup import crystal
from test_stability_workflow import METHOD, TRUTH, ladder, plan_of, record

from megabar.analysis.figures.cells import cells_drawing, lengths, shape
from megabar.structures.errors import InputError
from megabar.structures.series import StructureSeries, cell_parameters, volume_per_atom
from megabar.structures.symmetry import space_group
from megabar.workflows.parts.volumes.ladder import Rung
from megabar.workflows.parts.volumes.phase_state import phase_states
from megabar.workflows.parts.volumes.structure_files import FORMATS, file_name, row, table_csv, text_of
from megabar.workflows.parts.volumes.structures_at import cell_series, structures_at
from megabar.workflows.structure import Structure


def quartz(volume_A3: float) -> Atoms:
    """α-quartz (P3₂21): c/a and all of its coordinates change linearly in ln V; 9 atoms a cell."""
    t = np.log(volume_A3 / 10.0)
    a = (9 * volume_A3 / (np.sin(np.pi / 3) * (1.1 + 0.3 * t))) ** (1 / 3)
    sites = [(0.47 + 0.1 * t, 0, 2 / 3), (0.41 + 0.05 * t, 0.27 - 0.08 * t, 0.78 + 0.02 * t)]
    return crystal("SiO", sites, spacegroup=154, cellpar=[a, a, a * (1.1 + 0.3 * t), 90, 90, 120])


def test_between_relaxed_cells_the_structure_is_interpolated_with_its_symmetry():
    series = StructureSeries.of([quartz(volume) for volume in (8.0, 10.0, 12.0, 9.0)])
    found, exact = series.at(8.7), quartz(8.7)
    assert volume_per_atom(found) == pytest.approx(8.7, rel=1e-9)
    assert found.cell.cellpar() == pytest.approx(exact.cell.cellpar(), abs=2e-3)
    assert np.abs(found.get_scaled_positions() - exact.get_scaled_positions()).max() < 1e-6
    assert str(space_group(found, 1e-4)) == str(space_group(exact, 1e-4)) == "P3_221 (154)"
    assert series.nearest(10.0) is not None and series.nearest(9.5) is None


def test_coordinates_do_not_jump_by_a_cell():
    cells = [quartz(volume) for volume in (8.0, 9.0, 10.0)]
    cells[1].set_scaled_positions(cells[1].get_scaled_positions() + np.array([1, -1, 0]))
    found = StructureSeries.of(cells).at(8.5)
    off = found.get_scaled_positions() - quartz(8.5).get_scaled_positions()
    assert np.abs(off - np.round(off)).max() < 1e-6


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_cells_are_enough(count):
    series = StructureSeries.of([quartz(volume) for volume in (8.0, 9.0, 10.0)[:count]])
    assert space_group(series.at(8.5)).number == 154


def test_cells_that_are_not_of_one_phase_are_refused():
    with pytest.raises(InputError, match="at least one"):
        StructureSeries.of([])
    with pytest.raises(InputError, match="same atoms"):
        StructureSeries.of([quartz(8.0), Atoms("H", cell=[3, 3, 3], pbc=True)])


def test_independent_atoms_are_followed_to_the_nearest_equivalent_one():
    first, second = cell_parameters(quartz(10.0)), quartz(9.9)
    moved = second[[2, 1, 0, 8, 7, 6, 5, 4, 3]]
    found = cell_parameters(moved, first)
    assert [site[0] for site in found.sites] == ["Si", "O"]
    for before, after in zip(first.sites, found.sites, strict=True):
        assert np.abs(np.array(before[1:]) - np.array(after[1:])).max() < 0.01
    assert found.c_over_a == pytest.approx(1.1 + 0.3 * np.log(0.99), abs=1e-6)


@pytest.fixture
def state():
    """A tetragonal phase whose c/a grows with compression, at five volumes."""
    plan = plan_of(ladder("Na-low", (0.0, 300.0), relaxed=True))
    own = plan.ladders[0]
    rungs, records = [], {}
    for index in own.first:
        rung = Rung("Na-low", index, own.calculation(METHOD, index).key, (), "ladder")
        found = record(plan, rung, TRUTH)
        volume = found.volume_A3_per_atom
        ratio = 1.2 + 0.05 * np.log(30 / volume)
        a = (2 * volume / ratio) ** (1 / 3)
        atoms = Atoms("Na2", cell=[a, a, ratio * a], scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], pbc=True)
        records[rung.key] = found.model_copy(update={"structure": asdict(Structure.of(atoms))})
        rungs.append(rung.to_dict())
    return phase_states(plan, rungs, records)[0]


def test_structures_at_pressures_have_the_volume_of_the_curve_and_say_where_they_come_from(state):
    curve = state.curve()
    at_point = float(curve.pressures_GPa[1])
    between, computed = sorted(structures_at(state, [at_point, 150.0, 1e4]), key=lambda each: not each.interpolated)
    assert between.volume_A3 == pytest.approx(float(curve.volume(150.0)))
    assert between.parameters.c_over_a == pytest.approx(1.2 + 0.05 * np.log(30 / between.volume_A3), abs=1e-6)
    assert between.origin.startswith("interpolated to 150 GPa between the structures computed at ")
    assert between.computed_GPa[0] < 150 < between.computed_GPa[1]
    assert not computed.interpolated and computed.origin == f"as computed at {at_point:.1f} GPa"
    assert row(between)["space_group"] == "I4/mmm (139)"


@pytest.mark.parametrize("name", list(FORMATS))
def test_files_hold_the_structure_and_its_origin(state, name):
    [found] = structures_at(state, [150.0])
    text = text_of(found, name)
    assert "interpolated to 150 GPa" in text
    back = read(io.StringIO(text), format={"poscar": "vasp"}.get(name, name))
    assert volume_per_atom(back) == pytest.approx(found.volume_A3, rel=1e-5)
    assert str(space_group(back)) == "I4/mmm (139)"
    assert file_name(found, name) == "Na-low-150GPa" + FORMATS[name][0]


def test_a_format_that_is_not_there_is_told(state):
    with pytest.raises(InputError, match="--format is res; it can be cif, poscar, extxyz"):
        text_of(structures_at(state, [150.0])[0], "res")


def test_the_table_and_the_figure_have_what_symmetry_leaves_free(state):
    table = table_csv(structures_at(state, [100.0, 150.0])).splitlines()
    assert len(table) == 3 and table[0].startswith("phase,pressure_GPa,volume_A3_per_atom,a_A")
    series = cell_series(state)
    assert [name for name, _ in lengths(series)] == ["a", "c"]
    assert [name for name, _ in shape(series)] == ["c/a"]
    figure = cells_drawing([series]).figure
    markers = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in markers] == [len(series.computed)] * 2
