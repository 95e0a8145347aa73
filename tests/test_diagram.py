"""P–T diagrams of a system: which transitions are one line, what is stable between, what is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from ase.units import GPa
from curves import Line, crossing

from megabar.analysis.figures import Options, draw_stability, panels_of
from megabar.analysis.figures.diagram import (
    LinePoint,
    WarmHull,
    _joined,
    _through,
    diagram_caption,
    diagram_figure,
    diagram_panels,
)
from megabar.analysis.frames import warm_transitions_frame
from megabar.analysis.stability import analyse
from megabar.structures.errors import InputError

BEND = 10.0
"""Of the invented boundaries: P = P₀ + BEND · (T/1000 K)²."""


def hull(temperature: float | None, isotopes: str = "", without: str = "") -> WarmHull:
    """Return Na bcc → fcc at 28 GPa and 2 Na + He → Na2He at 63 GPa (static 30 and 60), both rising with T²."""
    rise = 0.0 if temperature is None else BEND * (temperature / 1000) ** 2 - (2 if isotopes else 0)
    bcc, he = Line("Na-bcc", 10.0, formula="Na"), Line("He-hcp", 6.0, formula="He")
    fcc = crossing(bcc, 9.5, (30.0 if temperature is None else 28.0) + rise, "Na-fcc")
    at = (60.0 if temperature is None else 63.0) + rise
    volume = (2 * 9.5 + 6.0) / 3 - 0.3
    compound = Line("Na2He", volume, 2 / 3 * fcc.enthalpy_eV + 0.3 * at * GPa, formula="Na2He")
    curves = [each for each in (bcc, fcc, he, compound) if each.phase != without]
    found = analyse(curves)
    found = replace(found, transitions=tuple(replace(each, error_GPa=1.2) for each in found.transitions))
    slope = None if temperature is None else 2 * BEND * temperature / 1e6
    return WarmHull(temperature, isotopes, found, [slope] * len(found.transitions))


def hulls(*isotopes: str, without: str = "") -> list[WarmHull]:
    warm = [hull(t, name, without) for name in ("", *isotopes) for t in (0.0, 300.0, 1000.0)]
    return [hull(None, without=without), *warm]


def test_each_composition_has_its_transitions_as_lines_through_the_temperatures() -> None:
    sodium, compound = diagram_panels(hulls())
    assert [panel.formula for panel in (sodium, compound)] == ["Na", "Na2He"]
    [line], [decomposition] = sodium.lines, compound.lines
    assert line.name == "bcc → fcc" and decomposition.name == "2 Na + He → Na2He"
    assert line.static == pytest.approx((30.0, 1.2)) and decomposition.static == pytest.approx((60.0, 1.2))
    [points] = line.parts
    assert [point.temperature_K for point in points] == [0.0, 300.0, 1000.0]
    assert [point.pressure_GPa for point in points] == pytest.approx([28.0, 28.9, 38.0])
    [points] = decomposition.parts
    assert [point.pressure_GPa for point in points] == pytest.approx([63.0, 63.9, 73.0])


def test_regions_are_what_is_stable_and_what_a_compound_decomposes_into() -> None:
    sodium, compound = diagram_panels(hulls(), {"Na-fcc": "cubic"})
    regions = {region.name: region.spans[300.0] for region in sodium.regions}
    assert regions == {"bcc": (-np.inf, pytest.approx(28.9)), "cubic": (pytest.approx(28.9), np.inf)}
    regions = {region.name: region.spans[1000.0] for region in compound.regions}
    assert regions == {"Na₂He": (pytest.approx(73.0), np.inf), "Na + He": (-np.inf, pytest.approx(73.0))}


def test_isotopes_are_lines_of_their_own_and_share_the_static_lattice() -> None:
    [sodium, _] = diagram_panels(hulls("He=3.016"))
    natural, other = sodium.lines
    assert (natural.isotopes, other.isotopes) == ("", "He=3.016")
    assert natural.static is not None and other.static is None
    assert other.parts[0][0].pressure_GPa == pytest.approx(26.0)
    assert "other isotopes" in diagram_caption([sodium]) and "other isotopes" not in diagram_caption(
        diagram_panels(hulls())
    )


def test_lines_follow_their_slopes_and_are_exact_for_a_parabola() -> None:
    [points] = diagram_panels(hulls())[0].lines[0].parts
    at, pressure, error = _through(points)
    assert pressure == pytest.approx(28.0 + BEND * (at / 1000) ** 2, abs=1e-9)
    assert error == pytest.approx(1.2)
    straight = [replace(point, slope_GPa_K=None) for point in points]
    assert _through(straight)[1][16] == pytest.approx(28.45)  # half way to 28.9


def test_a_transition_that_is_missing_at_a_temperature_breaks_its_line() -> None:
    given = hulls()
    given[2] = hull(300.0, without="Na-fcc")
    [line] = diagram_panels(given)[0].lines
    assert [[point.temperature_K for point in part] for part in line.parts] == [[0.0], [1000.0]]
    assert "broken" in diagram_caption(diagram_panels(given)) and "broken" not in diagram_caption(
        diagram_panels(hulls())
    )


@pytest.mark.parametrize(("pressure", "joined"), [(10.4, True), (11.0, True), (30.0, False), (-10.0, False)])
def test_points_are_joined_where_their_slopes_lead_from_one_to_the_other(pressure: float, joined: bool) -> None:
    one, other = LinePoint(0.0, 10.0, 0.2, 0.0), LinePoint(300.0, pressure, 0.2, 0.004)
    assert _joined(one, other) == joined
    assert _joined(one, replace(other, slope_GPa_K=None))


def test_a_transition_of_the_static_lattice_alone_is_told() -> None:
    given = [hulls()[0], *hulls(without="Na-fcc")[1:]]
    [line] = [line for panel in diagram_panels(given) for line in panel.lines if not line.parts]
    assert line.name == "bcc → fcc" and line.static == pytest.approx((30.0, 1.2))
    assert "Of the static lattice alone: bcc → fcc." in diagram_caption(diagram_panels(given))


def drawn(count: int = 4, *isotopes: str) -> list[object]:
    return list(diagram_figure(diagram_panels(hulls(*isotopes)[:count]), (0.0, 100.0)).axes)


def test_the_figure_names_regions_and_tells_slopes() -> None:
    sodium, compound = drawn()
    texts = {text.get_text() for text in sodium.texts}
    assert texts == {"bcc", "fcc", "+20 MPa/K"}
    assert {text.get_text() for text in compound.texts} == {"Na₂He", "Na + He", "+20 MPa/K"}
    assert [label.get_text() for label in sodium.get_xticklabels()][:2] == ["static", "0"]
    [bcc] = [text for text in sodium.texts if text.get_text() == "bcc"]
    temperature, pressure = bcc.get_position()
    assert pressure < 28.0 + BEND * (temperature / 1000) ** 2  # below its transition
    low, high = sodium.get_ylim()
    assert 0 <= low < 27 and 39 < high <= 100


def test_with_zero_point_motion_alone_there_are_marks_and_no_lines() -> None:
    sodium, _ = drawn(2)
    assert {text.get_text() for text in sodium.texts} == {"bcc", "fcc"}
    assert [label.get_text() for label in sodium.get_xticklabels()] == ["static", "0"]


def test_isotopes_have_a_legend() -> None:
    [legend] = [axes.get_legend() for axes in drawn(7, "He=3.016")[:1]]
    assert [text.get_text() for text in legend.get_texts()] == ["natural isotopes", "He=3.016"]


def test_the_figures_of_a_study_have_the_diagram_and_its_panels() -> None:
    given = hulls()
    static = given[0].stability
    names = panels_of(static.curves, static, (0.0, 100.0), warm=given)
    assert [name for name in names if name.startswith("diagram")] == ["diagram", "diagram-Na", "diagram-Na2He"]
    chosen = draw_stability(static.curves, static, (0.0, 100.0), options=Options(("diagram-Na2He",)), warm=given)
    [drawing] = chosen.drawings
    assert len(drawing.figure.axes) == 1 and drawing.name == "diagram-Na2He"
    with pytest.raises(InputError, match="no panel 'diagram'"):
        draw_stability(static.curves, static, (0.0, 100.0), options=Options(("diagram",)))


def test_the_frame_has_a_row_a_temperature_and_transition() -> None:
    rows = [
        (each.temperature_K or 0.0, each.isotopes or "natural", each.stability, each.slopes_GPa_K) for each in hulls()
    ]
    frame = warm_transitions_frame(rows[1:])
    assert len(frame) == 6 and set(frame["isotopes"]) == {"natural"}
    row = frame[(frame["temperature_K"] == 1000) & (frame["reaction"] == "Na-bcc → Na-fcc")].iloc[0]
    assert row["pressure_GPa"] == pytest.approx(38.0) and row["slope_GPa_per_K"] == pytest.approx(0.02)
    assert list(warm_transitions_frame([]).columns)[:5] == [
        "temperature_K", "isotopes", "pressure_GPa", "error_GPa", "slope_GPa_per_K",
    ]  # fmt: skip
