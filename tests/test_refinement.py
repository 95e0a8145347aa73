"""The adaptive loop on synthetic phases with known curves, and each of its rules alone."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import GPa

from megabar.analysis import eos
from megabar.analysis.enthalpy import EnthalpyCurve, VolumePoint, enthalpy_curve
from megabar.analysis.refinement import (
    coverage,
    ends_to_extend,
    guess_volume,
    matters_beyond,
    murnaghan_volume,
    volumes_to_add,
)
from megabar.structures.errors import InputError

FROM, TO, STEP = 0.0, 500.0, 25.0
LADDER = 0.2
PULAY_EV = 0.2  # 3 GPa at 10 Å³/atom


class Synthetic:
    """A phase with an exact curve: Vinet plus a smooth electronic feature of up to 50 meV."""

    def __init__(self, name, fraction, e0, v0, k0, kp, known, feature=(0.0, 0.0, 1.0)):
        self.name, self.fraction, self.known = name, fraction, known
        self.e0, self.v0, self.k0, self.kp = e0, v0, k0, kp
        self.height, self.centre, self.width = feature

    def energy(self, v):
        u = (np.log(v / self.v0) - self.centre) / self.width
        shape = eos.vinet_shapes(v, self.v0, self.kp)[0]
        return self.e0 + self.k0 * GPa * shape + 0.5 * self.height * np.tanh(u)

    def pressure(self, v):
        u = (np.log(v / self.v0) - self.centre) / self.width
        feature = 0.5 * self.height / self.width / np.cosh(u) ** 2
        return self.k0 * eos.vinet_shapes(v, self.v0, self.kp)[1] - feature / v / GPa

    def volume(self, pressures):
        # H is stationary in V, so the table's own error (2e-4 in ln V at most) does not show in H
        v = self.v0 * np.geomspace(1.3, 0.09, 20_000)
        p = self.pressure(v)
        assert (np.diff(p) > 0).all()
        return np.interp(pressures, p, v)

    def enthalpy(self, pressures):
        v = self.volume(pressures)
        return self.energy(v) + np.asarray(pressures) * GPa * v

    def as_stable_as(self, others, p):
        """Shift the energy to lie on the line between the others (one, or A-rich and B-rich) at a pressure."""
        low, high = others[0], others[-1]
        t = 0.0 if low is high else (self.fraction - low.fraction) / (high.fraction - low.fraction)
        self.e0 += ((1 - t) * low.enthalpy([p]) + t * high.enthalpy([p]) - self.enthalpy([p]))[0]
        return self

    def point(self, v):
        return VolumePoint(float(v), float(self.energy(v)), float(self.pressure(v) + PULAY_EV / v / GPa))


def phases():
    """A soft metal A in four phases, B in one, two compounds, made to be equally stable at chosen pressures."""
    a1 = Synthetic("A-I", 0.0, 0.0, 37.0, 7.5, 3.9, (0, 80))
    a2 = Synthetic("A-II", 0.0, 0.0, 36.2, 7.6, 3.9, (60, 130)).as_stable_as([a1], 68.0)
    a3 = Synthetic("A-III", 0.0, 0.0, 35.0, 7.6, 3.9, (110, 300), (0.05, -1.1, 0.3)).as_stable_as([a2], 117.0)
    a4 = Synthetic("A-IV", 0.0, 0.0, 33.2, 7.6, 3.9, (200, 500), (-0.05, -1.3, 0.25)).as_stable_as([a3], 262.0)
    b1 = Synthetic("B-I", 1.0, 0.0, 13.0, 14.0, 4.6, (0, 500))
    a2b = Synthetic("A2B", 1 / 3, 0.0, 25.7, 9.0, 3.95, (150, 500)).as_stable_as([a3, b1], 160.0)
    ab = Synthetic("AB", 1 / 2, 0.0, 22.0, 10.0, 4.0, (200, 400)).as_stable_as([a2b, b1], 330.0)
    return [a1, a2, a3, a4, b1, a2b, ab]


def distances(fractions, enthalpies):
    """Distance above the lower hull of each phase (n_phases, n_pressures); nan where it has no enthalpy."""
    result = np.full(enthalpies.shape, np.nan)
    for k in range(enthalpies.shape[1]):
        h = enthalpies[:, k]
        known = np.flatnonzero(~np.isnan(h))
        for i in known:
            best = h[i]
            for a in known:
                for b in known:
                    if fractions[a] <= fractions[i] < fractions[b]:
                        t = (fractions[i] - fractions[a]) / (fractions[b] - fractions[a])
                        best = min(best, (1 - t) * h[a] + t * h[b])
                if fractions[a] == fractions[i]:
                    best = min(best, h[a])
            result[i, k] = h[i] - best
    return result


def first_ladder(phase: Synthetic) -> list[VolumePoint]:
    """Steps from a badly guessed anchor until the window where the phase is known is covered."""
    anchor = 1.04 * phase.volume(0.5 * sum(phase.known))
    points = [phase.point(anchor)]
    while gaps := coverage(enthalpy_curve(phase.name, "A", points), *phase.known):
        ends = [points[0].volume_A3, points[-1].volume_A3]
        for gap in gaps:
            if gap.end == "low":
                points.insert(0, phase.point(ends[0] * np.exp(LADDER)))
            else:
                points.append(phase.point(ends[1] * np.exp(-LADDER)))
    return points


def adaptive(synthetic: list[Synthetic], grid) -> tuple[list[EnthalpyCurve], int]:
    """Play the loop: windows first, then ends and volumes that matter, until nothing is asked for."""
    by_name = {s.name: s for s in synthetic}
    fractions = [s.fraction for s in synthetic]
    points = {s.name: first_ladder(s) for s in synthetic}
    for _ in range(30):
        curves = [enthalpy_curve(name, "A", p) for name, p in points.items()]
        d = distances(fractions, np.array([c.enthalpy(grid) for c in curves]))
        asked = [*ends_to_extend(curves, d, grid, FROM, TO, step=LADDER)]
        asked = asked or volumes_to_add(curves, d, grid, target_eV=1e-3)
        if not asked:
            return curves, sum(len(p) for p in points.values())
        for item in asked:
            points[item.phase].append(by_name[item.phase].point(item.volume_A3))
    raise AssertionError("the loop did not come to an end")


def crossings(d, grid):
    """Pressures where the set of stable phases changes, as (phase, pressure), by the sign of being on the hull."""
    on = d < 1e-9
    return [
        (int(i), 0.5 * (grid[k] + grid[k + 1]))
        for i, k in zip(*np.nonzero(on[:, 1:] != on[:, :-1]), strict=True)
    ]  # fmt: skip


def test_the_adaptive_loop_finds_the_hull_with_a_third_of_the_calculations():
    synthetic = phases()
    grid = np.linspace(FROM, TO, 101)
    curves, calculations = adaptive(synthetic, grid)
    every_pressure = len(synthetic) * len(np.arange(FROM, TO + 1, STEP))
    assert calculations <= every_pressure / 3, (calculations, every_pressure)

    fine = np.arange(FROM, TO + 0.1, 0.5)
    fractions = [s.fraction for s in synthetic]
    exact_h = np.array([s.enthalpy(fine) for s in synthetic])
    exact = distances(fractions, exact_h)
    ours = distances(fractions, np.array([c.enthalpy(fine) for c in curves]))
    sigma = np.array([c.uncertainty(fine) for c in curves])
    assert len(crossings(exact, fine)) >= 8  # the test is worth its name
    # the same phases enter and leave, within the error of ΔH over the slope of ΔH, or the grid
    found = crossings(ours, fine)
    expected = crossings(exact, fine)
    assert [i for i, _ in found] == [i for i, _ in expected]
    for (i, p), (_, q) in zip(found, expected, strict=True):
        k = int(np.searchsorted(fine, q))
        slope = np.nanmax(np.abs(np.diff(exact[i, max(k - 8, 0) : k + 8]))) / 0.5
        assert abs(p - q) <= 2.0 * np.nanmax(sigma[:, k]) / slope + 0.5, (synthetic[i].name, p, q)
    # and on the hull H is right to the target
    stable = exact < 1e-9
    off = np.abs(np.array([c.enthalpy(fine) for c in curves]) - exact_h)[stable]
    assert not np.isnan(off).any()
    assert off.max() < 1e-3


def ladder(name="x", steps=range(4), step=LADDER, **errors):
    """A ladder of a plain Vinet metal."""
    metal = Synthetic(name, 0.0, 0.0, 30.0, 10.0, 4.0, (0, 100))
    volumes = [30.0 * np.exp(-step * i) for i in steps]
    points = [VolumePoint(v, float(metal.energy(v)), float(metal.pressure(v)), **errors) for v in volumes]
    return metal, enthalpy_curve(name, "Na", points)


def test_the_middle_of_an_uncertain_interval_on_the_hull_is_asked_for():
    _, curve = ladder(steps=range(2), step=0.4)
    p = np.linspace(0.0, curve.to_GPa, 11)
    sigma = float(np.nanmax(curve.uncertainty(p)))
    (asked,) = volumes_to_add([curve], np.zeros((1, 11)), p, target_eV=0.5 * sigma)
    assert asked.volume_A3 == pytest.approx(30.0 * np.exp(-0.2))
    assert (asked.above_A3, asked.below_A3) == pytest.approx((30.0, 30.0 * np.exp(-0.4)))
    assert asked.uncertainty_eV == pytest.approx(sigma, rel=0.3)
    assert curve.from_GPa < asked.pressure_GPa < curve.to_GPa


def test_nothing_is_asked_for_where_it_does_not_matter():
    _, curve = ladder(steps=range(2), step=0.4)
    p = np.linspace(0.0, curve.to_GPa, 11)
    on, sigma = np.zeros((1, 11)), float(np.nanmax(curve.uncertainty(p)))
    target = 0.5 * sigma
    assert volumes_to_add([curve], on, p, target_eV=target)
    assert not volumes_to_add([curve], on, p, target_eV=2.0 * sigma)
    assert not volumes_to_add([curve], on + 5e-3 + 2.1 * sigma, p, target_eV=target)  # too far above the hull
    assert not volumes_to_add([curve], on, p, target_eV=target, windows={"x": (curve.to_GPa + 1, 900.0)})
    assert not volumes_to_add([curve], on, p, target_eV=target, smallest_step=0.5)
    assert not volumes_to_add([curve], on + np.nan, p, target_eV=target)


def test_noise_is_not_fought_with_more_volumes():
    _, curve = ladder(steps=range(8), step=0.1, energy_error_eV=5e-3)
    p = np.linspace(0.0, curve.to_GPa, 30)
    assert np.nanmax(curve.uncertainty(p)) > 1e-3
    assert not volumes_to_add([curve], np.zeros((1, 30)), p, target_eV=1e-3)


def test_a_flat_crossing_asks_for_more_than_the_target():
    _, one = ladder("one", steps=range(3), step=0.3)
    _, two = ladder("two", steps=range(3), step=0.3)
    p = np.linspace(one.from_GPa, one.to_GPa, 41)
    # the phases cross in the first interval with 0.1 meV per GPa
    gap = 1e-4 * (p - 0.4 * float(one.pressures_GPa[1]))
    d = np.array([np.maximum(gap, 0.0), np.maximum(-gap, 0.0)])
    loose = float(np.nanmax(one.uncertainty(p))) * 1.01
    assert not volumes_to_add([one, two], d, p, target_eV=loose)
    asked = volumes_to_add([one, two], d, p, target_eV=loose, crossing_error_GPa=0.01)
    assert {a.phase for a in asked} == {"one", "two"}
    assert all("transition" in a.reason and a.above_A3 == pytest.approx(30.0) for a in asked)
    assert not volumes_to_add([one, two], d, p, target_eV=loose, crossing_error_GPa=1e3)


def test_ends_are_extended_while_the_phase_competes_inside_of_the_study():
    _, curve = ladder(steps=range(1, 4))
    p = np.linspace(0.0, 100.0, 201)
    known = ~np.isnan(curve.enthalpy(p))
    on = np.where(known, 0.0, np.nan)[None]
    low, high = ends_to_extend([curve], on, p, 0.0, 100.0, step=0.2)
    assert (low.end, high.end) == ("low", "high")
    assert low.volume_A3 == pytest.approx(30.0)
    assert high.volume_A3 == pytest.approx(30.0 * np.exp(-0.8))
    assert not ends_to_extend([curve], on, p, curve.from_GPa + 0.1, curve.to_GPa - 0.1)
    # far above the hull at one end, falling towards it at the other
    (only,) = ends_to_extend([curve], on + np.linspace(0.1, 0.0, 201), p, 0.0, 90.0, near_eV=0.09)
    assert only.end == "high"
    assert not ends_to_extend([curve], on + 0.1, p, 0.0, 100.0)


def test_a_window_without_any_grid_pressure_is_extended_at_both_ends():
    _, curve = ladder(steps=[2])
    asked = ends_to_extend([curve], np.full((1, 3), np.nan), [0.0, 50.0, 100.0], 0.0, 100.0)
    assert [a.end for a in asked] == ["low", "high"]


def _soft(name: str, v0: float, e0: float, low: float, high: float) -> EnthalpyCurve:
    """A phase with K0 = 50 GPa known from about one pressure to another."""
    own = Synthetic(name, 0.0, e0, v0, 50.0, 4.0, (low, high))
    return enthalpy_curve(name, "A", [own.point(v) for v in own.volume(np.linspace(low, high, 4))])


@pytest.mark.parametrize("ahead_meV", [0.06, 4.0])
def test_a_phase_within_the_resolution_that_falls_is_followed(ahead_meV):
    """The other is as low where its data end, and 0.3 Å³/atom larger: what beta-tin silicon was lost by."""
    other = _soft("other", 15.0, 0.0, 0.0, 100.0)
    own = _soft("own", 14.7, 0.0, 0.0, 20.0)
    shift = float(other.enthalpy(own.to_GPa) - own.enthalpy(own.to_GPa)) + 1e-3 * ahead_meV
    own = _soft("own", 14.7, shift, 0.0, 20.0)
    assert float(own.enthalpy(own.to_GPa) - other.enthalpy(own.to_GPa)) == pytest.approx(1e-3 * ahead_meV, abs=1e-5)
    assert matters_beyond(own, [other], "high", 5e-3, LADDER)
    assert not matters_beyond(own, [other], "low", 5e-3, LADDER)


def test_a_phase_that_stays_level_with_another_or_rises_above_it_is_not_followed():
    other = _soft("other", 15.0, 0.0, 0.0, 100.0)
    twin = _soft("twin", 15.0, 1e-4, 20.0, 60.0)
    assert not matters_beyond(twin, [other], "high", 5e-3, LADDER)
    assert not matters_beyond(twin, [other], "low", 5e-3, LADDER)
    had_its_day = _soft("own", 15.3, 0.0, 20.0, 60.0)
    shift = float(other.enthalpy(60.0) - had_its_day.enthalpy(60.0)) + 1e-3
    assert not matters_beyond(_soft("own", 15.3, shift, 20.0, 60.0), [other], "high", 5e-3, LADDER)


def test_the_lowest_phase_is_followed_to_where_another_crosses_it():
    other = _soft("other", 15.0, 0.0, 0.0, 100.0)
    own = _soft("own", 15.3, 0.0, 20.0, 60.0)
    shift = float(other.enthalpy(60.0) - own.enthalpy(60.0)) - 2e-3
    assert matters_beyond(_soft("own", 15.3, shift, 20.0, 60.0), [other], "high", 5e-3, LADDER)
    assert matters_beyond(own, [], "high", 5e-3, LADDER)
    assert matters_beyond(_soft("own", 15.0, -6e-3, 20.0, 60.0), [other], "high", 5e-3, LADDER)


def test_coverage_names_the_ends_and_guesses_volumes():
    metal, curve = ladder(steps=range(1, 5))
    assert coverage(curve, curve.from_GPa, curve.to_GPa) == ()
    low, high = coverage(curve, 0.0, 1.5 * curve.to_GPa)
    assert (low.end, high.end) == ("low", "high")
    # a Vinet metal is extrapolated by a Vinet fit: exact
    assert low.volume_A3 == pytest.approx(30.0, rel=1e-3)
    assert metal.pressure(high.volume_A3) == pytest.approx(1.5 * curve.to_GPa, rel=1e-3)


@pytest.mark.parametrize("steps", [[3], [3, 4]])
def test_one_or_two_points_give_a_usable_guess(steps):
    metal, curve = ladder(steps=steps)
    guess = guess_volume(curve, curve.to_GPa + 10.0)
    assert guess < curve.volumes_A3[-1]
    # a metal three times softer than typical: within 60% of the step asked for, the ladder corrects the rest
    assert metal.pressure(guess) == pytest.approx(curve.to_GPa + 10.0, abs=6.0)
    assert guess_volume(curve, curve.from_GPa - 5.0) > curve.volumes_A3[0]


def test_murnaghan_guess_follows_the_analytic_law():
    # dP/dlnV = −K with K = K₁ + 4 (P − P₁), integrated numerically by small steps
    v, p = 10.0, 50.0
    while p < 100.0:
        v *= np.exp(-1e-3 / (200.0 + 4.0 * (p + 5e-4 - 50.0)))
        p += 1e-3
    assert murnaghan_volume(10.0, 50.0, 200.0, 100.0) == pytest.approx(v, rel=1e-5)
    assert murnaghan_volume(10.0, 50.0, 20.0, -50.0) == pytest.approx(15.0)  # beyond the spinodal: bounded


def test_wrong_input_is_one_sentence():
    _, curve = ladder()
    with pytest.raises(InputError, match="shape"):
        volumes_to_add([curve], np.zeros((2, 3)), [0.0, 1.0, 2.0])
    with pytest.raises(InputError, match="ascending"):
        ends_to_extend([curve], np.zeros((1, 2)), [1.0, 0.0], 0.0, 1.0)
    with pytest.raises(InputError, match="low to high"):
        coverage(curve, 10.0, 0.0)
