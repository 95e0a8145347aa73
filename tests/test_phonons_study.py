"""Studies of phonons by the toy code: what is read, planned, wanted and answered, against direct computation."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from playing import Played, play

from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.report import Asked
from megabar.analysis.phonons.spectrum import spectrum
from megabar.structures.errors import InputError
from megabar.workflows.config import Config
from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.text import study_text
from megabar.workflows.kinds.registry import KINDS, load_study, resolve
from megabar.workflows.parts.lattice.supercell import LatticeAsked, supercell_for
from megabar.workflows.question import MethodChoice

GOOD = """\
kind: phonons
phases: Al-fcc
pressures: [0, 20]
method: {code: emt}
"""


def planned(folder: Path, text: str = GOOD) -> PhononPlan:
    path = folder / "al.yaml"
    path.write_text(text, encoding="utf-8")
    plan = resolve(load_study(path), Config(data=folder / "data"))
    assert isinstance(plan, PhononPlan)
    return plan


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("phonons")
    text = GOOD + "temperatures: [300, 600]\nelastic: true\n"
    return play("phonons", planned(folder, text), folder)


@pytest.fixture(scope="module")
def found(played: Played) -> PhononAnswer:
    answer = played.answer()
    assert isinstance(answer, PhononAnswer)
    return answer


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.replace("phases", "phasen"), 2, ("phasen", "did you mean phases")),
        (GOOD.replace("Al-fcc", "Al-fc"), 2, ("Al-fc", "did you mean Al-fcc")),
        (GOOD.replace("Al-fcc", "[Al-fcc, Al-fcc]"), 2, ("two phases have the name 'Al-fcc'",)),
        (GOOD + "temperatures: [-5]\n", 5, ("-5 K is not possible",)),
        (GOOD + "temperatures: {from: 0, to: 300}\n", 5, ("a number, a list, or `{from: , to: , step: }`",)),
        (GOOD + "masses: {H: 2.014}\n", 5, ("no H in Al-fcc",)),
        (GOOD + "masses: {Al: 2}\n", 5, ("no isotope of Al",)),
        (GOOD + "supercell: {length_A: 8, repeats: [2, 2, 2]}\n", 5, ("give one of them",)),
        (GOOD + "supercell: {length_A: 1}\n", 5, ("length_A",)),
        (GOOD.replace("[0, 20]", "[9000]"), 3, ("9000 GPa", "5000 GPa")),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, words: tuple[str, ...]) -> None:
    path = tmp_path / "al.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    said = str(caught.value)
    assert f"{path}, line {line}" in said
    assert all(word in said for word in words), said


def test_codes_without_forces_and_impossible_supercells_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="elk"):
        planned(tmp_path, GOOD.replace("emt", "elk"))
    with pytest.raises(InputError, match=r"al.yaml: Al-fcc: a supercell of 60 Å would need"):
        planned(tmp_path, GOOD + "supercell: {length_A: 60}\n")
    with pytest.raises(InputError, match="perturbation theory is not set up"):
        planned(tmp_path, GOOD + "force_constants: dfpt\n")
    with pytest.raises(InputError, match=r"Al-fcc: atoms of this supercell \(1 of them\) are 2.* Å from their images"):
        planned(tmp_path, GOOD + "supercell: {repeats: [1, 1, 1]}\n")


def test_a_plan_comes_back_from_the_database(tmp_path: Path) -> None:
    plan = planned(tmp_path, GOOD + "temperatures: 300\nmasses: {Al: 26}\n")
    again = PhononPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again.fingerprint == plan.fingerprint
    assert again.supercells == plan.supercells
    with pytest.raises(TypeError):
        PhononPlan.from_dict({**plan.to_dict(), "new": 1})


def test_temperatures_may_be_a_range(tmp_path: Path) -> None:
    plan = planned(tmp_path, GOOD + "temperatures: {from: 100, to: 300, step: 100}\n")
    assert plan.temperatures_K == (100, 200, 300)


def test_temperatures_add_volumes_below_the_pressures_asked_for(tmp_path: Path) -> None:
    assert planned(tmp_path).pressures_of("Al-fcc") == (0, 20)
    hot = planned(tmp_path, GOOD + "temperatures: [300, 900]\n").pressures_of("Al-fcc")
    assert hot[0] < -2
    assert {0.0, 20.0} < set(hot)
    assert len(hot) >= 4
    warm = planned(tmp_path, GOOD + "temperatures: 300\n").pressures_of("Al-fcc")
    assert hot[0] < warm[0] < 0


@pytest.mark.slow
def test_each_calculation_is_asked_for_once_and_for_a_reason(played: Played) -> None:
    kinds = Counter(rung["kind"] for rung in played.rungs)
    pressures = played.plan.pressures_of("Al-fcc")  # type: ignore[attr-defined]
    assert kinds["forces"] == len(pressures) + 1  # one supercell each by symmetry; once with larger displacements
    assert kinds["strain"] == 3 * (len(played.plan.strains("Al-fcc", "x", _cell(played)).numbers))  # type: ignore[attr-defined]
    assert all(record.done for record in played.records.values())
    assert len({rung["key"] for rung in played.rungs if rung["kind"] == "forces"}) == kinds["forces"]


def _cell(played: Played):  # type: ignore[no-untyped-def]
    from megabar.workflows.structure import Structure

    structure = next(each.structure for each in played.records.values() if each.structure)
    return Structure.from_dict(structure)


@pytest.mark.slow
def test_frequencies_are_those_of_the_same_crystal_computed_directly(found: PhononAnswer) -> None:
    at = next(each for each in found.crystals if each.pressure_GPa == 20)
    assert at.reached_GPa == pytest.approx(20, abs=0.3)
    direct = _directly(at.crystal)
    q = [[0, 0, 0.5], [0.25, 0.5, 0.1]]
    assert at.crystal.modes(q).frequencies_THz == pytest.approx(direct.modes(q).frequencies_THz, abs=0.02)


def _directly(crystal: Harmonic) -> Harmonic:
    """Return the force constants of the same cell from the second derivatives of EMT by tiny displacements."""
    from megabar.analysis.phonons.supercells import finite_moves, supercell_of

    cell, matrix, primitive = crystal.cell, crystal.supercell_matrix, crystal.primitive_matrix
    supercell = supercell_of(cell, matrix)
    forces, displacements = [], []
    for atom, move in finite_moves(cell, matrix, primitive, 0.005):
        moved = supercell.copy()
        moved.positions[atom] += move
        moved.calc = EMT()
        displacement = np.zeros((len(supercell), 3))
        displacement[atom] = move
        displacements.append(displacement)
        forces.append(moved.get_forces())
    from megabar.analysis.phonons.harmonic import harmonic

    return harmonic(cell, matrix, primitive, displacements, forces)


@pytest.mark.slow
def test_the_answer_says_errors_with_what_they_consist_of(found: PhononAnswer) -> None:
    rows = {row["pressure_GPa"]: row for row in found.json()["phases"]}
    first = rows[0.0]
    assert first["stable"]
    assert set(first["zero_point_error_parts_eV_per_atom"]) == {"supercell", "mesh", "displacement"}
    assert 0 < first["zero_point_error_eV_per_atom"] < 0.01
    assert "displacement" not in rows[20.0]["zero_point_error_parts_eV_per_atom"]
    assert first["asked"]
    assert not rows[min(rows)]["asked"]
    text = study_text(found.json())
    assert "Al-fcc" in text
    assert "quasi-harmonic" in text
    asked = found.json(Asked(q=((0.0, 0.0, 0.5),), temperatures_K=(100.0,)))
    assert len(asked["phases"][0]["frequencies_THz"][0]) == 3
    assert asked["phases"][0]["temperature_K"] == 100.0


@pytest.mark.slow
def test_gibbs_energies_minimise_what_the_force_constants_give(played: Played, found: PhononAnswer) -> None:
    [thermo] = found.thermo
    row = next(r for r in thermo.rows() if (r["pressure_GPa"], r["temperature_K"]) == (0.0, 600.0))
    # F(V) + PV directly: EMT's energy, and the harmonic free energy of the crystals between which it lies.
    volumes = np.array([each.crystal.volume_A3_per_atom for each in found.crystals])
    order = np.argsort(volumes)
    thermal = np.array([spectrum(found.crystals[i].crystal).thermal([600.0]).free_energy_eV[0] for i in order])

    def total(volume: float) -> float:
        atoms = bulk("Al", a=(4 * volume) ** (1 / 3))
        atoms.calc = EMT()
        return float(atoms.get_potential_energy() + np.interp(volume, volumes[order], thermal))

    fine = np.linspace(volumes.min() + 1e-6, volumes.max() - 1e-6, 400)
    values = [total(volume) for volume in fine]
    assert row["gibbs_eV"] == pytest.approx(min(values), abs=3e-3)
    assert row["volume_A3"] == pytest.approx(fine[int(np.argmin(values))], rel=0.03)
    cold = next(r for r in thermo.rows() if (r["pressure_GPa"], r["temperature_K"]) == (0.0, 0.0))
    assert cold["volume_A3"] < row["volume_A3"]
    assert row["thermal_expansion_per_K"] > 2e-5
    assert row["heat_capacity_J_per_mol_K"] == pytest.approx(3 * units.kB * units.mol / units.J, rel=0.2)


@pytest.mark.slow
def test_elastic_constants_are_the_slope_of_the_stress(found: PhononAnswer) -> None:
    at = next(each for each in found.elastic if each.pressure_GPa == 20 and each.temperature_K is None)
    assert at.found is not None
    cell = next(each for each in found.crystals if each.pressure_GPa == 20).crystal.cell

    def stress_GPa(strain: float) -> float:
        atoms = cell.copy()
        atoms.set_cell(cell.cell.array @ np.diag([1 + strain, 1, 1]), scale_atoms=True)
        atoms.calc = EMT()
        return float(atoms.get_stress()[0] / units.GPa)

    b11 = (stress_GPa(0.01) - stress_GPa(-0.01)) / 0.02
    constants = at.found.json()["stress_strain_GPa"]
    assert constants["B11"] == pytest.approx(b11, rel=0.03)
    assert at.found.moduli.bulk_GPa == pytest.approx((constants["B11"] + 2 * constants["B12"]) / 3, rel=1e-6)
    hot = [each for each in found.elastic if each.temperature_K == 600 and each.pressure_GPa == 20]
    assert hot[0].found is not None
    assert hot[0].found.moduli.bulk_GPa < at.found.moduli.bulk_GPa  # it has expanded


@pytest.mark.slow
def test_other_masses_move_frequencies_and_nothing_else(played: Played) -> None:
    plan = replace(played.plan, masses={"Al": 2 * 26.98})  # type: ignore[type-var]
    heavy = KINDS["phonons"].answer(plan, played.rungs, played.records, played.histories)
    light = played.answer()
    one, two = (each.json()["phases"][0]["zero_point_eV_per_atom"] for each in (light, heavy))
    assert one / two == pytest.approx(np.sqrt(2), rel=1e-3)


@pytest.mark.slow
def test_pulay_stress_keeps_no_study_from_its_supercells(tmp_path: Path) -> None:
    plan = planned(tmp_path, GOOD.replace("[0, 20]", "20"))
    done = play("phonons", plan, tmp_path, pulay_eV=-0.5)
    at = done.answer().crystals[0]
    assert at.constants is not None
    assert at.reached_GPa == pytest.approx(20, abs=0.5)
    raw = next(done.records[rung["key"]].pressure_GPa for rung in done.rungs if rung["kind"] == "structure")
    assert raw < 17  # what the code said, 7 GPa of it the basis


@pytest.mark.slow
def test_sound_of_isotopes_is_theirs(played: Played) -> None:
    plan = replace(played.plan, masses={"Al": 2 * 26.98})  # type: ignore[type-var]
    heavy = KINDS["phonons"].answer(plan, played.rungs, played.records, played.histories)
    one, two = (each.elastic[0].json() for each in (played.answer(), heavy))
    assert two["density_g_cm3"] / one["density_g_cm3"] == pytest.approx(2, rel=1e-3)
    assert one["sound_debye_km_s"] / two["sound_debye_km_s"] == pytest.approx(np.sqrt(2), rel=1e-3)


@pytest.mark.slow
def test_supercells_that_fail_are_told_and_the_rest_is_answered(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    done = play("phonons", plan, tmp_path, lambda rung: rung["kind"] == "forces" and "20 GPa" in rung["phase"])
    answer = done.answer().json()
    rows = {row["pressure_GPa"]: row for row in answer["phases"]}
    assert rows[0.0]["stable"]
    assert rows[20.0]["missing"] == "1 of 1 supercells are missing, 1 of them failed"
    assert [each["what"] for each in answer["failures"]] == ["supercell 1"]


@pytest.mark.slow
def test_random_displacements_are_taken_where_they_cost_less(tmp_path: Path) -> None:
    finite = planned(tmp_path).supercells[0]
    assert (finite.count, finite.random, finite.considered) == (1, 0, 2)
    forced = planned(tmp_path, GOOD + "supercell: {displacements: random}\n")
    assert forced.supercells[0].random == 2
    done = play("phonons", forced, tmp_path)
    rows = done.answer().json()["phases"]
    assert all(row["forces_unexplained_share"] < 0.05 for row in rows)
    direct = play("phonons", planned(tmp_path), tmp_path / "finite").answer().json()["phases"]
    assert rows[0]["zero_point_eV_per_atom"] == pytest.approx(direct[0]["zero_point_eV_per_atom"], rel=0.01)


@pytest.mark.slow
def test_a_crystal_of_little_symmetry_takes_fewer_random_supercells(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    phase = load_study(tmp_path / "al.yaml").phases[0]
    skewed = replace(phase, atoms=_skewed())
    found = supercell_for(skewed, skewed.atoms, LatticeAsked(length_A=5.0), MethodChoice(code="emt"), plan.method)
    assert found.random
    assert found.random < found.considered / 2


def _skewed():  # type: ignore[no-untyped-def]
    from ase import Atoms

    random = np.random.default_rng(3)
    cell = np.diag([5.0, 5.4, 5.9]) + random.uniform(-0.4, 0.4, (3, 3))
    return Atoms("Al8", cell=cell, scaled_positions=random.uniform(size=(8, 3)), pbc=True)


@pytest.mark.slow
def test_imaginary_modes_are_followed_to_lower_structures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing holds a simple cubic metal under shear.
    write(tmp_path / "sc.cif", bulk("Cu", "sc", a=2.4))
    phase = "{file: sc.cif, name: Cu-sc, pressure: 0}"
    text = f"kind: phonons\nphases: {phase}\npressures: 0\nmethod: {{code: emt}}\nfollow: true\ncheck: false\n"
    played = play("phonons", planned(tmp_path, text), tmp_path)
    answer = played.answer().json()
    assert not answer["phases"][0]["stable"]
    assert answer["followed"]
    for row in answer["followed"]:
        assert row["frequency_THz"] < 0
        assert row["gain_eV_per_atom"] > 1e-3  # the mode led downhill
        assert row["space_group"] != "Pm-3m"
    assert "Where imaginary modes lead to" in study_text(answer)
    asked = [rung for rung in played.rungs if rung["kind"] == "followed"]
    assert len(asked) == 2 * len(answer["followed"])
    # What is not followed is told, with why.
    monkeypatch.setattr("megabar.workflows.kinds.phonons.follow.MOST_ATOMS", 0)
    left = [row["missing"] for row in played.answer().json()["followed"] if "missing" in row]
    assert left
    assert all(each.startswith("not followed: its cell has") for each in left)
