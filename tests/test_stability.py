"""The hull against pressure: analytic crossings, narrow windows, ends of data, and random systems by brute force."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from ase.units import GPa
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.analysis.hull import hulls_at
from megabar.analysis.stability import analyse
from megabar.analysis.stability_output import above_hull_rows, stability_json, stable_rows, transition_rows
from megabar.analysis.tables import TabulatedCurve
from megabar.structures.errors import InputError


@dataclass(frozen=True)
class Parabola:
    """H = energy + volume (P − at) + bend (P − at)² / 2: volume in Å³/atom, bend in Å³/atom/GPa."""

    phase: str
    formula: str
    energy: float
    slope: float
    bend: float = 0.0
    at: float = 0.0
    sigma: float = float("nan")
    from_GPa: float = 0.0
    to_GPa: float = 500.0

    def _inside(self, pressure, values):
        pressure = np.asarray(pressure, float)
        return np.where((pressure >= self.from_GPa) & (pressure <= self.to_GPa), values, np.nan)

    def enthalpy(self, pressure_GPa):
        p = np.asarray(pressure_GPa, float) - self.at
        return self._inside(pressure_GPa, self.energy + GPa * (self.slope * p + self.bend * p * p / 2))

    def volume(self, pressure_GPa):
        return self._inside(pressure_GPa, self.slope + self.bend * (np.asarray(pressure_GPa, float) - self.at))

    def uncertainty(self, pressure_GPa):
        return self._inside(pressure_GPa, np.full(np.shape(pressure_GPa), self.sigma))


def spans(stability):
    return {i.phase: (i.from_GPa, i.to_GPa, i.from_open, i.to_open) for i in stability.intervals}


def test_two_lines_cross_where_they_must_and_so_does_the_error():
    """ΔV = 0.5 Å³/atom and ΔE = 0.5·123.4567 GPa·Å³: P = 123.4567 GPa, σ = √(3² + 4²) meV / ΔV."""
    a = Parabola("a", "Na", 0.0, 10.0, sigma=0.003)
    b = Parabola("b", "Na", 0.5 * 123.4567 * GPa, 9.5, sigma=0.004)
    stability = analyse([a, b])
    [transition] = stability.transitions
    assert transition.pressure_GPa == pytest.approx(123.4567, abs=1e-7)
    assert transition.error_GPa == pytest.approx(0.005 / (0.5 * GPa), rel=1e-12)
    assert transition.delta_volume == pytest.approx(-0.5)
    assert transition.reaction.text == "Na (a) → Na (b)"
    assert (transition.appears, transition.disappears) == (("b",), ("a",))
    first, second = stability.intervals
    assert (first.from_open, first.to_open, second.from_open, second.to_open) == (True, False, False, True)
    assert first.to_error_GPa == second.from_error_GPa == transition.error_GPa
    assert first.from_error_GPa is None


def test_error_of_a_reaction_weighs_each_phase_by_its_atoms():
    """2 Na + He → Na2He: σ² = (2/3)² σ_Na² + (1/3)² σ_He² + σ_c², per atom."""
    curves = [
        Parabola("Na", "Na", 0.0, 10.0, sigma=0.003),
        Parabola("He", "He", 0.0, 4.0, sigma=0.006),
        Parabola("Na2He", "Na2He", 160 * 0.3 * GPa, 8.0 - 0.3, sigma=0.001),
    ]
    [transition] = analyse(curves).transitions
    assert transition.pressure_GPa == pytest.approx(160, abs=1e-7)
    expected = np.sqrt(0.002**2 + 0.002**2 + 0.001**2) / (0.3 * GPa)
    assert transition.error_GPa == pytest.approx(expected, rel=1e-9)
    assert transition.reaction.text == "2 Na + He → Na2He"
    unknown = [*curves[:2], Parabola("Na2He", "Na2He", 160 * 0.3 * GPa, 7.7)]
    assert analyse(unknown).transitions[0].error_GPa is None


def test_h2s_decomposes():
    """H2S and H3S below the line H–S; H3S gets denser until H2S lies above the line H3S–S at 43 GPa."""
    heights = {"H2S": -0.10, "H3S": -0.08}
    on_line = heights["H2S"] * 9 / 8  # H2S lies at 8/9 of the way, by atoms, from S to H3S
    lines = [
        Parabola("H2-C2c", "H2", 0.0, 5.0),
        Parabola("S-bco", "S", 0.0, 9.0),
        Parabola("H2S-Pc", "H2S", heights["H2S"], (2 * 5 + 9) / 3),
        Parabola("H3S-Cccm", "H3S", heights["H3S"], (3 * 5 + 9) / 4 + (on_line - heights["H3S"]) / (43 * GPa)),
    ]
    stability = analyse(lines)
    transition = stability.transitions[-1]
    assert transition.pressure_GPa == pytest.approx(43, abs=1e-6)
    assert transition.reaction.text == "3 H2S → 2 H3S + S"
    assert transition.reaction.phases_text == "3 H2S-Pc → 2 H3S-Cccm + S-bco"
    assert transition.disappears == ("H2S-Pc",)
    assert spans(stability)["H2S-Pc"][1] == pytest.approx(43, abs=1e-6)


def test_narrow_window_between_two_phases():
    """a → c at 100.1, c → b at 100.4 GPa, far below the spacing of the grid (2 GPa)."""
    a = Parabola("a", "Na", 0.0, 10.0)
    c = Parabola("c", "Na", 100.1 * 0.3 * GPa, 9.7)
    b = Parabola("b", "Na", (100.1 * 0.3 + 100.4 * 0.2) * GPa, 9.5)
    stability = analyse([a, b, c])
    assert [t.pressure_GPa for t in stability.transitions] == pytest.approx([100.1, 100.4], abs=1e-7)
    assert spans(stability)["c"][:2] == pytest.approx((100.1, 100.4), abs=1e-7)


@pytest.mark.parametrize("centre", [0.7, 99.3, 100.0, 250.9, 499.1])
def test_narrow_window_in_which_a_compound_only_just_dips_below_the_hull(centre):
    """ΔH = k[(P − centre)² − 0.15²], k so small that the window of 0.3 GPa is 2 µeV deep."""
    bend = 0.03
    depth = bend * GPa * 0.15**2 / 2
    elements = [Parabola("Na", "Na", 0.0, 10.0, at=centre), Parabola("He", "He", 0.0, 10.0, at=centre)]
    compound = Parabola("NaHe", "NaHe", -depth, 10.0, bend, centre)
    stability = analyse([*elements, compound])
    assert spans(stability)["NaHe"][:2] == pytest.approx((centre - 0.15, centre + 0.15), abs=1e-6)
    assert [t.reaction.text for t in stability.transitions] == ["Na + He → NaHe", "NaHe → Na + He"]


def test_narrow_window_in_which_a_stable_phase_leaves_the_hull():
    """NaHe lies above the line Na3He–NaHe3 for 0.3 GPa only, with no phase of its own composition."""
    centre, bend = 200.5, -0.001
    depth = -bend * GPa * 0.15**2 / 2
    curves = [Parabola(name, name, energy, 8.0, at=centre) for name, energy in (("Na", 0), ("He", 0))]
    curves += [Parabola(name, name, -0.3, 8.0, at=centre) for name in ("Na3He", "NaHe3")]
    curves.append(Parabola("NaHe", "NaHe", -0.3 + depth, 8.0, bend, centre))
    stability = analyse(curves)
    found = [(i.from_GPa, i.to_GPa) for i in stability.intervals if i.phase == "NaHe"]
    np.testing.assert_allclose(found, [(0, centre - 0.15), (centre + 0.15, 500)], atol=1e-6)
    assert [t.reaction.text for t in stability.transitions] == ["4 NaHe → Na3He + NaHe3", "Na3He + NaHe3 → 4 NaHe"]


def test_coexistence_changes_with_all_phases_stable():
    """In a square of four stable phases the tie line flips: an exchange reaction, no phase comes or goes."""
    curves = [Parabola(e, e, 0.0, 8.0) for e in ("Mg", "Si", "O")]
    curves += [
        Parabola("Mg2Si", "Mg2Si", -1.0, 8.0),
        Parabola("SiO2", "SiO2", -1.0, 8.0),
        # 4 H(MgO) + 2 H(Si) = 3 H(Mg2Si) + 3 H(SiO2) by atoms, so H(MgO) − 8 P = −1.5 eV at the change: 77 GPa
        Parabola("MgO", "MgO", -1.5 - 0.75 * 77 * GPa, 8.75),
    ]
    stability = analyse(curves)
    exchange = [t for t in stability.transitions if not t.appears and not t.disappears]
    assert [t.reaction.text for t in exchange] == ["2 MgO + 2 Si → Mg2Si + SiO2"]
    assert exchange[0].pressure_GPa == pytest.approx(77, abs=1e-6)


def test_two_things_at_one_pressure():
    curves = [
        Parabola("Na-a", "Na", 0.0, 10.0),
        Parabola("Na-b", "Na", 100 * 0.5 * GPa, 9.5),
        Parabola("He-a", "He", 0.0, 5.0),
        Parabola("He-b", "He", 100 * 0.2 * GPa, 4.8),
    ]
    stability = analyse(curves)
    assert [t.pressure_GPa for t in stability.transitions] == pytest.approx([100, 100], abs=1e-6)
    assert {t.reaction.text for t in stability.transitions} == {"Na-a → Na-b", "He-a → He-b"}
    assert {phase: span[2:] for phase, span in spans(stability).items()} == {
        "Na-a": (True, False),
        "Na-b": (False, True),
        "He-a": (True, False),
        "He-b": (False, True),
    }


def test_data_that_end_are_no_transition():
    """cI16, the most stable where it is known (60–200 GPa), hides what its neighbours do there."""
    curves = [
        Parabola("Na-fcc", "Na", 0.0, 10.0),
        Parabola("Na-cI16", "Na", -0.05, 9.9, from_GPa=60, to_GPa=200),
        Parabola("Na-hP4", "Na", 0.8, 9.0),
    ]
    stability = analyse(curves)
    assert stability.transitions[0].reaction.text == "Na-cI16 → Na-hP4"
    crossing = 0.85 / (0.9 * GPa)
    assert spans(stability) == {
        "Na-fcc": (0, 60, True, True),
        "Na-cI16": pytest.approx((60, crossing, True, False)),
        "Na-hP4": pytest.approx((crossing, 500, False, True)),
    }
    assert stability.notes == ("Na-cI16 is stable where its data begin (60 GPa); below, it may be too",)
    shorter = Parabola("Na-cI16", "Na", -0.05, 9.9, from_GPa=60, to_GPa=100)
    stability = analyse([curves[0], shorter, curves[2]])
    again = [i for i in stability.intervals if i.phase == "Na-fcc"]
    assert (again[0].to_GPa, again[0].to_open) == (60, True)
    assert again[1].from_GPa == 100 and again[1].from_open
    assert again[1].to_GPa == pytest.approx(0.8 / GPa) and not again[1].to_open
    assert len(stability.notes) == 2


def test_end_of_data_of_a_phase_that_is_not_stable_changes_nothing():
    curves = [
        Parabola("a", "Na", 0.0, 10.0),
        Parabola("b", "Na", 0.3, 9.0),
        Parabola("c", "Na", 1.0, 10.0, from_GPa=20, to_GPa=60),
    ]
    stability = analyse(curves)
    assert spans(stability)["a"] == pytest.approx((0, 0.3 / GPa, True, False))
    assert len(stability.intervals) == 2
    assert stability.notes == ()


def test_transition_exactly_where_another_phase_begins():
    curves = [
        Parabola("a", "Na", 0.0, 10.0),
        Parabola("b", "Na", 100 * 0.5 * GPa, 9.5),
        Parabola("c", "Na", 5.0, 10.0, from_GPa=100),
    ]
    stability = analyse(curves)
    assert [t.pressure_GPa for t in stability.transitions] == pytest.approx([100], abs=1e-4)
    assert spans(stability)["b"][2] is False


def test_element_without_data_leaves_its_compounds_open():
    curves = [
        Parabola("Na", "Na", 0.0, 10.0),
        Parabola("He", "He", 0.0, 5.0, from_GPa=50, to_GPa=300),
        Parabola("Na2He", "Na2He", -0.5, 8.0),
    ]
    stability = analyse(curves)
    assert spans(stability)["Na2He"] == (50, 300, True, True)
    assert spans(stability)["Na"] == (0, 500, True, True)
    assert any("no phase of pure He is known between 0 and 50 GPa" in note for note in stability.notes)
    assert stability.above_hull(10) == {"Na": 0.0}
    assert not stability.transitions


def test_equal_curves_make_no_transitions():
    curves = [Parabola(name, "Na", 0.0, 10.0, -0.001) for name in "abc"]
    stability = analyse(curves)
    assert [i.phase for i in stability.intervals] == ["a"]
    assert not stability.transitions
    np.testing.assert_allclose(stability.above_eV, 0, atol=1e-12)


def test_one_point_takes_part_at_its_pressure_only():
    point = TabulatedCurve("b", "Na", np.array([50.0]), np.array([-9.0]), np.array([np.nan]))
    stability = analyse([Parabola("a", "Na", 0.0, 10.0), point])
    assert [i.phase for i in stability.intervals] == ["a"]
    assert stability.above_hull(50)["b"] == 0 and stability.above_hull(50)["a"] > 9
    assert "b" not in stability.above_hull(51)
    assert stability.notes == ("b is known at 50 GPa only and takes no part at other pressures",)
    only = analyse([point])
    assert only.intervals == () and only.above_hull(50) == {"b": 0.0}


def test_wrong_input():
    with pytest.raises(InputError, match="2 phases have the name a"):
        analyse([Parabola("a", "Na", 0, 1), Parabola("a", "Na", 0, 1)])
    with pytest.raises(InputError, match="no enthalpy curves"):
        analyse([])


def random_curves(rng, elements, count):
    curves = []
    for i in range(count):
        numbers = np.eye(len(elements), dtype=int)[i] if i < len(elements) else rng.integers(0, 4, len(elements))
        if not numbers.any():
            numbers[0] = 1
        formula = "".join(f"{e}{n}" for e, n in zip(elements, numbers, strict=True) if n)
        low, high = (0.0, 500.0) if i < len(elements) or rng.random() < 0.7 else np.sort(rng.uniform(0, 500, 2))
        shape = rng.normal(0, 0.15), 8 + rng.normal(0, 0.15), -rng.uniform(0, 2e-3), rng.uniform(0, 500)
        curves.append(Parabola(f"p{i}", formula, *shape, from_GPa=float(low), to_GPa=float(high)))
    return curves


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), number=st.integers(1, 4), extra=st.integers(1, 16))
def test_random_systems_agree_with_the_hull_at_many_pressures(seed, number, extra):
    rng = np.random.default_rng(seed)
    curves = random_curves(rng, ("Na", "He", "S", "O")[:number], number + extra)
    stability = analyse(curves, points=65)
    pressures = rng.uniform(0, 500, 150)
    for pressure, hull in zip(pressures, hulls_at(curves, pressures), strict=True):
        # Within 1e-4 GPa of an end either answer is right.
        inside = {i.phase for i in stability.intervals if i.from_GPa - 1e-4 <= pressure <= i.to_GPa + 1e-4}
        surely = {i.phase for i in stability.intervals if i.from_GPa + 1e-4 <= pressure <= i.to_GPa - 1e-4}
        stable = {curve.phase for curve, vertex in zip(curves, hull.vertex, strict=True) if vertex}
        assert surely <= stable <= inside
    by_name = {curve.phase: curve for curve in curves}
    for transition in stability.transitions:
        shares = transition.reaction.atom_fractions
        balance = sum(share * by_name[phase].enthalpy(transition.pressure_GPa) for phase, share in shares.items())
        assert balance == pytest.approx(0, abs=1e-8)
        assert transition.delta_volume < 1e-9
    closed = sum((not i.from_open) + (not i.to_open) for i in stability.intervals)
    assert closed == sum(len(t.appears) + len(t.disappears) for t in stability.transitions)
    expected = np.array([hull.above_eV for hull in hulls_at(curves, stability.grid_GPa)])
    both = np.isfinite(stability.above_eV) & np.isfinite(expected)
    np.testing.assert_allclose(stability.above_eV[both], expected[both], atol=1e-9)


def test_json_document():
    curves = [
        Parabola("Na-bcc", "Na", 0.0, 10.0, sigma=0.001),
        Parabola("He-hcp", "He", 0.0, 4.0, sigma=0.001),
        Parabola("Na2He-Fm-3m", "Na2He", 160 * 0.3 * GPa, 7.7, sigma=0.001, to_GPa=400),
    ]
    stability = analyse(curves)
    document = json.loads(json.dumps(stability_json(stability, 450)))
    assert document["elements"] == ["Na", "He"]
    sodium, compound, helium = document["stable"]
    assert sodium == {
        "phase": "Na-bcc",
        "formula": "Na",
        "from_GPa": 0,
        "to_GPa": 500,
        "from_open": True,
        "to_open": True,
        "open": ["from", "to"],
    }
    assert compound["phase"] == "Na2He-Fm-3m" and helium["phase"] == "He-hcp"
    assert compound["from_GPa"] == pytest.approx(160)
    assert compound["from_error_GPa"] > 0 and "to_error_GPa" not in compound
    assert (compound["from_open"], compound["to_open"], compound["to_GPa"]) == (False, True, 400)
    [transition] = document["transitions"]
    assert transition["reaction"] == "2 Na + He → Na2He"
    assert document["above_hull_eV_per_atom"] == {"Na-bcc": 0, "He-hcp": 0}
    assert any("Na2He-Fm-3m has no data at 450 GPa (known from 0 to 400 GPa)" in note for note in document["notes"])
    assert stability_json(stability, 50)["above_hull_eV_per_atom"]["Na2He-Fm-3m"] == pytest.approx(110 * 0.3 * GPa)
    assert "above_hull_eV_per_atom" not in stability_json(stability)


def test_rows_of_the_tables():
    curves = [Parabola("a", "Na", 0.0, 10.0, sigma=0.0031), Parabola("b", "Na", 61.8 * GPa, 9.5, sigma=0.0031)]
    stability = analyse(curves)
    assert stable_rows(stability) == [
        ("a", "Na", "≤ 0 (open)", "123.6 ± 1.4"),
        ("b", "Na", "123.6 ± 1.4", "≥ 500 (open)"),
    ]
    assert transition_rows(stability) == [("123.6 ± 1.4", "Na (a) → Na (b)", "Na (a) → Na (b)", "-0.500")]
    assert above_hull_rows(stability, 0) == [("a", "Na", "0.0"), ("b", "Na", f"{61800 * GPa:.1f}")]
