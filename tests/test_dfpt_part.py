"""Perturbation theory as a part of studies: what is wanted next, how it stands, what it gives; no code runs."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from megabar.analysis.phonons.readers.espresso import matrices_of, read_espresso, read_polar
from megabar.analysis.superconductivity.readers.espresso_dyn import read_dyn
from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.parts.lattice import dfpt
from megabar.workflows.parts.lattice.sites import SiteRung
from megabar.workflows.parts.method import Method
from megabar.workflows.records import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import GroundState
from megabar.workflows.tasks.registry import read_task
from megabar.workflows.tasks.response import Dielectric, DynamicalMatrix

DATA = Path(__file__).parent / "data" / "dfpt" / "mgo_q222.tar.xz"
PRIMITIVE = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
SETTINGS = dfpt.dfpt_settings(
    {"functional": "PBE", "smearing": {"kind": "cold", "width_eV": 0.1}, "constant_cutoff": {}, "kpoints": [2, 2, 2]},
    kpoints=[4, 4, 4],
    scf_energy_eV=1e-9,
)
SITE = dfpt.PerturbedSite(
    "MgO-B1 at 0 GPa",
    Structure.of(bulk("MgO", "rocksalt", a=4.25, cubic=True)),
    "relaxed",
    PRIMITIVE,
    Method("espresso", "6.7", "fast", "PBE", ()),
    SETTINGS,
    (2, 2, 2),
    insulating=True,
)


@pytest.fixture(scope="module")
def mgo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mgo")
    with tarfile.open(DATA) as archive:
        archive.extractall(folder, filter="data")
    return folder / "mgo_q222"


def record(rung: SiteRung, state: str = "done") -> CalculationRecord:
    number = rung.index or 1
    observables = {"q_number": number, "q_points": 3, "frequencies_THz": [0.0] * 6}
    structure = Structure.of(SITE.cell).to_dict()
    return CalculationRecord(key=rung.key, calculation={}, state=state, structure=structure, observables=observables)


def play(site: dfpt.PerturbedSite) -> tuple[list[list[tuple[str, int]]], dfpt.PerturbedState]:
    """Return what is wanted in each round, all of it done before the next, and how it stands in the end."""
    rounds, rungs, records = [], [], {}
    while found := dfpt.wanted(site.state(rungs, records)):
        assert dfpt.wanted(site.state(rungs, records)) == found  # it is a pure function
        for rung in found:
            assert site.calculation(rung.to_dict()).key == rung.key
            assert rung.structure_of == "relaxed"
        rounds.append(sorted((rung.kind, rung.index) for rung in found))
        rungs += [rung.to_dict() for rung in found]
        assert dfpt.wanted(site.state(rungs, records)) == []  # they are open
        records |= {rung.key: record(rung) for rung in found}
    return rounds, site.state(rungs, records)


def test_an_insulator_has_gamma_from_the_response_to_fields() -> None:
    rounds, state = play(SITE)
    assert rounds == [
        [("dfpt-ground-state", 0), ("dielectric", 0)],
        [("dynamical-matrix", 2), ("dynamical-matrix", 3)],
    ]
    assert state.complete and not state.failed


def test_a_metal_has_no_fields_and_born_charges_alone_need_no_ground_state() -> None:
    rounds, _ = play(replace(SITE, insulating=False))
    assert rounds == [[("dfpt-ground-state", 0)], [("dynamical-matrix", number) for number in (1, 2, 3)]]
    rounds, state = play(replace(SITE, q_grid=None))
    assert rounds == [[("dielectric", 0)]]
    assert state.complete and dfpt.perturbed_constants(state, lambda key: {}) is None
    assert play(replace(SITE, q_grid=None, insulating=False))[0] == []


def test_what_failed_holds_up_what_goes_on_from_it_and_nothing_else() -> None:
    first = dfpt.wanted(SITE.state([], {}))
    rungs = [rung.to_dict() for rung in first]
    records = {rung.key: record(rung, "failed" if rung.kind == dfpt.GROUND_STATE else "done") for rung in first}
    state = SITE.state(rungs, records)
    assert dfpt.wanted(state) == [] and not state.complete
    assert state.failed == [rung.key for rung in first if rung.kind == dfpt.GROUND_STATE]


def test_settings_and_cells_are_those_of_ph() -> None:
    ground, gamma = SITE.ground_state(), SITE.dielectric()
    assert "constant_cutoff" not in ground.settings and ground.settings["kpoints"] == [4, 4, 4]
    assert ground.settings["occupations"] == gamma.settings["occupations"] == "fixed"
    assert "phonon_threshold" not in ground.settings and gamma.settings["phonon_threshold"] == 1e-14
    assert len(gamma.structure.symbols) == 2 and gamma.inputs == ()
    point = SITE.matrix(2, ground.key)
    assert (point.settings["q_grid"], point.settings["q_number"]) == ([2, 2, 2], 2)
    assert [tuple(each) for each in point.inputs] == [("ground-state", ground.key)]
    metal = replace(SITE, insulating=False)
    assert "occupations" not in metal.ground_state().settings
    assert metal.ground_state().key != ground.key
    for each in (ground, gamma, point):
        assert Calculation.from_dict(each.to_dict()) == replace(each, settings=dict(each.settings))


def test_tasks_are_stored_so_that_earlier_versions_leave_them_alone() -> None:
    assert read_task({"task": "ground-state"}) == GroundState()
    assert GroundState().stored() == {"relaxation": None, "task": "ground-state"}  # as it always was
    plain = GroundState(coupling=False).stored()
    assert plain == {"task": "ground-state", "parameters": {"coupling": False}}
    assert read_task(plain) == GroundState(coupling=False)
    for task in (Dielectric(), DynamicalMatrix()):
        assert read_task(task.stored()) == task


def test_costs_are_those_of_the_responses() -> None:
    ground, gamma, point = SITE.ground_state(), SITE.dielectric(), SITE.matrix(2, "x")
    assert ground.task.work(ground) == 2.0
    # 8 of 64 k-points at Γ: of 8 irreducible ones all; six displacements, three fields, two self-consistencies.
    assert gamma.task.work(gamma) == pytest.approx(2 + 9 * 0.25)
    assert point.task.work(point) > 6 * 0.25  # more k-points where a q breaks the symmetry


def test_force_constants_are_those_of_the_files(mgo: Path) -> None:
    _, state = play(SITE)
    polar = read_polar(mgo / "dyn1")
    assert polar is not None
    kept: dict[str, dict[str, Any]] = {}
    for kind, numbers in (("dielectric", {0: 1}), ("dynamical-matrix", {2: 2, 3: 3})):
        for index, file in numbers.items():
            found = matrices_of([read_dyn(mgo / f"dyn{file}")])
            arrays: dict[str, Any] = {"q": found.q, "force_constants_eV_A2": found.values}
            if kind == "dielectric":
                arrays |= {"born_e": polar.born, "dielectric": polar.dielectric}
            kept[state.keys[kind][index]] = arrays
    crystal = dfpt.perturbed_constants(state, kept.__getitem__)
    assert crystal is not None and crystal.polar is not None
    expected = read_espresso(mgo)
    q = [[0.3, 0.2, 0.1], [0.5, 0.5, 0.0]]
    # The masses of the files are pw.x's, ours those of ASE: both the standard atomic weights.
    assert crystal.modes(q).frequencies_THz == pytest.approx(expected.modes(q).frequencies_THz, abs=0.003)
    charges = dfpt.charges_of(state, kept.__getitem__)
    assert charges is not None and charges.violation_e == pytest.approx(0.0750510, abs=1e-6)
    assert np.allclose(crystal.polar.born, charges.of(SITE.cell).born)


def test_a_q_grid_for_a_supercell_length() -> None:
    primitive = SITE.cell
    assert dfpt.q_grid_for(primitive, 6.0) == (2, 2, 2)  # 2 × 4.25/√2 = 6.01 Å
    assert dfpt.q_grid_for(primitive, 6.1) == (3, 3, 3)
    assert dfpt.q_grid_for(bulk("Mg", "hcp", a=3.2, c=5.2), 9.0) == (3, 3, 2)
    with pytest.raises(InputError, match="more than 24 points"):
        dfpt.q_grid_for(primitive, 100.0)


def test_codes_and_functionals_without_a_response_are_told() -> None:
    file = Path("study.yaml")
    dfpt.check_method("espresso", "PBEsol", file)
    dfpt.check_method("gpaw", "PBE+D4", file, phonons=False)
    with pytest.raises(InputError, match=r"ph\.x has no response of it; it has LDA, PBE, PBEsol"):
        dfpt.check_method("espresso", "PBE+D3", file)
    with pytest.raises(InputError, match="perturbation theory is not set up: displacements serve"):
        dfpt.check_method("gpaw", "PBE", file)
    with pytest.raises(InputError, match="Born charges are not computed here: give a BORN file, or use"):
        dfpt.check_method("abinit", "PBE", file, phonons=False)
