"""`megabar figures`: figures of a table and of a study, panel by panel, as files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from curves import Line, crossing

from megabar.analysis.figures.drawing import Options
from megabar.launchers.answering.figures import wishes
from megabar.launchers.cli.command import main
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.kind import SUPERCONDUCTIVITY


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a CSV with Na (two phases), He and NaHe, 0 to 100 GPa."""
    bcc = Line("Na-bcc", 20.0, formula="Na")
    curves = [
        bcc,
        crossing(bcc, 19.0, 40.0, "Na-fcc"),
        Line("He-hcp", 8.0),
        Line("NaHe-B2", 13.6, 0.1, formula="NaHe"),
    ]
    rows = [
        f"{c.phase},{c.formula},{p:g},{float(c.enthalpy(p)):.6f},0.0005"
        for c in curves
        for p in np.linspace(0, 100, 11)
    ]
    path = tmp_path_factory.mktemp("table") / "mine.csv"
    header = "phase,formula,pressure_GPa,enthalpy_eV_per_atom,uncertainty_eV_per_atom"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(monkeypatch, capsys, *arguments):
    """Return exit code, standard output and standard error of the command."""
    monkeypatch.setattr(sys, "argv", ["megabar", "figures", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_list_names_every_panel_and_each_can_be_drawn(table, tmp_path, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, table, "--list", "--json")
    names = [each["name"] for each in json.loads(out)["panels"]]
    assert code == 0
    assert {"stability", "hull", "hull-0", "compounds", "formation", "polymorphs-Na", "volumes-He"} <= set(names)
    code, out, _ = run(
        monkeypatch, capsys, table, "--panel", ",".join(names), "--format", "svg", "--to", tmp_path, "--json"
    )
    document = json.loads(out)
    assert code == 0 and [Path(each).name for each in document["files"]] == [f"{name}.svg" for name in names]
    assert all(Path(each).read_text().startswith("<?xml") for each in document["files"])


def test_width_formats_and_labels(table, tmp_path, monkeypatch, capsys):
    options = ("--panel", "polymorphs-Na", "--format", "pdf,png", "--width", "86", "--label", "Na-fcc=cubic")
    code, out, _ = run(monkeypatch, capsys, table, *options, "--to", tmp_path / "new", "--json")
    document = json.loads(out)
    assert code == 0 and document["figures"][0]["width_mm"] == 86
    picture = (tmp_path / "new" / "polymorphs-Na.png").read_bytes()
    assert int.from_bytes(picture[16:20], "big") == pytest.approx(86 / 25.4 * 300, abs=1)
    assert (tmp_path / "new" / "polymorphs-Na.pdf").read_bytes().startswith(b"%PDF")


def test_pressures_of_the_hull(table, tmp_path, monkeypatch, capsys):
    options = ("--panel", "hull", "--pressure", "12.5,60", "--pressure", "90", "--format", "svg", "--to", tmp_path)
    code, _, _ = run(monkeypatch, capsys, table, *options)
    text = (tmp_path / "hull.svg").read_text()
    assert code == 0 and all(f">{p} GPa</text>" in text for p in ("12.5", "60", "90"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--panel", "hulls"), "there is no panel 'hulls' (there are: stability, hull, hull-0"),
        (("--format", "jpg"), "--format is jpg; it can be any of pdf, svg, png"),
        (("--format", ","), "--format names no kind of file"),
        (("--width", "5"), "--width is 5 mm; it must lie between 50 and 400 mm"),
        (("--label", "Na-fcc"), "it must be PHASE=TEXT"),
        (("--label", "Na-x=x"), "a label is given to Na-x, which is no phase here (Na-bcc, "),
        (("--pressure", "low"), "--pressure is 'low'; it must be a number (GPa)"),
        (("--pressure", "900"), "--pressure is 900 GPa, where no phase of"),
        (("--to", "{file}"), "figures cannot be written to"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(table, monkeypatch, capsys, options, said):
    arguments = [each.replace("{file}", str(table)) for each in options]
    code, out, told = run(monkeypatch, capsys, table, *arguments)
    assert code == 2 and not out
    assert said in told and told.count("\n") == 1


def test_figures_of_tc_are_chosen_by_name_and_pressure(tmp_path):
    from elph_data import unpacked
    from tc_studies import study_with

    _, answer, _ = study_with(unpacked("alh_q222", tmp_path), (2, 2, 2), "AlH-rocksalt", "AlH", mu_star=(0.1,))
    figures = SUPERCONDUCTIVITY.figures(answer)
    chosen = figures.draw(wishes(["alpha2f-20GPa,tc-pressure"], "pdf", None, [], []).options).drawings
    assert [each.name for each in chosen] == ["tc-pressure", "alpha2f-20GPa"]
    with pytest.raises(InputError, match="did you mean alpha2f-20GPa"):
        figures.draw(wishes(["alpha2f-2GPa"], "pdf", None, [], []).options)
    with pytest.raises(InputError, match="--pressure is 30 GPa, which the study has not"):
        figures.panels(Options(hull_GPa=(30.0,)))
    with pytest.raises(InputError, match="--label names phases of a hull"):
        figures.draw(wishes([], "pdf", None, ["AlH=x"], []).options)
