"""`megabar hull FILE.csv` and `megabar report FILE.csv`: text, figures and report of somebody else's points."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.units import GPa

from megabar.analysis.tables import read_curves
from megabar.launchers.answering.studies import hull_of, report_on
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.text import hull_text

GRID = np.arange(0, 501, 50.0)


def solid(pressure, volume, bulk, prime):
    return GPa * volume * bulk / (prime - 1) * ((1 + prime * pressure / bulk) ** (1 - 1 / prime) - 1)


def write(path, pressures=GRID, header="phase,formula,pressure_GPa,enthalpy_eV_per_atom"):
    sodium, helium = solid(pressures, 37.0, 7.0, 3.6), solid(pressures, 13.0, 3.0, 4.5)
    phases = {"Na-bcc": ("Na", sodium), "He-hcp": ("He", helium)}
    phases["Na2He"] = ("Na2He", (2 * sodium + helium) / 3 + 0.14 - 0.00115 * pressures)
    rows = [f"{name},{f},{p:g},{h:.9f}" for name, (f, hs) in phases.items() for p, h in zip(pressures, hs, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_text_says_whose_points_they_are_and_how_they_are_interpolated(tmp_path):
    said = hull_text(hull_of([str(write(tmp_path / "table.csv"))], None))
    assert "121.7 GPa  2 Na + He → Na2He" in said
    assert "The 33 points are those of" in said and "computed by somebody else" in said
    assert "a cubic spline in (P + c)^q" in said


def test_the_text_at_one_pressure(tmp_path):
    said = hull_text(hull_of([str(write(tmp_path / "table.csv", np.array([400.0])))], None))
    assert said.startswith("At 400 GPa")
    assert "Na2He      -320.0  stable" in said
    assert "nothing is interpolated" in said and "Stable phases" not in said and "only" not in said


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_a_figure(tmp_path, suffix, begin):
    target = tmp_path / f"hull{suffix}"
    document = hull_of([str(write(tmp_path / "table.csv"))], None, target)
    assert document["figure"] == str(target)
    assert target.read_bytes().startswith(begin)
    if suffix == ".svg":
        assert "Formation enthalpy" in target.read_text()


@pytest.mark.slow
def test_all_figures_but_no_volumes_of_differences(tmp_path):
    document = hull_of([str(write(tmp_path / "table.csv"))], None, tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {"hull", "stability", "compounds", "volumes"} <= names and len(document["figures"]) == 3 * len(names)
    rows = [f"a,Na,{p},0\nb,Na,{p},{0.1 - 0.001 * p}" for p in GRID]
    path = tmp_path / "differences.csv"
    path.write_text("\n".join(["phase,formula,pressure_GPa,enthalpy_eV_per_atom", *rows]))
    hull_of([str(path)], None, tmp_path / "others")
    assert "volumes" not in {each.stem for each in (tmp_path / "others").iterdir()}


def test_wrong_figures_are_told_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="must end with"):
        hull_of([str(tmp_path / "nowhere.csv")], None, tmp_path / "hull.gif")


@pytest.mark.parametrize("pressures", [GRID, np.array([400.0])], ids=["range", "one"])
@pytest.mark.slow
def test_the_report_of_a_table(tmp_path, monkeypatch, pressures):
    monkeypatch.chdir(tmp_path)
    header = "phase,formula,pressure_GPa,enthalpy (eV/atom)"
    page = report_on(str(write(tmp_path / "table.csv", pressures, header)), None)
    folder = tmp_path / "table-report"
    assert page.resolve() == folder / "index.html"
    text = page.read_text()
    assert "computed by somebody else" in text and "Na<sub>2</sub>He" in text and "table.csv" in text
    assert ("is stable above 121.7 GPa" in text) == (len(pressures) > 1)
    assert ("At 400 GPa these phases are stable" in text) == (len(pressures) == 1)
    assert "calculations.csv" not in text and (folder / "figures" / "hull.svg").exists()
    answer = json.loads((folder / "answer.json").read_text())
    assert answer["source"].endswith("table.csv") and answer["points"] == 3 * len(pressures)
    again = read_curves(folder / "enthalpies.csv")
    assert [curve.phase for curve in again] == ["Na-bcc", "He-hcp", "Na2He"]
    assert report_on("table.csv", tmp_path / "there").parent == tmp_path / "there"
