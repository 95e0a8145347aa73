"""The errors of transitions: their parts, their total, and whether a transition is resolved."""

from __future__ import annotations

import json
import math

import pytest
from ase.units import GPa
from curves import Line, crossing

from megabar.analysis.error_budget import ErrorPart, with_budget
from megabar.analysis.near_hull import near_hull
from megabar.analysis.stability import analyse
from megabar.analysis.stability_output import stability_json
from megabar.workflows import measured_errors
from megabar.workflows.measured_errors import protocol_error

LOW = Line("low")


def test_parts_are_errors_of_the_enthalpy_over_the_change_of_volume_and_add_up_as_squares():
    """ΔV = 0.2 Å³/atom: 5 meV/atom are 4.0 GPa, 2 × 0.1 meV of the curves 0.11 GPa."""
    stability = analyse([LOW, crossing(LOW, 9.8, 50.0, "high")])
    found = with_budget(stability, lambda each: [ErrorPart("protocol", 5e-3), ErrorPart("judge", 2e-3)])
    [transition] = found.transitions
    expected = {"interpolation": math.sqrt(2) * 1e-4, "protocol": 5e-3, "judge": 2e-3}
    assert transition.error_parts_GPa == pytest.approx({k: v / 0.2 / GPa for k, v in expected.items()})
    assert transition.error_parts_GPa["protocol"] == pytest.approx(4.005, abs=0.01)
    assert transition.error_GPa == pytest.approx(math.sqrt(sum((v / 0.2 / GPa) ** 2 for v in expected.values())))
    assert transition.resolved is True
    ends = [(each.phase, each.from_error_GPa, each.to_error_GPa) for each in found.intervals]
    assert ends == [("low", None, transition.error_GPa), ("high", transition.error_GPa, None)]
    document = stability_json(found)["transitions"][0]
    assert document["error_GPa"] == transition.error_GPa
    assert document["error_parts_GPa"] == dict(transition.error_parts_GPa)


ROOMS = [(20, 0.02, True), (20, 0.03, False), (4, 0.006, False)]


@pytest.mark.parametrize(("width_GPa", "error_eV", "resolved"), ROOMS)
def test_a_transition_is_resolved_where_its_error_leaves_each_phase_some_pressure(width_GPa, error_eV, resolved):
    """A phase between two others: 20 meV/atom over 0.2 Å³/atom are 16 GPa."""
    middle = crossing(LOW, 9.8, 50.0, "middle")
    stability = analyse([LOW, middle, crossing(middle, 9.6, 50.0 + width_GPa, "high")])
    found = with_budget(stability, lambda each: [ErrorPart("protocol", error_eV)])
    assert [each.resolved for each in found.transitions] == [resolved, resolved]


@pytest.mark.parametrize(("error_eV", "resolved"), [(0.1, True), (0.13, False)])
def test_an_end_of_the_data_takes_no_room_from_a_phase(error_eV, resolved):
    """62 ± 5 GPa in a study from 60 GPa on: nothing says that the phase below ends at 60. 125 meV/atom are 100 GPa."""
    stability = analyse([LOW, crossing(LOW, 9.8, 3.0, "high")])
    [transition] = with_budget(stability, lambda each: [ErrorPart("protocol", error_eV)]).transitions
    assert transition.resolved is resolved


@pytest.mark.parametrize(("error_eV", "resolved"), [(0.02, True), (0.2, False)])
def test_a_reaction_is_resolved_as_a_transition_is(error_eV, resolved):
    """20 meV/atom are 16 GPa, in a study of 100 GPa."""
    curves = [Line("A", formula="Na"), Line("B", formula="He"), Line("AB", 9.8, 0.2 * 50 * GPa, formula="NaHe")]
    [transition] = with_budget(analyse(curves), lambda each: [ErrorPart("protocol", error_eV)]).transitions
    assert transition.resolved is resolved


def test_a_transition_without_an_uncertainty_of_its_own_gets_no_total():
    stability = analyse([LOW, crossing(LOW, 9.8, 50.0, "high", sigma_eV=float("nan"))])
    [transition] = with_budget(stability, lambda each: [ErrorPart("protocol", 5e-3)]).transitions
    assert transition.error_GPa is None and transition.resolved is None


def test_a_phase_that_ends_close_to_the_hull_is_named_with_where_and_by_how_much():
    """Falling towards sh when its data end at 9 GPa, 0.06 meV/atom above it: as beta-tin silicon did."""
    sh = crossing(Line("diamond"), 8.0, 8.6, "sh")
    tin = crossing(sh, 7.9, 9.0 + 6e-5 / 0.1 / GPa, "betaSn", to_GPa=9.0)
    stability = analyse([Line("diamond"), sh, tin])
    [found] = near_hull(stability, 5e-3)
    assert (found.phase, found.pressure_GPa, found.data_end, found.never_stable) == ("betaSn", 9.0, True, True)
    assert found.above_eV == pytest.approx(6e-5, rel=1e-6)
    assert near_hull(stability, 5e-5) == ()


def test_a_phase_that_touches_the_hull_within_its_data_is_named_and_a_distant_one_is_not():
    curves = [LOW, crossing(LOW, 9.8, 50.0, "high"), Line("near", 9.9, 0.1 * 50 * GPa + 2e-3), Line("far", 10.0, 0.02)]
    [found] = near_hull(analyse(curves), 5e-3)
    assert (found.phase, found.data_end, found.never_stable) == ("near", False, True)
    assert found.pressure_GPa == pytest.approx(50.0, abs=0.3) and found.above_eV == pytest.approx(2e-3, abs=2e-4)


def test_a_range_without_a_hull_hides_no_phase():
    """The compound's data begin where an element has none, and end close above the hull."""
    low = Line("Na", formula="Na", to_GPa=50.0)
    high = crossing(low, 9.99, -1.0, "Na2", from_GPa=60.0)
    compound = Line("NaHe", 10.0, 0.008, formula="NaHe", from_GPa=55.0, to_GPa=90.0)
    found = near_hull(analyse([low, high, Line("He"), compound]), 0.05)
    assert "NaHe" in {each.phase for each in found}


def test_at_a_single_pressure_phases_near_the_hull_are_named_too():
    single = {"from_GPa": 50.0, "to_GPa": 50.0}
    [found] = near_hull(analyse([Line("low", **single), Line("near", enthalpy_eV=2e-3, **single)]), 5e-3)
    assert (found.phase, found.pressure_GPa) == ("near", 50.0) and found.above_eV == pytest.approx(2e-3)


def test_a_stable_phase_is_named_where_its_data_end_close_above_the_hull():
    curves = [Line("low", to_GPa=51.0), crossing(LOW, 9.8, 50.0, "high")]
    [found] = near_hull(analyse(curves), 5e-3)
    assert (found.phase, found.pressure_GPa, found.data_end, found.never_stable) == ("low", 51.0, True, False)
    assert found.above_eV == pytest.approx(0.2 * GPa, rel=1e-6)
    assert near_hull(analyse([LOW, crossing(LOW, 9.8, 50.0, "high")]), 5e-3) == ()


@pytest.fixture
def measured(tmp_path, monkeypatch):
    rows = [
        *(_row("gpaw", "Si", "fast", "moderate", each) for each in (3.0, -3.0, 3.0)),
        *(_row("gpaw", "Si", "moderate", "elk", each) for each in (4.0, -4.0, 4.0)),
        *(_row("gpaw", "Si", "moderate", "precise", each) for each in (12.0, 12.0, 12.0)),
        *(_row("gpaw", "Na", "fast", "moderate", each) for each in (0.6, -0.6)),
        *(_row("gpaw", "Na", "moderate", "elk", each) for each in (0.8, 0.8)),
        *(_row("espresso", "Si", "fast", "moderate", each) for each in (1.0, 1.0)),
    ]
    monkeypatch.setattr(measured_errors, "FILE", tmp_path / "measured.json")
    measured_errors._rows.cache_clear()
    measured_errors.remember(rows)
    yield
    measured_errors._rows.cache_clear()


def _row(code, element, protocol, against, difference):
    _row.count += 1
    return {
        "transition": f"a → b{_row.count}", "elements": [element], "pressure_GPa": 10, "code": code, "version": "1",
        "protocol": protocol, "against": against, "difference_meV_per_atom": difference,
    }  # fmt: skip


_row.count = 0


def test_the_error_of_a_protocol_is_the_root_of_the_mean_squares_of_all_steps_below_it(measured):
    assert protocol_error("gpaw", "fast", {"Si"}).error_eV == pytest.approx(13e-3)  # 3, 12 and 4 meV
    assert protocol_error("gpaw", "moderate", {"Si"}).error_eV == pytest.approx(math.hypot(12, 4) * 1e-3)
    assert protocol_error("gpaw", "precise", {"Si"}).error_eV == pytest.approx(math.hypot(6, 4) * 1e-3)
    assert protocol_error("gpaw", "fast", {"Si"}).measured


def test_transitions_that_share_an_element_decide_where_there_are_enough_of_them(measured):
    sodium = protocol_error("gpaw", "fast", {"Na", "He"})
    assert sodium.error_eV == pytest.approx(1e-3) and sodium.transitions == 2
    assert "He, Na" in sodium.source
    all_of_them = math.hypot(*(math.sqrt(each) for each in (27.72 / 5, 49.28 / 5, 144.0)))
    assert protocol_error("gpaw", "fast", {"Mg"}).error_eV == pytest.approx(all_of_them * 1e-3)
    # Half of what the last step moved that was measured with sodium is left, of a harder one half of that.
    assert protocol_error("gpaw", "moderate", {"Na"}).error_eV == pytest.approx(math.hypot(0.3, 0.8) * 1e-3)
    assert protocol_error("gpaw", "precise", {"Na"}).error_eV == pytest.approx(math.hypot(0.15, 0.8) * 1e-3)


def test_the_one_measured_transition_of_an_element_is_not_diluted_by_others(measured):
    """As MgO's 32 meV/atom were by sodium's: from one with an element, or from all, whichever is larger."""
    magnesium = [_row("gpaw", "Mg", "fast", "moderate", -32.0), _row("gpaw", "Mg", "moderate", "elk", -17.0)]
    measured_errors.remember(magnesium)
    assert protocol_error("gpaw", "fast", {"Mg", "O"}).error_eV == pytest.approx(math.hypot(32, 17) * 1e-3)
    measured_errors.remember([_row("gpaw", "Al", "fast", "moderate", 0.1), _row("gpaw", "Al", "moderate", "elk", 0.1)])
    assert protocol_error("gpaw", "fast", {"Al"}).error_eV == protocol_error("gpaw", "fast", {"W"}).error_eV


def test_a_step_with_too_few_rows_is_not_left_out_of_the_sum(measured):
    """One transition of lithium moved by 30 meV to `moderate`, two by 2 meV beyond: `fast` is not 2 meV good."""
    rows = [("fast", "moderate", -30.0), *(("moderate", to, 2.0) for to in ("precise", "precise", "elk", "elk"))]
    measured_errors.remember([_row("gpaw", "Li", *row) for row in rows])
    assert protocol_error("gpaw", "fast", {"Li"}).error_eV > 0.03


def test_a_judged_transition_has_no_other_part_for_atomic_data(measured):
    assert protocol_error("gpaw", "fast", {"Si"}, judged=True).error_eV == pytest.approx(math.hypot(3, 12) * 1e-3)


def test_a_code_that_was_not_measured_has_the_largest_error_that_is_known(measured):
    found = protocol_error("espresso", "fast", {"Na"})
    assert found.error_eV == pytest.approx(protocol_error("gpaw", "fast", {"Mg"}).error_eV) and not found.measured
    assert "espresso was not measured" in found.source and "gpaw" in found.source


def test_a_code_measured_for_other_elements_alone_has_at_least_what_another_has_for_these(measured):
    """k-points and smearing err alike in all codes: aluminium's errors say nothing of silicon's."""
    steps = (("fast", "moderate"), ("moderate", "elk"))
    measured_errors.remember([_row("abinit", "Al", *step, 0.1) for step in steps for _ in range(2)])
    found = protocol_error("abinit", "fast", {"Si"})
    assert found.error_eV == pytest.approx(13e-3) and not found.measured
    assert found.source == "root mean square over 3 transitions with Si by gpaw; abinit has fewer"
    assert protocol_error("abinit", "fast", {"Al"}).measured
    assert protocol_error("abinit", "fast", {"Na"}).error_eV == pytest.approx(1e-3)
    assert protocol_error("abinit", "fast", {"W"}).error_eV < 1e-3


def test_a_row_measured_again_replaces_the_old_one(measured):
    [old, *_] = measured_errors.rows_of("gpaw")
    measured_errors.remember([{**old, "difference_meV_per_atom": 7.0}])
    rows = measured_errors.rows_of("gpaw")
    assert len(rows) == 13 and rows[0]["difference_meV_per_atom"] == 7.0


@pytest.mark.parametrize("code", ["gpaw", "espresso"])
@pytest.mark.parametrize("elements", [{"Na"}, {"Si"}, {"W"}])
def test_what_was_measured_stands_in_the_project_and_falls_with_the_protocol(code, elements):
    errors = [protocol_error(code, name, elements) for name in ("fast", "moderate", "precise")]
    assert all(each is not None for each in errors)
    assert all(each.measured for each in errors) == ((code, elements) != ("espresso", {"Si"}))
    assert errors[0].error_eV >= errors[1].error_eV >= errors[2].error_eV > 0
    assert errors[0].error_eV < 0.05


def test_the_file_of_measurements_can_be_read_by_anybody():
    for row in json.loads(measured_errors.FILE.read_text(encoding="utf-8")):
        assert math.isfinite(row["difference_meV_per_atom"]) and row["version"]
