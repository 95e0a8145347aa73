"""The report, figures and frames of a study of phonons by the toy code: one phase not stable, one with a failure."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playing import Played, Shelf, play

from megabar.analysis.figures.drawing import Options
from megabar.analysis.phonons.readers import read_phonons
from megabar.structures.errors import InputError
from megabar.workflows.config import Config
from megabar.workflows.kinds.phonons.figures import PhononFigures, suffix_at
from megabar.workflows.kinds.phonons.report import write_report
from megabar.workflows.kinds.phonons.view import PhononView
from megabar.workflows.kinds.phonons.words import notes_of, sentences
from megabar.workflows.kinds.registry import load_study, resolve
from megabar.workflows.store import StudyRecord

STUDY = """\
kind: phonons
phases: [Al-fcc, Al-bcc]
pressures: [0, 25]
method: {code: emt}
supercell: {length_A: 6}
temperatures: 300
elastic: true
check: false
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("phonons")
    (folder / "al.yaml").write_text(STUDY, encoding="utf-8")
    plan = resolve(load_study(folder / "al.yaml"), Config(data=folder / "data"))
    return play("phonons", plan, folder, lambda rung: rung["kind"] == "forces" and rung["phase"] == "Al-bcc at 25 GPa")


@pytest.fixture(scope="module")
def found(played: Played) -> Any:
    return played.answer()


@pytest.fixture(scope="module")
def written(played: Played, found: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    study = StudyRecord(
        identifier="al-1", name="al", kind="phonons", definition={}, resolved={}, rungs=played.rungs,
        wanted=[rung["key"] for rung in played.rungs],
    )  # fmt: skip
    write_report(folder, study, found, Shelf(played.records))  # type: ignore[arg-type]
    return folder


class Page(HTMLParser):
    """The links of a page and whether its elements are closed in order."""

    VOID = frozenset({"meta", "link", "img", "br", "path", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.links += [own["href"]] if tag == "a" and own.get("href") else []
        self.names |= {own["id"]} if own.get("id") else set()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page_of(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_is_whole_and_loads_nothing(written: Path) -> None:
    text = page_of(written)
    page = Page()
    page.feed(text)
    assert page.open == []
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.names
        elif not link.startswith("https://doi.org/"):
            assert (written / link).exists(), link
    assert "src=" not in text.replace('src="data:', "") and "<script" not in text
    assert len(text) < 3_000_000


@pytest.mark.slow
def test_the_page_says_what_is_stable_what_is_not_and_what_is_missing(written: Path) -> None:
    text = page_of(written)
    assert "Al-fcc is dynamically stable at 0 GPa" in text
    assert "Al-fcc is not dynamically stable at 25 GPa" in text
    assert (
        "Al-bcc has no force constants at 25 GPa" in text and "1 of 1 supercells are missing, 1 of them failed" in text
    )
    assert "by a test" in text  # what failed, in its own words
    assert "these numbers have no physical meaning" in text
    imaginary = text.partition('id="imaginary"')[2].partition("What failed")[0]
    assert re.search(r"Al-fcc</td><td class=\"n\">25</td>.*? i</td>", imaginary)


@pytest.mark.slow
def test_the_numbers_of_the_page_are_those_of_the_answer(written: Path, found: Any) -> None:
    text, document = page_of(written), json.loads((written / "answer.json").read_text())
    [stable] = [each for each in document["phases"] if (each["phase"], each["pressure_GPa"]) == ("Al-fcc", 0)]
    assert f"{stable['volume_A3_per_atom']:.3f}" in text
    assert f"{stable['highest_frequency_THz']:.3f}" in text
    parts = stable["zero_point_error_parts_eV_per_atom"]
    assert stable["zero_point_error_eV_per_atom"] == pytest.approx(np.sqrt(sum(each**2 for each in parts.values())))
    assert all(f"± {part}" in text for part in parts)
    [elastic] = [
        e for e in document["elastic"] if (e["phase"], e["pressure_GPa"]) == ("Al-fcc", 0) and not e["temperature_K"]
    ]
    assert f"{elastic['bulk_modulus_GPa']:.1f}" in text


@pytest.mark.slow
def test_the_tables_are_files_too(written: Path, played: Played, found: Any) -> None:
    rows = list(csv.DictReader(io.StringIO((written / "thermo.csv").read_text())))
    table = next(each for each in found.thermo if each.phase == "Al-fcc")
    assert [(float(row["pressure_GPa"]), float(row["temperature_K"])) for row in rows if row["phase"] == "Al-fcc"] == [
        (row["pressure_GPa"], row["temperature_K"]) for row in table.rows()
    ]
    known = [(row, own) for row, own in zip(rows, table.rows(), strict=False) if own["gibbs_eV_per_atom"] is not None]
    assert known
    for row, own in known:
        assert float(row["gibbs_eV_per_atom"]) == pytest.approx(own["gibbs_eV_per_atom"], rel=1e-8)
    calculations = list(csv.DictReader(io.StringIO((written / "calculations.csv").read_text())))
    assert [row["key"] for row in calculations] == [rung["key"] for rung in played.rungs]
    assert [row["state"] for row in calculations].count("failed") == 1


@pytest.mark.slow
def test_force_constants_are_files_that_are_read_back(written: Path, found: Any) -> None:
    files = {path.name for path in (written / "force_constants").iterdir()}
    there = [each for each in found.crystals if each.constants is not None]
    assert files == {f"{each.phase}-{each.pressure_GPa:g}GPa.yaml" for each in there}
    again = read_phonons(written / "force_constants" / "Al-fcc-25GPa.yaml")
    own = next(each for each in there if (each.phase, each.pressure_GPa) == ("Al-fcc", 25))
    q = [[0.1, 0.2, 0.3]]
    assert again.harmonic.modes(q).frequencies_THz == pytest.approx(own.crystal.modes(q).frequencies_THz, abs=1e-6)
    assert again.pressure_GPa == pytest.approx(own.reached_GPa)


@pytest.mark.slow
def test_figures_are_chosen_by_name_and_pressure(found: Any) -> None:
    figures = PhononFigures(found)
    names = figures.panels(Options())
    assert {
        "phonons-Al-fcc-0GPa",
        "thermal-Al-fcc-0GPa",
        "gruneisen-Al-fcc",
        "thermo-Al-fcc",
        "thermo-volume-Al-fcc",
    } <= set(names)
    assert "thermal-Al-fcc-25GPa" not in names  # imaginary modes have no thermal functions
    drawn = [each.name for each in figures.draw(Options()).drawings]
    assert "thermo-Al-fcc" in drawn and "thermo-volume-Al-fcc" not in drawn  # it stands in the other one
    assert [each.name for each in figures.draw(Options(("thermo-volume-Al-fcc",))).drawings] == ["thermo-volume-Al-fcc"]
    assert [each.name for each in figures.draw(Options(hull_GPa=(25.0,))).drawings] == ["phonons-Al-fcc-25GPa"]
    with pytest.raises(InputError, match="no panel 'phonon-Al-fcc-0GPa'; did you mean phonons-Al-fcc-0GPa"):
        figures.draw(Options(("phonon-Al-fcc-0GPa",)))
    with pytest.raises(InputError, match="7 GPa, at which there are no force constants"):
        figures.draw(Options(hull_GPa=(7.0,)))


@pytest.mark.slow
def test_python_has_frames_figures_and_phonopys_objects(found: Any) -> None:
    import matplotlib.pyplot as plt

    view = PhononView(found)
    phonons = view.phonons.set_index(["phase", "pressure_GPa"])
    assert bool(phonons.loc[("Al-fcc", 0), "stable"]) and not bool(phonons.loc[("Al-fcc", 25), "stable"])
    assert phonons.loc[("Al-fcc", 25), "lowest_frequency_THz"] < 0
    assert "supercells are missing" in phonons.loc[("Al-bcc", 25), "missing"]
    assert set(view.thermo["phase"]) >= {"Al-fcc"} and view.thermo["volume_A3_per_atom"].dtype == float
    crystal = view.phonopy("Al-fcc", 0)
    own = next(each for each in found.crystals if (each.phase, each.pressure_GPa) == ("Al-fcc", 0))
    at = own.crystal.modes([[0.0, 0.5, 0.5]]).frequencies_THz[0]
    assert crystal.run_qpoints([[0.0, 0.5, 0.5]]).frequencies[0] == pytest.approx(at, abs=1e-6)
    assert at.max() == pytest.approx(phonons.loc[("Al-fcc", 0), "highest_frequency_THz"], rel=0.02)
    with pytest.raises(InputError, match="Al-bcc has no force constants at 25 GPa: 1 of 1 supercells are missing"):
        view.phonopy("Al-bcc", 25)
    with pytest.raises(InputError, match=r"no phase Al-hcp \(it has Al-fcc, Al-bcc\)"):
        view.phonopy("Al-hcp", 0)
    figure, axes = plt.subplots(1, 2)
    assert view.figure("phonons-Al-fcc-0GPa", ax=axes) is figure
    assert axes[0].lines and axes[1].lines
    plt.close(figure)


def crystal(pressure: float, **more: Any) -> dict[str, Any]:
    return {
        "phase": "Al-fcc", "pressure_GPa": pressure, "asked": True, "stable": True, "imaginary": [], "notes": [],
        "zero_point_eV_per_atom": 0.03 + pressure / 1000, "zero_point_error_eV_per_atom": 0.0004, **more,
    }  # fmt: skip


def test_the_answer_in_words() -> None:
    soft = {"q": [0.5, -0.5, 0.0], "frequency_THz": -2.126, "commensurate": False}
    said = sentences(
        {
            "phases": [
                crystal(0.0), crystal(10.0), crystal(-4.0, asked=False),
                crystal(20.0, stable=False, imaginary=[soft]),
                crystal(30.0, missing="not computed yet"), crystal(40.0, missing="not computed yet"),
            ]
        }
    )  # fmt: skip
    assert [(each.text, each.warns) for each in said] == [
        ("Al-fcc is dynamically stable at 0 and 10 GPa", False),
        ("Al-fcc is not dynamically stable at 20 GPa", True),
        ("Al-fcc has no force constants at 30 and 40 GPa", True),
    ]
    assert said[0].note == "zero-point energy 30.0 ± 0.4 and 40.0 ± 0.4 meV/atom"
    assert said[1].note.startswith("lowest mode 2.13i THz at q = (0.5, −0.5, 0), between the q of the supercell")
    assert said[2].note == "not computed yet"


def test_notes_that_crystals_share_are_said_once() -> None:
    noted = [crystal(pressure, notes=["soft"]) for pressure in (0.0, 10.0)] + [crystal(20.0, notes=["hard"])]
    thermo = [{"phase": "Al-fcc", "notes": ["beyond"]}]
    assert notes_of({"phases": noted, "thermo": thermo, "notes": ["all"]}) == [
        "Al-fcc at 0 GPa, Al-fcc at 10 GPa: soft", "Al-fcc at 20 GPa: hard", "Al-fcc: beyond", "all",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pressure", "name"), [(20.0, "-Al-fcc-20GPa"), (-4.0, "-Al-fcc-minus4GPa"), (0.5, "-Al-fcc-0.5GPa")]
)
def test_names_of_files_tell_phase_and_pressure(pressure: float, name: str) -> None:
    assert suffix_at("Al-fcc", pressure) == name
