"""The figures of Tc: what they show, of real runs; and the error of Tc from that of its input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elph_data import unpacked
from tc_studies import study_with

from megabar.analysis.figures.gap import gap_caption, gap_figure
from megabar.analysis.figures.phonon_dispersion import below, dispersion_caption, dispersion_figure
from megabar.analysis.figures.style import PALETTE
from megabar.analysis.figures.superconductivity import sensitivity_figure
from megabar.analysis.figures.tc_curves import (
    GridRow,
    PublishedTc,
    TcLine,
    grid_figure,
    pressure_figure,
    smearing_figure,
)
from megabar.analysis.figures.tc_drawings import tc_drawings
from megabar.analysis.superconductivity.dispersion import dispersion
from megabar.analysis.superconductivity.eliashberg.full import solve
from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature
from megabar.analysis.superconductivity.gap import gap_state
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.report import tc_document
from megabar.analysis.superconductivity.spectral import scale_coupling
from megabar.analysis.superconductivity.subgrids import convergence
from megabar.launchers.answering.tc import tc_of
from megabar.launchers.api.tc_text import tc_text
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.report import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("h3s_q444", tmp_path_factory.mktemp("h3s"))


@pytest.fixture(scope="module")
def h3s(folder: Path) -> Reading:
    return read_alpha2f(folder)


@pytest.fixture(scope="module")
def unstable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("alh_q222", tmp_path_factory.mktemp("alh"))


# dispersion


def test_dispersion_shows_branches_and_the_size_of_the_coupling(h3s: Reading) -> None:
    assert h3s.coupling is not None
    found = dispersion(h3s.coupling, h3s.chosen)
    left, middle, right, top = dispersion_figure(found, h3s.spectrum, "200 GPa").axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["Γ", "H", "N", "Γ", "P", "H|P", "N"]
    branches = [line for line in left.lines if len(line.get_xdata()) > 2]
    assert len(branches) == 12 * len(found.parts)
    for axes, sizes in ((left, found.marks.linewidth_meV), (middle, found.marks.lambda_)):
        circles = axes.collections[0]
        assert circles.get_offsets().data == pytest.approx(np.column_stack([found.marks.along, found.marks.omega_meV]))
        assert circles.get_sizes() / circles.get_sizes().max() == pytest.approx(sizes / sizes.max())
    low, high = left.get_ylim()
    assert low < -60 and 219 < high < 240  # the interpolation dips below 0 between computed points
    assert right.get_ylim() == left.get_ylim()
    assert top.lines[0].get_xdata()[-1] == pytest.approx(h3s.spectrum.lambda_)
    said = dispersion_caption(found)
    assert "4×4×4" in said and "(-4.4 meV as computed)" in said and "a denser q-grid tells whether that is real" in said


def test_imaginary_modes_are_drawn_below_zero(unstable: Path) -> None:
    reading = read_alpha2f(unstable)
    assert reading.coupling is not None
    found = dispersion(reading.coupling, reading.chosen)
    left = dispersion_figure(found, reading.spectrum).axes[0]
    marks = left.collections[0].get_offsets().data
    assert marks[:, 1].min() == pytest.approx(-73.2, abs=0.1)
    assert left.get_ylim()[0] < -73.2
    assert "Imaginary modes are drawn below 0." in dispersion_caption(found)


@pytest.mark.parametrize(("value", "expected"), [(0.37, 0.2), (0.5, 0.5), (19.0, 10.0), (6.1e-4, 5e-4)])
def test_scale_is_round(value: float, expected: float) -> None:
    assert below(value) == pytest.approx(expected)


# Tc against smearing, grid and pressure


def test_smearings_show_lambda_tc_and_the_spread(h3s: Reading) -> None:
    document = tc_document(h3s, 0.1)
    drawings, remarks = tc_drawings(h3s, {"μ* = 0.1": document}, "200 GPa", "-x")
    assert [each.name for each in drawings] == [
        "alpha2f-x", "dispersion-x", "tc-smearing-x", "tc-grid-x", "tc-sensitivity-x",
    ]  # fmt: skip
    assert not remarks
    left, right = drawings[2].figure.axes
    rows = document["variants"]
    assert left.lines[0].get_ydata() == pytest.approx([row["lambda"] for row in rows])
    assert right.lines[0].get_ydata() == pytest.approx([row["tc_eliashberg_K"] for row in rows])
    [quoted] = right.lines[1].get_ydata()
    assert quoted == document["tc_eliashberg_K"] and right.lines[1].get_xdata() == [0.03]
    low, high = document["tc_eliashberg_over_smearing_K"]
    shaded = right.collections[0].get_paths()[0].get_extents()
    assert (shaded.y0, shaded.y1) == pytest.approx((low, high))
    assert (shaded.x0, shaded.x1) == pytest.approx((0.025, 0.04))
    assert "0.03" not in drawings[2].caption and "varies least" in drawings[2].caption


def test_grids_within_show_the_convergence(h3s: Reading) -> None:
    """q 2×2×2 gives half of λ; its value is that of the q-points of the 4×4×4 grid that lie on it."""
    assert h3s.coupling is not None
    rows = convergence(h3s.coupling, h3s.chosen, 0.1)
    assert [row[0] for row in rows] == [(2, 2, 2), (4, 4, 4)]
    on = [point for point in h3s.coupling.points if point.number in (1, 3, 7, 8)]  # Γ, N, P and H of the bcc lattice
    stars = [len(point.star_q) for point in on if np.allclose(2 * _fractions(h3s, point) % 1, 0, atol=1e-3)]
    assert sum(stars) == 8
    assert rows[0][1] == pytest.approx(1.116, abs=0.001)
    assert rows[1][1:] == pytest.approx((2.2539, critical_temperature(h3s.spectrum, 0.1)))
    left, right = grid_figure([GridRow(*row) for row in rows]).axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["2×2×2", "4×4×4"]
    assert left.lines[0].get_ydata() == pytest.approx([row[1] for row in rows])
    assert right.lines[0].get_ydata() == pytest.approx([row[2] for row in rows])


def _fractions(reading: Reading, point: Any) -> np.ndarray:
    assert reading.coupling is not None and reading.coupling.crystal is not None
    return reading.coupling.crystal.fractions(point.star_q)


def test_pressure_has_measured_points_and_their_sources() -> None:
    ours = [TcLine("μ* = 0.1", [150.0, 200.0], [220.0, 210.0], [12.0, 9.0])]
    published = [
        PublishedTc(155, 203, "Drozdov et al., Nature 525, 73 (2015), doi:10.1038/nature14964", True),
        PublishedTc(200, 204, "Duan et al., Sci. Rep. 4, 6968 (2014)", False),
    ]
    [axes] = pressure_figure(ours, published, "H₃S").axes
    legend = [text.get_text().replace("\n", " ") for text in axes.get_legend().get_texts()]
    assert legend[0] == "μ* = 0.1"
    assert legend[1] == "Drozdov et al., Nature 525, 73 (2015) (measured)"
    assert legend[2] == "Duan et al., Sci. Rep. 4, 6968 (2014) (not measured)"
    points = {(*line.get_xdata(), *line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 1}
    assert {(155, 203), (200, 204)} <= points
    [bars] = axes.containers
    ends = np.array(bars.lines[2][0].get_segments())[:, :, 1]
    assert ends == pytest.approx(np.array([[208, 232], [201, 219]]))
    [alone] = pressure_figure(ours, []).axes
    assert len(alone.get_legend().get_texts()) == 1


def test_without_smearings_or_title() -> None:
    left, right = smearing_figure([TcLine("μ* = 0.1", [0.01, 0.02], [1.0, 2.0])]).axes
    assert not left.lines and len(right.lines) == 1


# δTc/δα²F and the state below Tc


def test_sensitivity_is_the_response_of_tc(h3s: Reading) -> None:
    """∫ δTc/δα²F(ω) α²F(ω) dω is what Tc gains for one per cent more of α²F, times a hundred."""
    solution = solve(h3s.spectrum, 0.1)
    assert solution.sensitivity is not None
    curve = sensitivity_figure(h3s.spectrum, solution.sensitivity).axes[0].lines[0]
    response = np.interp(h3s.spectrum.omega_meV, *curve.get_data())
    gain = float(np.sum(response * h3s.spectrum.area_meV))
    more, less = (critical_temperature(scale_coupling(h3s.spectrum, 1 + step), 0.1) for step in (0.01, -0.01))
    assert gain == pytest.approx((more - less) / 0.02, rel=1e-3)


def test_gap_figure_shows_both_gaps_and_ends_at_tc(h3s: Reading) -> None:
    state = gap_state(h3s.spectrum, 0.1)
    temperatures, real_axis, density, thermal, heat = gap_figure(state, "200 GPa").axes
    for line in temperatures.lines[:2]:
        assert line.get_xdata()[-1] == pytest.approx(state.solution.tc_K)
        assert line.get_ydata()[-1] == 0
    assert temperatures.lines[1].get_ydata()[0] == pytest.approx(49.104, abs=0.01)
    assert [text.get_text() for text in real_axis.get_legend().get_texts()] == ["Re Δ", "Im Δ"]
    exact = next(line for line in real_axis.lines if line.get_label() == "Re Δ")
    assert exact.get_ydata()[0] == pytest.approx(46.5, abs=0.2)
    assert len(density.lines) == 5 and density.lines[0].get_color() == PALETTE[0]
    assert thermal.lines[0].get_ydata()[[0, -1]] == pytest.approx([1, 0])
    jump = heat.lines[0].get_ydata()
    assert jump[-2] == pytest.approx(3.04, abs=0.01) and jump[-1] == 0
    assert "Gaussians of 3.3 meV" in gap_caption(state)


@pytest.mark.slow
def test_a_folder_takes_all_figures(unstable: Path, tmp_path: Path) -> None:
    document = tc_of(unstable, figure=tmp_path / "figures")
    names = {Path(each).name for each in document["figures"]}
    stems = ("alpha2f", "dispersion", "tc-smearing", "tc-sensitivity")  # no coarser grid lies within 2×2×2
    assert names == {f"{name}.{kind}" for name in stems for kind in ("pdf", "png", "svg")}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    with pytest.raises(InputError, match="which is no folder"):
        tc_of(unstable, figure=_touched(tmp_path / "file"))


def _touched(path: Path) -> Path:
    path.touch()
    return path


# the error of Tc


def test_error_from_mu_star_is_the_derivative(folder: Path) -> None:
    document = tc_of(folder, mu_star_error=0.01)
    higher, lower = (tc_of(folder, mu_star=0.1 + step)["tc_eliashberg_K"] for step in (0.005, -0.005))
    assert document["tc_error_from_mu_star_K"] == pytest.approx(lower - higher, rel=2e-3)
    low, high = document["tc_eliashberg_over_smearing_K"]
    assert document["tc_error_from_smearing_K"] == pytest.approx((high - low) / 2)
    parts = [document["tc_error_from_mu_star_K"], document["tc_error_from_smearing_K"]]
    assert document["tc_error_K"] == pytest.approx(np.hypot(*parts))
    assert "from μ*, " in tc_text(document)
    with pytest.raises(InputError, match=r"--mu-star-error is 0\.5"):
        tc_of(folder, mu_star_error=0.5)


def test_error_from_a_third_column(tmp_path: Path) -> None:
    """One per cent of α²F at all frequencies moves Tc by what a scaled α²F does."""
    omega = np.linspace(0, 60, 301)
    shape = omega**2 * np.exp(-((omega / 30) ** 4)) / 600
    table = np.column_stack([omega, shape, 0.01 * shape])
    np.savetxt(tmp_path / "with.dat", table, header="omega (meV)  alpha2F  sigma")
    np.savetxt(tmp_path / "other.dat", table, header="omega (meV)  alpha2F  tr")
    document = tc_of(tmp_path / "with.dat")
    spectrum = read_alpha2f(tmp_path / "with.dat").spectrum
    more, less = (critical_temperature(scale_coupling(spectrum, 1 + step), 0.1) for step in (0.01, -0.01))
    assert document["tc_error_from_alpha2f_K"] == pytest.approx((more - less) / 2, rel=1e-3)
    assert document["tc_error_K"] == document["tc_error_from_alpha2f_K"]
    assert any("an upper bound" in note for note in document["notes"])
    other = tc_of(tmp_path / "other.dat")
    assert "tc_error_K" not in other
    assert other["tc_eliashberg_K"] == document["tc_eliashberg_K"]
    np.savetxt(tmp_path / "wrong.dat", table * [1, 1, -1], header="omega (meV)  alpha2F  sigma")
    with pytest.raises(InputError, match="negative or not a number"):
        tc_of(tmp_path / "wrong.dat")


# the report


@pytest.mark.slow
def test_report_has_figures_tables_modes_and_citations(unstable: Path, tmp_path: Path) -> None:
    study, answer, records = study_with(
        unstable, (2, 2, 2), "AlH-rocksalt", "AlH", isotopes={"H": 2.014}, mu_star=(0.1,)
    )
    write_report(tmp_path, study, answer, records)  # type: ignore[arg-type]
    page = (tmp_path / "index.html").read_text()
    for part in (
        "T<sub>c</sub> against pressure", "Phonons and their coupling at 20 GPa",
        "Phonons and their coupling at 20 GPa, H=2.014",
        "T<sub>c</sub> over the smearing at 20 GPa", "How T<sub>c</sub> answers to α²F at 20 GPa",
        "The state below T<sub>c</sub> at 20 GPa",
        "Below T<sub>c</sub> at 20 GPa, μ* = 0.1", "Imaginary modes", "73.2 i", "27.1 i", "citations.bib",
        "doi.org/10.1103/PhysRevB.37.4965",
    ):  # fmt: skip
        assert part in page, part
    assert "nan" not in page.lower().replace("dominant", "")
    figures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {"tc-pressure", "dispersion-20GPa", "dispersion-20GPa-H-2.014", "gap-20GPa"} <= figures
    modes = (tmp_path / "modes-20GPa.csv").read_text().splitlines()
    parts = [float(row.split(",")[8]) for row in modes[1:]]
    assert sum(parts) == pytest.approx(answer.pressures[0].documents["natural"][0]["lambda"], rel=1e-4)
    [gap] = json.loads((tmp_path / "gap.json").read_text())
    assert gap["pressure_GPa"] == 20 and gap["gap_edge_meV"] > 10
    references = (tmp_path / "citations.bib").read_text()
    assert references.count("@misc{") == references.count("  doi = {") > 10
