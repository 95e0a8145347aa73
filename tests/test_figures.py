"""Figures hold what they must; invented phases with known enthalpies."""

from dataclasses import replace

import numpy as np
import pytest
from ase.units import GPa
from curves import Line
from matplotlib.figure import Figure

from megabar.analysis.curve import clipped
from megabar.analysis.enthalpy import VolumePoint, enthalpy_curve
from megabar.analysis.figures import draw_stability, panels_of
from megabar.analysis.figures.differences import compound_differences, polymorph_differences
from megabar.analysis.figures.drawing import Options
from megabar.analysis.figures.labels import _DIRECTIONS, Label, _RINGS_pt, place_labels, spread, spread_widths
from megabar.analysis.figures.looks import DISTINCT, looks
from megabar.analysis.figures.occupancy import Occupancy
from megabar.analysis.figures.selection import nearness
from megabar.analysis.figures.style import (
    INK,
    PAPER,
    columns_for,
    figures_of_width,
    inline_svg,
    journal_style,
    panels,
    pdf,
    png,
    svg,
    symbols,
)
from megabar.analysis.hull import hulls_at
from megabar.analysis.stability import analyse
from megabar.analysis.tables import read_curves
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.figures import StabilityFigures
from megabar.workflows.report import showing

RANGE = (0.0, 500.0)
ASKED = tuple(np.arange(0.0, 501.0, 25.0).tolist())


def murnaghan(pressure, v0, k0, k0_prime):
    """Return enthalpy (eV/atom) and volume (Å³/atom) of a Murnaghan solid, integrated from zero pressure."""
    x = 1 + k0_prime * pressure / k0
    return v0 * k0 * GPa / (k0_prime - 1) * (x ** (1 - 1 / k0_prime) - 1), v0 * x ** (-1 / k0_prime)


SOLIDS = {"Na": (37.0, 10.0, 3.6), "He": (13.0, 3.0, 4.5), "H": (11.0, 3.0, 4.2), "S": (26.0, 14.0, 4.5),
          "Mg": (23.0, 35.0, 4.0), "O": (16.0, 9.0, 4.5)}  # fmt: skip


def invented(phase, formula, shares, a_meV, b_meV_per_GPa, pressures, noise_eV=3e-4):
    """Return a curve whose H is that of a mixture of the elements' solids plus a + b P (meV/atom)."""
    pressures = np.asarray(pressures, float)
    total = sum(shares.values())
    parts = [np.array(murnaghan(pressures, *SOLIDS[e])) * n / total for e, n in shares.items()]
    h, v = sum(parts)
    h = h + (a_meV + b_meV_per_GPa * pressures) / 1000
    v = v + b_meV_per_GPa / 1000 / GPa
    points = [VolumePoint(vi, hi - p * GPa * vi, p, noise_eV, 0.3) for p, hi, vi in zip(pressures, h, v, strict=True)]
    return enthalpy_curve(phase, formula, points)


def sodium_helium():
    """Return a system like Na–He: transitions at 65, 105, 150 GPa; Na2He stable above about 160."""
    na, he = {"Na": 1}, {"He": 1}
    return [
        invented("Na-bcc", "Na", na, 0, 0, np.linspace(0, 95, 7)),
        invented("Na-fcc", "Na", na, 26, -0.4, np.linspace(40, 135, 6)),
        invented("Na-cI16", "Na", na, 78.5, -0.9, np.linspace(85, 180, 6)),
        invented("Na-hP4", "Na", na, 123.5, -1.2, np.linspace(120, 505, 8)),
        invented("He-hcp", "He", he, 0, 0, np.linspace(-0.2, 510, 11)),
        invented("He-fcc", "He", he, 1.5, 0.01, np.linspace(0, 30, 3)),
        invented("Na2He", "Na2He", {"Na": 2, "He": 1}, 167.0, -1.33, np.linspace(80, 505, 9)),
    ]


NAMES = [curve.phase for curve in sodium_helium()]


def hydrogen_sulfur():
    """Return a binary with several compounds."""

    def mix(h, s):
        return {"H": h, "S": s}

    full = np.linspace(-0.2, 310, 9)
    return [
        invented("H-C2c", "H2", {"H": 1}, 0, 0, full),
        invented("H-Cmca", "H2", {"H": 1}, 20, -0.1, full),
        invented("S-II", "S", {"S": 1}, 0, 0, np.linspace(0, 120, 6)),
        invented("S-Im-3m", "S", {"S": 1}, 60, -0.8, np.linspace(40, 300, 7)),
        invented("H2S-a", "H2S", mix(2, 1), -80, 0.1, full),
        invented("H2S-b", "H2S", mix(2, 1), -60, -0.15, full),
        invented("H3S-Cccm", "H3S", mix(3, 1), -55, -0.3, full),
        invented("H3S-Im-3m", "H3S", mix(3, 1), 20, -1.0, full),
        invented("HS2", "HS2", mix(1, 2), 30, -0.3, full),
        invented("HS", "HS", mix(1, 1), 150, 0.2, full),
        invented("H5S2", "H5S2", mix(5, 2), -40, -0.3, full),
    ]


def magnesium_silicate():
    """Return a ternary."""
    return [
        invented("Mg-hcp", "Mg", {"Mg": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("S-a", "S", {"S": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("O-a", "O2", {"O": 1}, 0, 0, np.linspace(-0.3, 205, 6)),
        invented("MgO-B1", "MgO", {"Mg": 1, "O": 1}, -900, 0, np.linspace(-0.3, 205, 6)),
        invented("MgS", "MgS", {"Mg": 1, "S": 1}, -500, 0, np.linspace(-0.3, 205, 6)),
        invented("SO2", "SO2", {"S": 1, "O": 2}, -300, 0, np.linspace(-0.3, 205, 6)),
        invented("SO3", "SO3", {"S": 1, "O": 3}, -280, -1, np.linspace(-0.3, 205, 6)),
        invented("MgSO3", "MgSO3", {"Mg": 1, "S": 1, "O": 3}, -800, 0, np.linspace(-0.3, 205, 6)),
        invented("MgSO4", "MgSO4", {"Mg": 1, "S": 1, "O": 4}, -650, -2, np.linspace(-0.3, 205, 6)),
        invented("Mg2SO5", "Mg2SO5", {"Mg": 2, "S": 1, "O": 5}, -790, 1, np.linspace(-0.3, 205, 6)),
    ]


@pytest.fixture(scope="module")
def binary():
    curves = sodium_helium()
    stability = analyse([clipped(curve, *RANGE) for curve in curves])
    drawn = draw_stability(curves, stability, ASKED)
    return curves, stability, {each.name: each.figure for each in drawn.drawings}


def panel(figure, gid):
    [found] = [ax for ax in figure.axes if ax.get_gid() == gid]
    return found


def texts(ax):
    return [text.get_text() for text in ax.texts]


def line(ax, label):
    return next(each for each in ax.lines if each.get_label() == label)


def test_which_figures_there_are(binary):
    assert list(binary[2]) == ["stability", "hull", "compounds", "polymorphs", "distance", "volumes"]


def test_enthalpies_of_polymorphs_are_those_put_in(binary):
    ax = panel(binary[2]["polymorphs"], "polymorphs-Na")
    x, y = line(ax, "Na-fcc").get_data()
    # fcc less the stable phase: 26 − 0.4 P below 65 GPa, 0 to 105 GPa, 0.5 P − 52.5 above.
    expected = np.select([x < 65, x < 105], [26 - 0.4 * x, 0 * x], 0.5 * x - 52.5)
    known = np.isfinite(y)
    assert (x[known].min(), x[known].max()) == pytest.approx((40, 135), abs=2.5)
    # Interpolation between points 19 GPa apart is good to the 0.3 meV/atom of noise that the points are said to have.
    assert y[known] == pytest.approx(expected[known], abs=0.3)
    assert "meV/atom" in ax.get_ylabel() and "GPa" in ax.get_xlabel()
    assert {"bcc", "fcc", "cI16", "hP4"} <= set(texts(ax))
    assert {"65", "105", "150"} <= set(texts(ax))  # transitions


def test_helium_is_compared_with_the_phase_known_everywhere(binary):
    ax = panel(binary[2]["polymorphs"], "polymorphs-He")
    assert ax.get_ylabel() == "ΔH relative to hcp (meV/atom)"
    assert line(ax, "He-hcp").get_ydata() == pytest.approx(0.0, abs=1e-9)


def test_formation_enthalpy_changes_sign_where_the_compound_becomes_stable(binary):
    _, stability, figures = binary
    ax = panel(figures["compounds"], "formation")
    x, y = line(ax, "Na2He").get_data()
    known = np.isfinite(y)
    crossing = np.interp(0.0, -y[known], x[known])
    [begins] = [i.from_GPa for i in stability.intervals if i.phase == "Na2He"]
    assert crossing == pytest.approx(begins, abs=0.2)
    # 167 − 1.33 P against 2/3 (123.5 − 1.2 P) at 500 GPa; the spread of the curves there is 1 meV/atom.
    assert np.interp(500, x[known], y[known]) == pytest.approx(-180.3, abs=1.0)
    assert f"{begins:.0f}" in texts(ax) and "Na₂He" in texts(ax)


def test_decomposition_is_told_apart_from_formation():
    curves = hydrogen_sulfur()
    found = compound_differences(curves, (0.0, 300.0))
    formation, decomposition = found.formation, found.decomposition
    stability = analyse(curves)
    pressures = np.array([20.0, 60.0, 120.0, 250.0])
    for pressure in pressures:
        [hull] = hulls_at(curves, [pressure])
        for form, decompose in zip(formation, decomposition, strict=True):
            number = [curve.phase for curve in curves].index(form.phase)
            at = np.array([pressure])
            # linear between the grid's 1.5 GPa: 0.05 meV/atom
            assert form.at(at)[0] == pytest.approx(1000 * hull.formation_eV[number], abs=0.05)
            above = 1000 * hull.above_eV[number]
            if not any(hull.vertex[i] for i, c in enumerate(curves) if c.formula == form.formula):
                assert decompose.at(at)[0] == pytest.approx(above, abs=0.05)
            if hull.vertex[number]:
                assert decompose.at(at)[0] < 0.05
    assert len(stability.intervals) > 5


def test_hull_panels_show_stable_filled_and_metastable_open(binary):
    curves, stability, figures = binary
    axes = [ax for ax in figures["hull"].axes if (ax.get_gid() or "").startswith("hull-")]
    assert 2 <= len(axes) <= 6
    for ax in axes:
        pressure = float(ax.get_gid().removeprefix("hull-"))
        assert ax.get_title(loc="left") == f"{pressure:g} GPa"
        above = stability.above_hull(pressure)
        for curve in curves:
            if curve.phase in above:
                filled = line(ax, curve.phase).get_markerfacecolor() != PAPER
                assert filled == (above[curve.phase] < 1e-9), (pressure, curve.phase)
        stable = {curve.phase for curve in curves if above.get(curve.phase, 1) < 1e-9}
        assert {name.replace("Na2He", "Na₂He") for name in stable} <= set(texts(ax))  # which polymorph it is
    shown = {float(ax.get_gid().removeprefix("hull-")) for ax in axes}
    assert min(shown) < 160 < max(shown)  # before and after the compound becomes stable


def test_the_hull_line_joins_the_stable_phases(binary):
    ax = panel(binary[2]["hull"], "hull-500")
    x, y = line(ax, "hull").get_data()
    assert x == pytest.approx([0, 1 / 3, 1])
    assert y == pytest.approx([0, -180.3, 0], abs=1.0)


def test_the_stability_map_has_a_bar_for_each_interval(binary):
    _, stability, figures = binary
    ax = panel(figures["stability"], "stability-map")
    bars = {patch.get_label(): patch.get_xy() for patch in ax.patches}
    assert set(bars) == {interval.phase for interval in stability.intervals}
    for interval in stability.intervals:
        xy = bars[interval.phase]
        assert (xy[:, 0].min(), xy[:, 0].max()) == pytest.approx(
            (max(interval.from_GPa, 0), min(interval.to_GPa, 500)), abs=1e-6
        )
        # A pointed end has one corner at its tip, a transition has two.
        at_end = np.unique(xy[np.isclose(xy[:, 0], xy[:, 0].max())], axis=0)
        assert len(at_end) == (1 if interval.to_open else 2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Na", "Na₂He", "He"]
    assert {"bcc", "fcc", "cI16", "hP4", "hcp"} <= set(texts(ax))


def test_volumes_are_the_computed_ones(binary):
    curves, _, figures = binary
    ax = panel(figures["volumes"], "volumes-Na2He")
    points = [each for each in ax.lines if each.get_linestyle() == "None"]
    [curve] = [curve for curve in curves if curve.phase == "Na2He"]
    inside = curve.pressures_GPa <= 500
    assert points[0].get_ydata() == pytest.approx(curve.volumes_A3[inside])


@pytest.mark.parametrize("system", [sodium_helium, hydrogen_sulfur])
def test_labels_do_not_overlap(system, binary):
    curves = system()
    stability = analyse(curves)
    for drawing in draw_stability(curves, stability, np.linspace(0, 300, 7)).drawings:
        renderer = drawing.figure.canvas.get_renderer()
        for ax in drawing.figure.axes:
            boxes = [text.get_window_extent(renderer) for text in ax.texts if text.get_rotation() == 0]
            for i, one in enumerate(boxes):
                for other in boxes[i + 1 :]:
                    assert not one.overlaps(other), (drawing.name, ax.get_gid())


@pytest.mark.slow
def test_ternary_has_triangles_and_more_elements_a_sentence():
    curves = magnesium_silicate()
    drawn = draw_stability(curves, analyse(curves), (0.0, 100.0, 200.0))
    [hull] = [each.figure for each in drawn.drawings if each.name == "hull"]
    ax = panel(hull, "hull-100")
    assert {"Mg", "S", "O", "MgO-B1", "SO₃"} <= set(texts(ax))
    more = [*curves, invented("He-hcp", "He", {"He": 1}, 0, 0, np.linspace(-0.3, 205, 6))]
    drawn = draw_stability(more, analyse(more), (0.0, 100.0, 200.0))
    assert "hull" not in [each.name for each in drawn.drawings]
    assert "4 elements cannot be drawn" in drawn.remarks[0]


def test_files_have_text_as_text_and_the_resolution_of_print(binary):
    figure = binary[2]["stability"]
    text = svg(figure)
    for name in ("Na₂He", "hP4", "hcp", "Pressure (GPa)"):
        assert f">{name}</text>" in text, name
    assert "Arial, Helvetica" in text
    picture = png(figure)
    width = int.from_bytes(picture[16:20], "big")
    assert width == 2100  # 7 inches at 300 dpi


def test_names_in_figures_are_escaped_and_mathtext_is_harmless():
    curves = [
        invented("A<b>&$x^", "Na", {"Na": 1}, 0, 0, np.linspace(0, 95, 5)),
        invented("Na-$\\frac{1}$", "Na", {"Na": 1}, 5, -0.1, np.linspace(0, 95, 5)),
    ]
    drawn = draw_stability(curves, analyse(curves), (0.0, 90.0))
    for drawing in drawn.drawings:
        content = inline_svg(svg(drawing.figure), drawing.name)
        assert "<b>" not in content
    assert any("A&lt;b&gt;&amp;$x^" in svg(drawing.figure) for drawing in drawn.drawings)


def test_a_warning_is_on_every_figure(binary):
    curves, stability, _ = binary
    for drawing in draw_stability(curves, stability, ASKED, "toy").drawings:
        assert "toy" in [text.get_text() for text in drawing.figure.texts]


@pytest.mark.parametrize("name", ["stability", "hull-350", "formation", "distance", "polymorphs-Na", "volumes-Na"])
@pytest.mark.parametrize("part", [False, True])
def test_a_figure_is_drawn_into_axes_of_the_users_as_into_its_own(binary, name, part):
    curves, stability, _ = binary
    figures = StabilityFigures(curves, stability, ASKED, "toy")
    [own] = showing.figure(figures, showing.options(name)).axes[:1]
    mine = Figure(figsize=(7, 3))
    left, right = (mine.subfigures(1, 2)[0] if part else mine).subplots(1, 2)
    before = left.get_position().bounds
    found = showing.figure(figures, showing.options(name), ax=right)
    assert found is right.figure and right.get_gid() == own.get_gid()
    drawn = [
        {line.get_label(): line.get_xydata() for line in ax.lines if line.get_label() in NAMES} for ax in (right, own)
    ]
    assert drawn[0].keys() == drawn[1].keys()
    assert all(np.array_equal(data, drawn[1][phase], equal_nan=True) for phase, data in drawn[0].items())
    assert len(right.patches) == len(own.patches)
    assert drawn[0] or right.patches or right.collections
    assert right.get_xlim() == own.get_xlim() and "toy" in texts(right)
    assert not left.has_data() and not left.texts and left.get_position().bounds == before
    assert len(png(mine)) > 10_000


def test_axes_are_as_many_as_the_figure_has_panels(binary):
    curves, stability, _ = binary
    figures = StabilityFigures(curves, stability, ASKED)
    hulls = showing.options("hull", pressure=(100, 300, 400))
    axes = Figure(figsize=(7, 3)).subplots(1, 3)
    assert showing.figure(figures, hulls, ax=axes).axes == [*axes]
    assert [ax.get_gid() for ax in axes] == ["hull-100", "hull-300", "hull-400"]
    assert all(ax.get_ylabel() == "Formation enthalpy (meV/atom)" and "He" in ax.get_xlabel() for ax in axes)
    assert not axes[0].figure.texts  # each of them stands alone
    first = Figure().subplots()
    assert showing.figure(figures, showing.options(), ax=first) is first.figure  # the first figure there is
    assert first.get_gid() == "stability-map"
    with pytest.raises(InputError, match="this figure has 3 panels, and the axes given are 2: give as many, or name"):
        showing.figure(figures, hulls, ax=axes[:2])
    with pytest.raises(InputError, match="this figure has 1 panel, and the axes given are 3"):
        showing.figure(figures, showing.options("hull-350"), ax=axes)
    for wrong in (Figure(), "axes", []):
        with pytest.raises(InputError, match="axes of matplotlib are needed"):
            showing.figure(figures, hulls, ax=wrong)
    assert showing.figure(figures, hulls) is not axes[0].figure  # nothing is left of it


def test_a_ternary_hull_takes_its_colour_bar_into_axes_of_the_users():
    curves = magnesium_silicate()
    stability = analyse(curves)
    axes = Figure(figsize=(7, 3)).subplots(1, 2)
    figure = showing.figure(StabilityFigures(curves, stability, (100.0,)), showing.options("hull-100"), ax=axes[1])
    assert len(figure.axes) == 3 and "Above the hull" in figure.axes[2].get_ylabel()
    assert figure.axes[2].get_position().x0 > axes[1].get_position().x1


@pytest.mark.parametrize("pressures", [(50.0,), (0.0, 90.0)])
def test_phases_with_one_point_and_without_a_hull(pressures):
    curves = [
        invented("Na-bcc", "Na", {"Na": 1}, 0, 0, [50.0]),
        invented("Na-fcc", "Na", {"Na": 1}, 5, -0.1, np.linspace(0, 95, 5)),
    ]
    names = [each.name for each in draw_stability(curves, None, pressures).drawings]
    assert names == ["polymorphs", "volumes"]
    assert draw_stability([], None, pressures).remarks


def test_tables_of_others_can_be_drawn(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"{c.phase},{c.formula},{p:.1f},{c.enthalpy(p):.6f}" for c in sodium_helium() for p in range(0, 500, 50)]
    path.write_text("phase,formula,pressure_GPa,enthalpy_eV_per_atom\n" + "\n".join(r for r in rows if "nan" not in r))
    curves = read_curves(path)
    drawn = draw_stability(curves, analyse(curves), ASKED)
    assert "hull" in [each.name for each in drawn.drawings]


def test_labels_are_spread_no_further_than_needed():
    assert spread([10, 50, 90], 5, 0, 100) == [10, 50, 90]
    assert spread([50, 50, 50], 10, 0, 100) == pytest.approx([40, 50, 60])
    assert spread([99, 100], 10, 0, 100) == pytest.approx([90, 100])
    crowded = spread([1, 2, 30, 31, 32, 33], 4, 0, 100)
    assert np.diff(crowded).min() >= 4 - 1e-9


# many phases, distinct looks, ends of data, labels


def lines_of_phases(count, formulas=("Na", "Na2He", "NaHe", "He"), to_GPa=100.0):
    """Return straight lines, H rising by 1 meV/atom from phase to phase of a formula."""
    volumes = {"Na": 20.0, "Na2He": 16.0, "NaHe": 14.0, "He": 8.0}
    depth = {"Na": 0.0, "Na2He": -0.05, "NaHe": -0.04, "He": 0.0}
    return [
        Line(f"{f}-p{i}", volumes[f], depth[f] + 1e-3 * (i // len(formulas)), formula=f, to_GPa=to_GPa)
        for i in range(count)
        for f in [formulas[i % len(formulas)]]
    ]


def test_no_two_phases_look_the_same():
    curves = lines_of_phases(550)
    found = looks(curves)
    assert len(set(found.values())) == len(curves) == DISTINCT
    assert len({looks(curves[:10])[curve.phase].color for curve in curves[:10]}) == 10
    of_one = [found[curve.phase].color for curve in curves if curve.formula == "NaHe"][:10]
    assert len(set(of_one)) == 10  # polymorphs in one panel differ by colour while there are colours


def test_the_phases_nearest_to_the_hull_have_colours_of_their_own():
    curves = lines_of_phases(40)
    near = nearness(curves, analyse(curves))
    stable = [curve.phase for curve in curves if near[curve.phase] < 1e-9]
    found = looks(curves, near)
    assert len(stable) == 4 and len({found[phase].color for phase in stable}) == 4
    assert near["He-p7"] == pytest.approx(1.0)


def test_many_phases_are_left_out_with_a_sentence_and_the_files_stay_small():
    curves = lines_of_phases(600)
    drawn = {each.name: each for each in draw_stability(curves, analyse(curves), (0.0, 50.0, 100.0)).drawings}
    ax = panel(drawn["distance"].figure, "distance-map")
    assert len(ax.get_yticklabels()) == 40
    assert "Not shown: 560 more phases, at least 10 meV/atom above the hull" in drawn["distance"].caption
    assert "Not shown: 292 more phases, at least 4 meV/atom" in drawn["compounds"].caption
    polymorphs = panel(drawn["polymorphs"].figure, "polymorphs-NaHe")
    assert {f"p{2 + 4 * i}" for i in range(7)} <= set(texts(polymorphs))
    assert "Not shown: 572 more phases, at least 7 meV/atom" in drawn["polymorphs"].caption
    assert "Grey points: further phases" in drawn["hull"].caption
    for each in drawn.values():
        assert len(svg(each.figure)) < 600_000, each.name


def test_labels_cost_the_same_each_however_much_there_is(monkeypatch):
    """Places that are tried and cells that are looked up, counted: in proportion to the labels alone."""
    tried = []
    real = Occupancy.count
    monkeypatch.setattr(Occupancy, "count", lambda self, low, high: tried.append(len(low)) or real(self, low, high))
    costs = {}
    for labels, points in ((20, 10), (20, 4000), (40, 4000)):
        tried.clear()
        with journal_style():
            _, [ax] = panels(1, 1, 3.0)
            ax.set(xlim=(0, 1), ylim=(0, 1))
            x = np.linspace(0.05, 0.95, labels)
            wanted = [Label.beside(f"p{i}", INK, float(at), 0.5 + 0.3 * np.sin(40 * at)) for i, at in enumerate(x)]
            place_labels(ax, wanted, [np.random.default_rng(1).uniform(size=(1, 2)) for _ in range(points)])
        costs[labels, points] = sum(tried)
    most = len(_DIRECTIONS) * len(_RINGS_pt) * 15  # look-ups a label
    assert costs[20, 10] <= costs[20, 4000] <= 20 * most
    assert costs[40, 4000] <= 40 * most


def test_occupancy_counts_what_boxes_touch():
    grid = Occupancy(np.zeros(2), np.full(2, 10.0), 1.0)
    grid.add_points(np.array([[1.5, 1.5], [8.2, 3.9], [20.0, 1.0]]))
    grid.add_boxes([(4.1, 4.1, 5.2, 4.9)])
    low, high = np.array([[1.0, 1.0], [0.0, 0.0], [6.1, 4.0]]), np.array([[2.0, 2.0], [10.0, 10.0], [6.5, 5.0]])
    assert grid.count(low, high).tolist() == [1, 4, 0]


def test_a_marker_that_needs_no_name_gets_none_where_it_would_cover_others():
    with journal_style():
        _, [ax] = panels(1, 1, 2.0, 2.0)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        crowd = np.random.default_rng(2).uniform(size=(600, 1, 2))
        labels = [Label.beside(name, INK, 0.5, 0.5, needed) for name, needed in (("needed", True), ("other", False))]
        assert [each.text for each in place_labels(ax, labels, list(crowd))] == ["other"]
    assert texts(ax) == ["needed"]


def test_lines_are_broken_where_the_data_of_a_rival_end():
    """Up to 40 GPa Na2He competes with Na3He too; what it decomposes into lies higher beyond."""
    rival = Line("Na3He", 17.0, -0.06, formula="Na3He", to_GPa=40.0)
    curves = [*lines_of_phases(4), rival]
    found = compound_differences(curves, (0.0, 100.0))
    assert [(each.phase, each.pressure_GPa, each.begins) for each in found.decomposition_breaks] == [
        ("Na3He", 40.0, False)
    ]
    assert not found.formation_breaks
    [na2he] = [each for each in found.decomposition if each.phase == "Na2He-p1"]
    p, d = na2he.pressure_GPa, na2he.delta_meV
    gaps = p[np.isnan(d)]
    assert len(gaps) == 1 and gaps[0] == pytest.approx(40.0, abs=1e-3)
    known = np.isfinite(d)
    assert np.abs(np.diff(d[known])).max() > 10  # the jump, which no line crosses
    assert p[known][p[known] <= 40].max() == 40.0
    drawn = draw_stability(curves, analyse(curves), (0.0, 50.0, 100.0))
    [compounds] = [each for each in drawn.drawings if each.name == "compounds"]
    assert "those of Na₃He end at 40 GPa" in compounds.caption
    ends = [each for each in panel(compounds.figure, "decomposition").lines if each.get_label() == "_data-end"]
    assert [each.get_xdata()[0] for each in ends] == [40.0]


def test_above_the_stable_phase_lines_cross_but_do_not_jump():
    """Nobody is known everywhere: b ends at 60 GPa, 50 meV below c, the next lowest."""
    a, b, c = (Line(n, 10.0, e, from_GPa=lo, to_GPa=hi) for n, e, lo, hi in
               (("a", 0.0, 0, 30), ("b", -0.05, 10, 60), ("c", 0.0, 20, 100)))  # fmt: skip
    found = polymorph_differences([a, b, c], (0.0, 100.0))
    assert found.reference == ""
    assert [(each.phase, each.begins) for each in found.breaks] == [("b", True), ("b", False)]
    third = found.differences[2]
    beside = np.abs(third.pressure_GPa - 60) < 0.01
    assert np.isnan(third.delta_meV[beside]).sum() == 1
    assert third.at(np.array([59.0, 61.0])) == pytest.approx([50.0, 0.0])


def test_a_phase_known_in_a_small_part_has_a_panel_of_its_own_range():
    na = {"Na": 1}
    curves = [
        invented("Na-bcc", "Na", na, 0, 0, np.linspace(0, 505, 9)),
        invented("Na-fcc", "Na", na, 26, -0.4, np.linspace(0, 505, 9)),
        invented("Na-x", "Na", na, 4, -0.1, np.linspace(30, 54, 4)),
        invented("He-a", "He", {"He": 1}, 0, 0, np.linspace(-0.2, 510, 11)),
        invented("He-b", "He", {"He": 1}, 1.5, 0.01, np.linspace(0, 30, 3)),
    ]
    [figure] = [e.figure for e in draw_stability(curves, None, ASKED).drawings if e.name == "polymorphs"]
    whole, zoom, helium = (panel(figure, f"polymorphs-{name}") for name in ("Na", "Na-1", "He"))
    assert whole.get_xlim() == (0, 500)
    assert zoom.get_xlim() == pytest.approx((24, 60), abs=0.2) and "x" in texts(zoom)
    assert helium.get_xlim() == pytest.approx((0, 32.4), abs=0.3)  # what both share, not 24 of 500 GPa


@pytest.mark.parametrize("labels", [{}, {"Na-c": "sodium (as it was found by somebody in 1962)"}])
def test_long_names_stay_in_their_panel(labels):
    long, full = "a-long-name-of-a-phase-that-came-from-a-file-of-somebody", np.linspace(0, 505, 9)
    curves = [
        invented("Na-c" if labels else f"Na-{long}", "Na", {"Na": 1}, 0, 0, full),
        *(invented(f"Na-{name}", "Na", {"Na": 1}, 26 + a, -0.1, full) for a, name in enumerate(("a", "b"))),
        invented(f"He-{long}-1", "He", {"He": 1}, 0, 0, full),
        invented(f"He-{long}-2", "He", {"He": 1}, 1, 0.01, full),
        invented(f"He-{long[:30]}1{long}", "He", {"He": 1}, 3, 0.01, full),
        invented(f"He-{long[:30]}2{long}", "He", {"He": 1}, 5, 0.01, full),
    ]
    drawn = draw_stability(curves, None, ASKED, options=Options(labels=labels))
    [figure] = [each.figure for each in drawn.drawings if each.name == "polymorphs"]
    figure.draw_without_rendering()  # which places the names of the axes
    renderer = figure.canvas.get_renderer()
    sodium, helium = figure.axes
    for ax, other in ((sodium, helium), (helium, sodium)):
        name = ax.yaxis.label.get_window_extent(renderer)
        assert figure.bbox.x0 <= name.x0 and figure.bbox.y0 <= name.y0 and name.y1 <= figure.bbox.y1
        assert not name.overlaps(other.get_tightbbox(renderer))
    assert sodium.get_ylabel().startswith("ΔH relative to ") and sodium.get_ylabel().endswith("\n(meV/atom)")
    written = {*texts(helium), *(text.get_text() for text in helium.get_legend().get_texts() if helium.get_legend())}
    assert len({each for each in written if "a-long-name" in each}) == 4  # whole, where they would look the same
    if not labels:
        assert any(each.startswith("a-long-name-") and "…" in each and len(each) == 24 for each in texts(sodium))


def test_errors_of_transitions_are_bars_and_what_is_not_resolved_is_seen(binary):
    curves, stability, _ = binary
    first, second, *rest = stability.transitions
    wide = replace(first, error_GPa=14.0, resolved=True)
    lost = replace(second, error_GPa=60.0, resolved=False)
    intervals = [
        replace(i, to_error_GPa=60.0) if abs(i.to_GPa - second.pressure_GPa) < 1e-3 else i for i in stability.intervals
    ]
    changed = replace(stability, transitions=(wide, lost, *rest), intervals=tuple(intervals))
    drawn = {each.name: each for each in draw_stability(curves, changed, ASKED).drawings}
    ax = panel(drawn["polymorphs"].figure, "polymorphs-Na")
    spans = [bar.get_segments()[0][:, 0] for bar in ax.collections if bar.get_label() == "_transition-error"]
    assert any(span == pytest.approx([first.pressure_GPa - 14, first.pressure_GPa + 14]) for span in spans)
    assert "65" in texts(ax) and "(105)" in texts(ax)
    assert "in parentheses and dotted: not resolved" in drawn["polymorphs"].caption
    bars = {patch.get_label(): patch.get_hatch() for patch in panel(drawn["stability"].figure, "stability-map").patches}
    assert bars["Na-fcc"] and not bars["Na-hP4"] and not bars["Na2He"]
    errors = [each for each in panel(drawn["stability"].figure, "stability-map").collections
              if each.get_label() == "_transition-error"]  # fmt: skip
    assert errors


@pytest.mark.slow
def test_single_panels_sizes_labels_and_pressures(binary):
    curves, stability, _ = binary
    names = panels_of(curves, stability, ASKED)
    assert {"stability", "hull", "hull-500", "formation", "polymorphs-Na", "volumes-Na2He"} <= set(names)
    options = Options(("hull-333", "polymorphs-Na"), {"Na-fcc": "cubic"}, (333.0, 400.0))
    with figures_of_width(86 / 25.4):
        hull, polymorphs = draw_stability(curves, stability, ASKED, options=options).drawings
    assert [ax.get_gid() for ax in hull.figure.axes] == ["hull-333"]
    assert hull.figure.get_figwidth() == pytest.approx(86 / 25.4)
    assert "cubic" in texts(panel(polymorphs.figure, "polymorphs-Na"))
    assert pdf(hull.figure).startswith(b"%PDF") and pdf(hull.figure) == pdf(hull.figure)
    with pytest.raises(InputError, match="there is no panel 'hull-7'"):
        draw_stability(curves, stability, ASKED, options=Options(("hull-7",)))
    with pytest.raises(InputError, match="given to Na-x, which is no phase here"):
        draw_stability(curves, stability, ASKED, options=Options(labels={"Na-x": "x"}))


def test_a_narrow_figure_has_fewer_panels_side_by_side(binary):
    curves, stability, _ = binary
    wide = draw_stability(curves, stability, ASKED, options=Options(("hull",))).drawings[0].figure
    with figures_of_width(3.4):
        narrow = draw_stability(curves, stability, ASKED, options=Options(("hull",))).drawings[0].figure
    across = [len({round(ax.get_position().x0, 4) for ax in figure.axes}) for figure in (wide, narrow)]
    assert across == [3, 2]
    assert narrow.axes[0].get_position().width * 3.4 > 1.1  # inches


@pytest.mark.parametrize(
    ("count", "most", "columns"), [(1, 3, 1), (3, 3, 3), (4, 3, 2), (5, 3, 3), (6, 3, 3), (7, 3, 2)]
)
def test_few_places_of_a_figure_stay_empty(count, most, columns):
    assert columns_for(count, most) == columns


def test_names_side_by_side_keep_their_widths():
    places = spread_widths([10, 11, 50], [4, 6, 5], 0, 100)
    assert places[1] - places[0] == pytest.approx(5) and places[2] == 50
    assert min(places) - 2 >= 0


def test_symbols_have_their_indices_and_dollars_stay():
    assert symbols("Tc (K)") == r"$T_\mathrm{c}$ (K)"
    assert symbols("1.8 k_BTc") == r"1.8 $k_\mathrm{B}T_\mathrm{c}$"
    assert symbols("$5 Hc") == r"\$5 $H_\mathrm{c}$"
