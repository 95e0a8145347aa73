"""The logic of a stability study without a DFT code: exact curves stand for the results."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from megabar.analysis.enthalpy import Outlier, VolumePoint
from megabar.analysis.eos import vinet_shapes
from megabar.structures.phase import Phase
from megabar.workflows.config import Config
from megabar.workflows.kinds.registry import load_study
from megabar.workflows.kinds.stability.answer import answer, off_text
from megabar.workflows.kinds.stability.cost import estimate
from megabar.workflows.kinds.stability.plan import StabilityPlan, resolve
from megabar.workflows.kinds.stability.wants import wanted_next
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.ladder import Ladder, Rung, chain_parents, first_indices
from megabar.workflows.parts.volumes.phase_state import phase_states
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.relaxing import LEFT_PHASE

GPA = 160.21766208
Truth = dict[str, tuple[float, float, float, float]]
TRUTH: Truth = {  # e0 (eV/atom), v0 (Å³/atom), K0 (GPa), K0'
    "Na-low": (0.0, 37.0, 8.0, 4.0),
    "Na-high": (0.20, 33.0, 9.0, 4.0),
    "He-one": (0.0, 12.0, 12.0, 5.5),
    "Na2He": (0.40, 27.0, 8.0, 4.05),
}
FORMULAS = {"Na-low": "Na", "Na-high": "Na", "He-one": "He", "Na2He": "Na2He"}
METHOD = Method("emt", "none", "fast", "EMT", ())


def ladder(name: str, window: tuple[float, float], relaxed: bool = False) -> Ladder:
    v0 = TRUTH[name][1]
    symbol = "Na" if FORMULAS[name] != "He" else "He"
    atoms = bulk(symbol, "fcc", a=4.0)
    if FORMULAS[name] == "Na2He":
        from ase import Atoms

        atoms = Atoms("Na2He", cell=[3, 3, 3], scaled_positions=[(0.25,) * 3, (0.75,) * 3, (0, 0, 0)], pbc=True)
    volume = next(v for v in np.geomspace(v0, v0 / 8, 4000) if pressure_at(TRUTH[name], v) >= 100.0)
    atoms.set_cell(atoms.cell.array * (volume * len(atoms) / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    phase = Phase(name, atoms, 100.0, window, "invented")
    return Ladder(
        phase=name,
        formula=FORMULAS[name],
        source="invented",
        doi="",
        note="",
        structure=Structure.of(atoms),
        pressure_GPa=100.0,
        known_GPa=window,
        window_GPa=window,
        settings={"kpoints": [1, 1, 1]},
        relaxation=Relax(0.01, 0.1, True) if relaxed else None,
        first=first_indices(phase, window, (0.0, 300.0)),
    )


def pressure_at(truth: tuple[float, float, float, float], volume: float) -> float:
    return float(truth[2] * vinet_shapes(volume, truth[1], truth[3])[1])


def record(plan: StabilityPlan, rung: Rung, truth: Truth) -> CalculationRecord:
    calculation = plan.calculation_of(rung)
    assert calculation.key == rung.key  # what an import compares
    volume = calculation.structure.volume_per_atom
    e0, v0, k0, k1 = truth[rung.phase]
    energy = e0 + k0 / GPA * float(vinet_shapes(volume, v0, k1)[0])
    return CalculationRecord(
        key=rung.key,
        calculation=calculation.to_dict(),
        state="done",
        energy_eV_per_atom=energy,
        pressure_GPa=pressure_at(truth[rung.phase], volume),
        volume_A3_per_atom=volume,
        structure=asdict(calculation.structure),
    )


def play(
    plan: StabilityPlan, outcome: Callable[[StabilityPlan, Rung], CalculationRecord], rounds: int = 100
) -> tuple[list[dict[str, Any]], dict[str, CalculationRecord]]:
    """Let a study have all that it wants, round by round, as the driver does."""
    rungs: list[dict[str, Any]] = []
    records: dict[str, CalculationRecord] = {}
    for _ in range(rounds):
        wanted = wanted_next(plan, rungs, records)
        if not wanted:
            return rungs, records
        for rung in wanted:
            assert rung.key not in records, "asked for twice"
            rungs.append(rung.to_dict())
            records[rung.key] = outcome(plan, rung)
    raise AssertionError("the study never ends")


def exact(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
    return record(plan, rung, TRUTH)


def plan_of(*ladders: Ladder, top: float = 300.0) -> StabilityPlan:
    pressures = tuple(float(p) for p in range(0, int(top) + 1, 10))
    return StabilityPlan("Na-He", pressures, 0.001, 0.002, METHOD, ladders, toy=False)


def enthalpy(name: str, pressure: float) -> float:
    e0, v0, k0, k1 = TRUTH[name]
    volumes = np.linspace(v0 / 8, 1.1 * v0, 200001)
    energies = e0 + k0 / GPA * vinet_shapes(volumes, v0, k1)[0]
    return float((energies + pressure / GPA * volumes).min())


def exact_crossing(difference: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(difference, low, high, xtol=1e-6))


WHOLE = (0.0, 300.0)


def test_answer_equals_the_exact_one_within_its_error() -> None:
    plan = plan_of(*(ladder(name, WHOLE) for name in TRUTH))
    rungs, records = play(plan, exact)
    found = answer(plan, rungs, records)
    assert found.stability is not None
    [formation] = [each for each in found.stability.transitions if "Na2He" in each.appears]

    def reaction(p: float) -> float:
        return (
            enthalpy("Na2He", p)
            - 2 / 3 * min(enthalpy("Na-low", p), enthalpy("Na-high", p))
            - enthalpy("He-one", p) / 3
        )

    truth = exact_crossing(reaction, 20.0, 299.0)
    assert formation.error_GPa is not None
    assert abs(formation.pressure_GPa - truth) < max(3 * formation.error_GPa, 0.05)
    assert abs(formation.pressure_GPa - truth) < 1.0
    assert "2 Na + He → Na2He" in formation.reaction.text


def test_phases_are_computed_where_they_matter() -> None:
    everywhere = plan_of(*(ladder(name, WHOLE) for name in TRUTH))
    windows = {"Na-low": (0.0, 30.0), "Na-high": (10.0, 300.0), "He-one": WHOLE, "Na2He": (60.0, 300.0)}
    known = plan_of(*(ladder(name, window) for name, window in windows.items()))
    some, all_ = (play(plan, exact) for plan in (known, everywhere))
    assert len(some[0]) < 0.8 * len(all_[0])
    assert len(some[0]) <= len(known.pressures_GPa) * len(known.ladders) / 3
    first, second = (answer(plan, *played).stability for plan, played in ((known, some), (everywhere, all_)))
    assert first is not None
    assert second is not None
    for one, other in zip(first.transitions, second.transitions, strict=True):
        assert one.reaction.text == other.reaction.text
        assert abs(one.pressure_GPa - other.pressure_GPa) < 1.0


def wide(name: str) -> Ladder:
    return ladder(name, WHOLE)


def test_phase_stable_at_the_end_of_its_window_is_followed() -> None:
    low = ladder("Na-low", (0.0, 15.0))
    plan = plan_of(low, wide("He-one"))
    rungs, records = play(plan, exact)
    curve = answer(plan, rungs, records).curve("Na-low")
    assert curve is not None
    assert curve.to_GPa >= 300.0
    assert any(rung["purpose"] == "extension" for rung in rungs)


def test_relaxations_start_from_their_neighbours() -> None:
    plan = plan_of(ladder("Na-low", WHOLE, relaxed=True), wide("He-one"))
    rungs, _ = play(plan, exact)
    own = [Rung.from_dict(rung) for rung in rungs if rung["phase"] == "Na-low"]
    keys = {rung.key: rung.index for rung in own}
    assert [rung.index for rung in own if not rung.starts] == [Fraction(0)]
    for rung in own:
        for start in rung.starts:
            assert abs(keys[start] - rung.index) <= 2


def test_studies_with_other_pressures_share_calculations() -> None:
    small = plan_of(ladder("Na-low", (0.0, 100.0), True), ladder("He-one", (0.0, 100.0)), top=100.0)
    large = plan_of(ladder("Na-low", WHOLE, True), wide("He-one"))
    keys_small = {rung["key"] for rung in play(small, exact)[0]}
    keys_large = {rung["key"] for rung in play(large, exact)[0]}
    assert len(keys_small & keys_large) >= 0.7 * len(keys_small)


def failing(bad: Callable[[Rung], bool]) -> Callable[[StabilityPlan, Rung], CalculationRecord]:
    def outcome(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
        if bad(rung):
            content = plan.calculation_of(rung).to_dict()
            return CalculationRecord(key=rung.key, calculation=content, state="failed", cause="scf", detail="no")
        return exact(plan, rung)

    return outcome


def test_a_phase_that_fails_is_named_and_the_rest_goes_on() -> None:
    plan = plan_of(*(ladder(name, WHOLE, relaxed=True) for name in TRUTH))
    rungs, records = play(plan, failing(lambda rung: rung.phase == "Na-high"))
    found = answer(plan, rungs, records)
    assert found.stability is not None
    assert {failure.phase for failure in found.failures} == {"Na-high"}
    assert any("Na-high" in warning for warning in found.warnings)
    assert "Na2He" in {interval.phase for interval in found.stability.intervals}


def test_one_failed_volume_is_passed_over() -> None:
    plan = plan_of(ladder("Na-low", WHOLE, relaxed=True), wide("He-one"))
    rungs, records = play(plan, failing(lambda rung: rung.phase == "Na-low" and rung.index == 1))
    found = answer(plan, rungs, records)
    curve = found.curve("Na-low")
    assert curve is not None
    assert curve.to_GPa >= 299.0
    assert [failure.cause for failure in found.failures] == ["scf"]


def test_element_that_fails_leaves_no_hull_but_an_answer() -> None:
    plan = plan_of(wide("Na-low"), wide("He-one"))
    rungs, records = play(plan, failing(lambda rung: rung.phase == "He-one"))
    found = answer(plan, rungs, records)
    assert found.stability is None
    assert found.json()["stable"] == []


def test_wanting_again_without_news_asks_for_nothing_twice() -> None:
    plan = plan_of(wide("Na-low"), wide("He-one"))
    first = wanted_next(plan, [], {})
    assert first
    assert wanted_next(plan, [rung.to_dict() for rung in first], {}) == []


def test_plan_and_rungs_survive_json() -> None:
    import json

    plan = plan_of(ladder("Na-low", WHOLE, True), wide("He-one"))
    again = StabilityPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again.fingerprint == plan.fingerprint
    rungs, records = play(plan, exact)
    assert Rung.from_dict(json.loads(json.dumps(rungs[0]))) == Rung.from_dict(rungs[0])
    states = phase_states(again, rungs, records)
    assert all(not state.open for state in states)


@pytest.mark.parametrize(
    ("index", "done", "parents"),
    [
        (Fraction(3), [1, 2], [2, 1]),
        (Fraction(-2), [0, 1], [0]),
        (Fraction(-2), [-1, 0], [-1, 0]),
        (Fraction(1, 2), [0, 1], [0, 1]),
        (Fraction(0), [], []),
        (Fraction(4), [0, 1], [1]),
    ],
)
def test_chain_parents(index: Fraction, done: list[int], parents: list[int]) -> None:
    assert list(chain_parents(index, [Fraction(each) for each in done])) == parents


def test_rungs_are_on_one_grid_whatever_the_study() -> None:
    one, other = ladder("Na-low", (0.0, 100.0)), ladder("Na-low", WHOLE)
    assert math.isclose(one.volume(Fraction(1, 2)), other.volume(Fraction(1, 2)))
    assert one.index_at(one.volume(Fraction(3, 4))) == Fraction(3, 4)


def test_neighbouring_rungs_are_a_fifth_apart_in_ln_volume() -> None:
    # Keys of all that is stored hang on it.
    found = ladder("Na-low", WHOLE)
    assert math.log(found.volume(0) / found.volume(1)) == pytest.approx(0.2, abs=1e-12)
    assert math.log(found.volume(Fraction(-1, 2)) / found.volume(0)) == pytest.approx(0.1, abs=1e-12)


def test_a_phase_that_stays_a_little_above_its_polymorph_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, volume, *rest = TRUTH["Na-low"]
    monkeypatch.setitem(TRUTH, "Na-twin", (energy + 1e-3, volume * (1 + 1e-5), *rest))  # one cell is one calculation
    monkeypatch.setitem(FORMULAS, "Na-twin", "Na")
    plan = plan_of(ladder("Na-low", WHOLE), ladder("Na-twin", (0.0, 15.0)), wide("He-one"))
    assert plan.resolution_eV > 1e-3  # so that it competes
    rungs, _ = play(plan, exact)
    assert not [rung for rung in rungs if rung["phase"] == "Na-twin" and rung["purpose"] == "extension"]


def test_the_judge_is_asked_at_the_transition_only(tmp_path: Path) -> None:
    from dataclasses import replace

    coarse = {"kpoints": [2, 2, 2]}
    same = {"judge_settings": coarse, "reference_settings": coarse}
    ladders = [replace(ladder(name, WHOLE), **same) for name in TRUTH]
    plan = replace(plan_of(*ladders), judge=Method("elk", "8.4", "moderate", "PBE", ()))

    def outcome(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
        exact_record = exact(plan, rung)
        if rung.kind != "judge":
            return exact_record
        offset = 0.003 if rung.phase == "Na2He" else 0.0  # the judge puts Na2He 3 meV/atom higher
        assert exact_record.energy_eV_per_atom is not None
        return exact_record.model_copy(
            update={"energy_eV_per_atom": exact_record.energy_eV_per_atom + offset, "pressure_GPa": None}
        )

    rungs, records = play(plan, outcome)
    found = answer(plan, rungs, records)
    assert found.stability is not None
    [verdict] = [each for each in found.verdicts if "Na2He" in each.reaction]
    [formation] = [each for each in found.stability.transitions if "Na2He" in each.appears]
    assert math.isclose(verdict.difference_eV, 0.003, abs_tol=1e-9)
    expected = formation.pressure_GPa - 0.003 * GPA / formation.delta_volume
    assert math.isclose(verdict.judged_GPa, expected, rel_tol=1e-6)
    assert verdict.judged_GPa > formation.pressure_GPa
    assert sum(rung["kind"] == "judge" for rung in rungs) <= 6


def test_a_phase_that_turns_into_another_is_followed_half_a_step() -> None:
    plan = plan_of(ladder("Na-low", WHOLE, relaxed=True), wide("He-one"))

    def outcome(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
        if rung.phase == "Na-low" and rung.index > 1:
            content = plan.calculation_of(rung).to_dict()
            return CalculationRecord(key=rung.key, calculation=content, state="left", cause=LEFT_PHASE, detail="")
        return exact(plan, rung)

    rungs, records = play(plan, outcome)
    tried = sorted(Fraction(rung["index"]) for rung in rungs if rung["phase"] == "Na-low")
    assert tried[-2:] == [Fraction(3, 2), Fraction(2)] or tried[-1] == Fraction(3, 2)
    curve = answer(plan, rungs, records).curve("Na-low")
    assert curve is not None
    assert curve.to_GPa < 300.0


def test_different_methods_are_not_mixed() -> None:
    from dataclasses import replace

    from megabar.structures.errors import InputError
    from megabar.workflows.codes.interface import AtomicData
    from megabar.workflows.kinds.stability.plan import check_same_method

    one = plan_of(wide("Na-low"))
    check_same_method([one, plan_of(wide("He-one"))])
    sets = [AtomicData("Na", "", letter * 64, 0.8, 500.0, "") for letter in "ab"]
    others = {
        "functional": replace(one, method=replace(METHOD, functional="LDA")),
        "protocol": replace(one, method=replace(METHOD, protocol="moderate")),
        "version": replace(one, method=replace(METHOD, version="1")),
        "settings": replace(one, ladders=(replace(one.ladders[0], settings={"kpoints": [1, 1, 1], "cutoff_eV": 1.0}),)),
    }
    for name, other in others.items():
        with pytest.raises(InputError, match=name):
            check_same_method([one, other])
    with_data = [replace(one, method=replace(METHOD, data=(each,))) for each in sets]
    with pytest.raises(InputError, match="PAW sets of Na"):
        check_same_method(with_data)


def test_polymorphs_that_the_method_does_not_resolve_are_named() -> None:
    from dataclasses import replace

    twin = replace(ladder("Na-low", WHOLE), phase="Na-twin", settings={"kpoints": [2, 2, 2]})
    TRUTH["Na-twin"] = TRUTH["Na-low"]
    try:
        plan = plan_of(ladder("Na-low", WHOLE), twin, wide("He-one"))
        found = answer(plan, *play(plan, exact))
    finally:
        del TRUTH["Na-twin"]
    assert any("Na-low and Na-twin are closer" in warning for warning in found.warnings)


OTHER = Method("emt", "none", "fast", "LDA", ())
SHIFTS = {"Na-low": 0.0, "Na-high": 0.03, "He-one": 0.01, "Na2He": 0.02}
"""What the other functional adds to the energy (eV/atom); it also presses less: 2 GPa everywhere."""


def with_other_functional(plan: StabilityPlan) -> StabilityPlan:
    from dataclasses import replace

    ladders = tuple(
        replace(each, functional_settings={"LDA": {**each.settings, "functional": "LDA"}}) for each in plan.ladders
    )
    return replace(plan, functionals=(OTHER,), ladders=ladders)


def by_either(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
    found = exact(plan, rung)
    if rung.kind == "main":
        return found
    assert rung.kind == "functional LDA" and rung.start is not None
    volume = found.volume_A3_per_atom or 0.0
    energy = (found.energy_eV_per_atom or 0.0) + SHIFTS[rung.phase] + 2.0 / GPA * volume
    return found.model_copy(update={"energy_eV_per_atom": energy, "pressure_GPa": (found.pressure_GPa or 0.0) - 2.0})


def test_another_functional_has_a_hull_of_its_own_from_the_same_structures() -> None:
    plan = with_other_functional(plan_of(*(ladder(name, WHOLE) for name in TRUTH)))
    rungs, records = play(plan, by_either)
    relaxed = {rung["key"] for rung in rungs if rung["kind"] == "main"}
    others = [rung for rung in rungs if rung["kind"] == "functional LDA"]
    assert {rung["starts"][0] for rung in others} == relaxed
    assert len({rung["key"] for rung in others} | relaxed) == 2 * len(relaxed)
    found = answer(plan, rungs, records)
    assert found.stability is not None
    [lda] = found.others
    [own] = [each for each in found.stability.transitions if each.reaction.text == "Na-low → Na-high"]

    def difference(p: float) -> float:
        # E + 2 GPa V + P V: the enthalpy by the study's own functional at P + 2 GPa
        return enthalpy("Na-high", p + 2) + SHIFTS["Na-high"] - enthalpy("Na-low", p + 2)

    truth = exact_crossing(difference, 0.0, 290.0)
    assert lda.pressure(own) == pytest.approx(truth, abs=0.1)
    assert abs(truth - own.pressure_GPa) > 1
    assert own.error_parts_GPa["functional"] == pytest.approx(abs((lda.pressure(own) or 0.0) - own.pressure_GPa))
    assert (own.error_GPa or 0.0) > own.error_parts_GPa["functional"]
    document = found.json()
    [row] = document["functionals"]
    assert row["functional"] == "LDA" and row["pressures_GPa"]["Na-low → Na-high"] == lda.pressure(own)
    assert document["error_not_included"] == ["zero-point motion", "temperature"]
    assert "LDA" in document["error_sources"]["functional"]


def test_a_functional_that_fails_for_an_element_is_said_and_costs_no_answer() -> None:
    def failing(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
        found = by_either(plan, rung)
        lost = rung.kind != "main" and rung.phase == "He-one"
        return found.model_copy(update={"state": "failed", "cause": "error", "detail": "no"}) if lost else found

    plan = with_other_functional(plan_of(*(ladder(name, WHOLE) for name in TRUTH)))
    found = answer(plan, *play(plan, failing))
    assert found.stability is not None and found.stability.transitions
    assert "LDA: no hull, as an element has no result by it" in found.warnings
    assert found.json()["functionals"][0]["missing"] == ["He-one"]


def test_a_plan_without_other_functionals_is_stored_as_before_there_were_any() -> None:
    plan = plan_of(*(ladder(name, WHOLE) for name in TRUTH))
    content = plan.to_dict()
    assert "functionals" not in content
    assert all("functional_settings" not in each for each in content["ladders"])
    assert StabilityPlan.from_dict(content) == plan
    other = with_other_functional(plan)
    assert StabilityPlan.from_dict(other.to_dict()) == other


def test_phases_that_may_be_magnetic_are_named_beside_their_numbers() -> None:
    from dataclasses import replace

    iron = replace(ladder("Na-low", WHOLE), phase="Fe-hcp", formula="Fe", note="stable at all pressures without spin")
    atoms = bulk("Fe", "bcc")
    iron = replace(iron, structure=Structure.of(atoms))
    plan = replace(plan_of(iron, ladder("He-one", WHOLE)), system="Fe-He")
    found = answer(plan, [], {})
    assert any("not spin-polarised: Fe may be magnetic" in note and "Fe-hcp" in note for note in found.warnings)
    assert any("stable at all pressures without spin" in note for note in found.warnings)
    assert set(found.without_spin) == {"Fe-hcp"}
    assert not any("spin" in note for note in answer(plan_of(ladder("He-one", WHOLE)), [], {}).warnings)


@pytest.mark.parametrize(
    ("energy_eV", "pressure_GPa", "text"),
    [
        (0.0123, 2.0, "12.3 meV/atom and 2.0 GPa"),
        (-0.00002, -1.26, "-1.3 GPa"),
        (0.004, 0.01, "4.0 meV/atom"),
        (-0.00002, 0.01, "-0.02 meV/atom and 0.01 GPa"),
    ],
)
def test_how_far_a_point_is_off_is_said_without_what_rounds_to_nothing(
    energy_eV: float, pressure_GPa: float, text: str
) -> None:
    assert off_text(Outlier(VolumePoint(10.0, 0.0, 0.0), energy_eV, pressure_GPa, 5.0)) == text


def test_a_structure_under_two_names_is_computed_once_and_said(tmp_path: Path) -> None:
    for name, a in (("Cu-fcc", 3.6), ("mine", 3.4), ("other", 3.5)):
        bulk("Cu", "bcc" if name == "other" else "fcc", a=a, cubic=True).write(tmp_path / f"{name}.cif")
    text = "kind: stability\nsystem: Cu\npressures: [0, 10]\nphases: [{}]\nmethod: {{code: emt}}\n"
    plans = []
    for phases in ("Cu-fcc.cif, other.cif", "Cu-fcc.cif, mine.cif, other.cif"):
        (tmp_path / "s.yaml").write_text(text.format(phases))
        plans.append(resolve(load_study(tmp_path / "s.yaml"), Config(data=tmp_path)))
    alone, twice = plans
    assert [ladder.phase for ladder in twice.ladders] == [ladder.phase for ladder in alone.ladders]
    said = "mine is the same structure as Cu-fcc, and is answered as that"
    assert answer(twice, [], {}).warnings[1] == said
    assert estimate("twice", twice, None).notes == (said,)
    assert StabilityPlan.from_dict(json.loads(json.dumps(twice.to_dict()))) == twice
    assert alone.copies == ()
    assert "copies" not in alone.to_dict()  # its fingerprint is that of plans from before


METALS = [("Ca-bcc", math.inf, True), ("Ca-bcc", 5.7, False), ("He-hcp", math.inf, False)]


@pytest.mark.parametrize(("phase", "fermi", "told"), METALS)
def test_results_of_a_metal_without_empty_bands_are_named(phase: str, fermi: float, told: bool) -> None:
    """As earlier versions stored them; helium, which the library knows as an insulator, needs none."""
    from dataclasses import replace

    own = replace(ladder("He-one", WHOLE), phase=phase)
    TRUTH[phase] = TRUTH["He-one"]
    try:
        plan = plan_of(own)

        def outcome(plan: StabilityPlan, rung: Rung) -> CalculationRecord:
            return exact(plan, rung).model_copy(update={"observables": {"fermi_eV": fermi}})

        found = answer(plan, *play(plan, outcome))
    finally:
        del TRUTH[phase]
    assert any("no empty band" in note for note in found.warnings) is told
