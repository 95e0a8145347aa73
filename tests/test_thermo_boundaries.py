"""Lines between phases and triple points, and electrons at temperature, against what is known exactly."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ase.units import GPa, kB
from scipy.optimize import brentq, fsolve
from thermo_solids import Solid

from megabar.analysis.thermo.boundaries import boundaries
from megabar.analysis.thermo.diagram import phase_diagram
from megabar.analysis.thermo.electrons import electrons_at
from megabar.analysis.thermo.ladder import ladder_gibbs
from megabar.structures.errors import InputError

TEMPERATURES = np.arange(0.0, 1201.0, 100.0)
PRESSURES = np.linspace(0.0, 30.0, 16)
OPEN = Solid(e0=-3.0, theta0=350.0)
DENSE = Solid(v0=14.8, e0=-2.93, k0=120.0, theta0=420.0)
WARM = Solid(v0=15.4, e0=-2.925, k0=105.0, theta0=260.0)
"""Three phases; the last has soft vibrations, so that temperature favours it."""


def gibbs(solid, pressures=PRESSURES):
    curve = solid.curve(np.linspace(0.68, 1.1, 9) * solid.v0)
    table = solid.table(np.linspace(0.75, 1.09, 6) * solid.v0, TEMPERATURES)
    return ladder_gibbs(curve, table, pressures)


@pytest.fixture(scope="module")
def surfaces():
    found = {name: gibbs(each) for name, each in (("open", OPEN), ("dense", DENSE), ("warm", WARM))}
    return {name: table.surface() for name, table in found.items()}


def exact_boundary(one, other, temperature):
    return brentq(lambda p: one.state(p, temperature)[1] - other.state(p, temperature)[1], 0.0, 30.0)


def test_g_between_the_points_of_its_grid(surfaces):
    p, t = np.array([1.3, 11.7, 29.0]), np.array([255.0, 333.0, 1180.0])
    g, by_p, by_t, error = surfaces["open"].at(p, t)
    for i in range(3):
        v, exact, entropy, *_ = OPEN.state(p[i], t[i])
        assert g[i] == pytest.approx(exact, abs=2e-4)
        assert by_p[i] / GPa == pytest.approx(v, rel=1e-3) and -by_t[i] == pytest.approx(entropy, rel=2e-2)
    assert (error > 0.0).all()
    assert np.isnan(surfaces["open"].at([31.0, 5.0], [300.0, 1201.0])[0]).all()
    on_grid = surfaces["open"].at(PRESSURES[3], TEMPERATURES[4])[0]
    assert float(on_grid) == pytest.approx(surfaces["open"].g[3, 4], abs=1e-14)


def test_the_boundary_of_two_phases_and_its_slope(surfaces):
    (line,) = boundaries("open", "dense", surfaces["dense"] - surfaces["open"])
    assert (line.below, line.above) == ("open", "dense") and len(line.points) == len(TEMPERATURES)
    for point in line.points[::3]:
        t = point.temperature_K
        exact = exact_boundary(OPEN, DENSE, t)
        assert point.pressure_GPa == pytest.approx(exact, abs=0.02)
        assert abs(point.pressure_GPa - exact) < 3 * point.pressure_error_GPa < 1.0
        one, other = OPEN.state(exact, t), DENSE.state(exact, t)
        slope = (other[2] - one[2]) / (other[0] - one[0]) / GPa
        assert point.slope_GPa_per_K == pytest.approx(slope, rel=0.02, abs=2e-5)
        assert point.volume_change_A3 == pytest.approx(other[0] - one[0], rel=5e-3)
        assert point.entropy_change_eV_per_K == pytest.approx(other[2] - one[2], rel=0.02, abs=2e-8)
    assert line.points[0].slope_GPa_per_K == 0.0 < line.points[-1].slope_GPa_per_K
    for one, other in pairwise(line.points[3:]):
        chord = (other.pressure_GPa - one.pressure_GPa) / 100.0
        assert chord == pytest.approx((one.slope_GPa_per_K + other.slope_GPa_per_K) / 2, rel=0.02)
    assert line.pressure_at(650.0) == pytest.approx(exact_boundary(OPEN, DENSE, 650.0), abs=0.02)
    assert np.isnan(line.pressure_at(1300.0))


def test_a_line_that_lies_between_two_temperatures_of_the_grid(surfaces):
    flat, at = surfaces["warm"] - surfaces["open"], np.ix_(range(1, 6), (3, 12))
    parts = {name: getattr(flat, name)[at] for name in ("g", "g_P", "g_T", "g_PT", "error")}
    narrow = replace(flat, pressures_GPa=PRESSURES[1:6], temperatures_K=TEMPERATURES[[3, 12]], **parts)
    [line] = boundaries("open", "warm", narrow)
    [whole] = boundaries("open", "warm", flat)
    assert [point.pressure_GPa for point in line.points] == [10.0, 2.0]
    for point in line.points:
        assert whole.pressure_at(point.temperature_K) == pytest.approx(point.pressure_GPa, abs=0.3)


def test_the_order_of_the_phases_does_not_matter(surfaces):
    (line,) = boundaries("open", "dense", surfaces["dense"] - surfaces["open"])
    (other,) = boundaries("dense", "open", surfaces["open"] - surfaces["dense"])
    assert (other.below, other.above) == ("open", "dense")
    for one, two in zip(line.points, other.points, strict=True):
        assert two.pressure_GPa == pytest.approx(one.pressure_GPa, abs=1e-9)
        assert two.volume_change_A3 == pytest.approx(one.volume_change_A3) and one.volume_change_A3 < 0.0
        assert two.slope_GPa_per_K == pytest.approx(one.slope_GPa_per_K)


def test_the_error_of_a_boundary_is_that_of_g_over_the_volume_lost(surfaces):
    with_error = {name: gibbs(each).with_error(3e-3).surface() for name, each in (("a", OPEN), ("b", DENSE))}
    (line,) = boundaries("a", "b", with_error["b"] - with_error["a"])
    for point in line.points:
        expected = np.sqrt(2.0) * 3e-3 / abs(point.volume_change_A3) / GPa
        assert point.pressure_error_GPa == pytest.approx(expected, rel=0.02)


def test_a_reaction_is_a_sum_of_phases(surfaces):
    reaction = surfaces["dense"] * 3.0 - (surfaces["open"] * 2.0 + surfaces["open"])
    (line,) = boundaries("open", "dense", reaction)
    (single,) = boundaries("open", "dense", surfaces["dense"] - surfaces["open"])
    assert line.points[5].pressure_GPa == pytest.approx(single.points[5].pressure_GPa, abs=1e-9)
    assert line.points[5].slope_GPa_per_K == pytest.approx(single.points[5].slope_GPa_per_K)


def test_the_diagram_of_three_phases(surfaces):
    found = phase_diagram(surfaces)
    (triple,) = found.triple_points

    def misses(at):
        g = [each.state(*at)[1] for each in (OPEN, DENSE, WARM)]
        return g[1] - g[0], g[2] - g[0]

    pressure, temperature = fsolve(misses, (triple.pressure_GPa, triple.temperature_K))
    assert triple.pressure_GPa == pytest.approx(pressure, abs=0.05)
    assert triple.temperature_K == pytest.approx(temperature, abs=5.0)
    assert 0.0 < triple.temperature_error_K < 100.0 and 0.0 < triple.pressure_error_GPa < 1.0
    assert {(line.below, line.above) for line in found.boundaries} == {
        ("open", "dense"), ("open", "warm"), ("warm", "dense"),
    }  # fmt: skip
    for line in found.boundaries:
        ends = [(line.points[k].pressure_GPa, line.points[k].temperature_K) for k in (0, -1)]
        assert any(end == pytest.approx((triple.pressure_GPa, triple.temperature_K), abs=1e-6) for end in ends)
        cold = (line.below, line.above) == ("open", "dense")
        assert all((point.temperature_K <= triple.temperature_K + 1e-6) == cold for point in line.points[1:-1])
    for line in found.boundaries:  # the other end lies on an edge of the grid
        end = line.points[0 if (line.below, line.above) == ("open", "dense") else -1]
        assert end.temperature_K in (0.0, 1200.0) or end.pressure_GPa in (0.0, 30.0)
    for i, p in list(enumerate(PRESSURES))[::3]:
        for j, t in list(enumerate(TEMPERATURES))[::3]:
            g = [each.state(p, t)[1] for each in (OPEN, DENSE, WARM)]
            if np.isfinite(found.margin_eV[i, j]) and found.margin_eV[i, j] > 1e-3 and not found.incomplete[i, j]:
                assert found.lowest[i, j] == int(np.argmin(g))
                assert found.margin_eV[i, j] == pytest.approx(sorted(g)[1] - sorted(g)[0], abs=1e-3)


def test_where_a_phase_is_not_known_the_diagram_says_so(surfaces):
    narrow = DENSE.table(np.linspace(0.90, 1.02, 5) * DENSE.v0, TEMPERATURES)
    curve = DENSE.curve(np.linspace(0.7, 1.08, 9) * DENSE.v0)
    part = {"open": surfaces["open"], "dense": ladder_gibbs(curve, narrow, PRESSURES).surface()}
    found = phase_diagram(part)
    assert found.incomplete.any() and not found.incomplete.all()
    assert (found.lowest[found.incomplete] == 0).all() and np.isnan(found.margin_eV[found.incomplete]).all()


def test_other_grids_are_refused(surfaces):
    other = gibbs(DENSE, PRESSURES[:5]).surface()
    with pytest.raises(InputError, match="the same pressures and temperatures"):
        phase_diagram({"open": surfaces["open"], "dense": other})
    with pytest.raises(InputError, match="at least one phase"):
        phase_diagram({})


@pytest.mark.parametrize("step", [0.5, 0.05])
def test_electrons_of_a_metal_by_sommerfeld(step):
    """A linear density of states: the next term of the expansion vanishes at fixed N but for D'."""
    e = np.arange(-8.0, 8.0 + step / 2, step)
    d = 1.5 + 0.05 * e
    electrons = float(np.trapezoid(d[e <= 0.0], e[e <= 0.0]))
    t = np.array([0.0, 10.0, 300.0, 2000.0])
    found = electrons_at(e, d, electrons, t)
    sommerfeld = np.pi**2 / 6 * 1.5 * (kB * t) ** 2
    assert found.free_energy_eV == pytest.approx(-sommerfeld, rel=2e-3, abs=1e-13)
    assert found.entropy_eV_per_K[1:] == pytest.approx(2 * sommerfeld[1:] / t[1:], rel=2e-3)
    assert found.heat_capacity_eV_per_K[1:] == pytest.approx(2 * sommerfeld[1:] / t[1:], rel=6e-3)
    assert found.chemical_potential_eV == pytest.approx(
        -(np.pi**2) / 6 * 0.05 / 1.5 * (kB * t) ** 2, rel=1e-2, abs=1e-7
    )


def test_electrons_belong_together():
    e = np.linspace(-8.0, 12.0, 81)
    d = 2.0 + np.sin(1.3 * e)
    t = np.linspace(1000.0, 5000.0, 401)
    found = electrons_at(e, d, 15.0, t)
    assert found.entropy_eV_per_K[1:-1] == pytest.approx(-np.gradient(found.free_energy_eV, t)[1:-1], rel=1e-4)
    capacity = t * np.gradient(found.entropy_eV_per_K, t)
    assert found.heat_capacity_eV_per_K[1:-1] == pytest.approx(capacity[1:-1], rel=1e-3)


def test_electrons_of_an_insulator_stay():
    e = np.linspace(-5.0, 9.0, 141)
    d = np.where((e <= 0.0) | (e >= 4.0), 1.0, 0.0)
    electrons = 5.05  # the density is linear between the energies: it falls to zero within one step
    found = electrons_at(e, d, electrons, [0.0, 300.0, 1500.0])
    assert found.chemical_potential_eV[0] == pytest.approx(2.0, abs=0.11)
    assert np.abs(found.free_energy_eV).max() < 1e-6 and np.abs(found.heat_capacity_eV_per_K[:2]).max() < 1e-12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"electrons": 100.0}, "holds 16.0000 electrons, not the 100"),
        ({"states_per_eV": -np.ones(17)}, "below zero"),
        ({"energies_eV": np.zeros(17)}, "ascend"),
        ({"temperatures_K": [60_000.0]}, "ends too near to the chemical potential"),
        ({"energies_eV": np.arange(5.0)}, "equal length"),
    ],
)
def test_densities_of_states_that_cannot_serve(change, said):
    right = {
        "energies_eV": np.arange(17.0), "states_per_eV": np.ones(17), "electrons": 8.0, "temperatures_K": [300.0],
    }  # fmt: skip
    electrons_at(**right)
    with pytest.raises(InputError, match=said):
        electrons_at(**right | change)


def test_the_figure_of_a_diagram(surfaces, tmp_path):
    from megabar.analysis.figures.phase_diagram import name_place, phase_diagram_drawing
    from megabar.analysis.figures.style import svg

    found = phase_diagram(surfaces)
    drawing = phase_diagram_drawing(found, {"warm": "warm phase"}, "a model")
    [axes] = drawing.figure.axes
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(texts) == {"open", "dense", "warm phase", "a model"}
    for number, (name, solid) in enumerate((("open", OPEN), ("dense", DENSE), ("warm phase", WARM))):
        assert texts[name] == name_place(found, number)
        g = [each.state(*texts[name])[1] for each in (OPEN, DENSE, WARM)]
        assert min(g) == solid.state(*texts[name])[1]  # the name stands in the field of its phase
    assert len(axes.lines) >= 3 and len(axes.collections) >= 3
    assert "warm phase" in svg(drawing.figure)
