"""Study files: what is right is read, every mistake is told with file, line and key."""

from pathlib import Path

import pytest
from ase.build import bulk

from megabar.structures.errors import InputError
from megabar.workflows.study import load_study

GOOD = """\
kind: stability
system: Na-He
pressures: {from: 0, to: 500, step: 25}
phases: library
method: {code: gpaw, protocol: fast}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_library_study(tmp_path: Path) -> None:
    file = load_study(write(tmp_path, GOOD))
    names = {phase.name for phase in file.phases}
    assert {"Na-bcc", "Na-fcc", "Na-cI16", "Na-hP4", "He-hcp", "He-fcc", "Na2He"} <= names
    assert file.study.pressure_values[0] == 0
    assert file.study.pressure_values[-1] == 500
    assert len(file.study.pressure_values) == 21
    assert file.identifier.startswith("study-")


def test_last_pressure_is_always_there(tmp_path: Path) -> None:
    text = GOOD.replace("{from: 0, to: 500, step: 25}", "{from: 0, to: 110, step: 25}")
    assert load_study(write(tmp_path, text)).study.pressure_values == (0, 25, 50, 75, 100, 110)


def test_pressures_may_be_a_list_or_one_number(tmp_path: Path) -> None:
    text = GOOD.replace("{from: 0, to: 500, step: 25}", "[300, 100, 200, 100]")
    assert load_study(write(tmp_path, text)).study.pressure_values == (100, 200, 300)
    text = GOOD.replace("{from: 0, to: 500, step: 25}", "150")
    assert load_study(write(tmp_path, text)).study.pressure_values == (150,)


def test_edited_study_is_another_study(tmp_path: Path) -> None:
    first = load_study(write(tmp_path, GOOD)).identifier
    assert load_study(write(tmp_path, GOOD + "\n# a comment changes nothing\n")).identifier == first
    assert load_study(write(tmp_path, GOOD.replace("500", "400"))).identifier != first


def test_files_and_names_together(tmp_path: Path) -> None:
    bulk("Na", "sc", a=3.4).write(tmp_path / "Na-sc.cif")
    phases = "phases: [Na-bcc, He-hcp, Na-sc.cif, {file: Na-sc.cif, name: Na-sc-2, pressure: 40}]"
    file = load_study(write(tmp_path, GOOD.replace("phases: library", phases)))
    assert [phase.name for phase in file.phases] == ["Na-bcc", "He-hcp", "Na-sc", "Na-sc-2"]
    assert file.phases[3].pressure_GPa == 40


WRONG = {
    "unknown key": (GOOD + "acuracy_meV: 2\n", ["line 6", "`acuracy_meV`", "accuracy_meV"]),
    "unknown nested key": (GOOD.replace("protocol", "protocl"), ["line 5", "`method.protocl`", "protocol"]),
    "kind missing": (GOOD.replace("kind: stability\n", ""), ["kind", "missing", "stability"]),
    "kind unknown": (GOOD.replace("kind: stability", "kind: stabilty"), ["line 1", "stabilty", "stability"]),
    "element unknown": (GOOD.replace("Na-He", "Na-Hx"), ["line 2", "system", "Hx"]),
    "pressures upside down": (GOOD.replace("from: 0", "from: 600"), ["line 3", "pressures", "600", "500"]),
    "pressure impossible": (GOOD.replace("to: 500", "to: 1e6"), ["line 3", "5000"]),
    "pressure not a number": (GOOD.replace("to: 500", "to: high"), ["line 3", "high"]),
    "step zero": (GOOD.replace("step: 25", "step: 0"), ["line 3", "step"]),
    "code unknown": (GOOD.replace("gpaw", "gpwa"), ["line 5", "gpwa", "gpaw"]),
    "protocol unknown": (GOOD.replace("fast", "quick"), ["line 5", "quick", "moderate"]),
    "phase unknown": (GOOD.replace("library", "[Na-bbc, He-hcp]"), ["line 4", "Na-bbc", "Na-bcc"]),
    "file missing": (GOOD.replace("library", "[nowhere.cif, He-hcp]"), ["line 4", "nowhere.cif"]),
    "element without phase": (GOOD.replace("library", "[Na-bcc, Na2He]"), ["line 4", "pure He"]),
    "foreign element": (GOOD.replace("library", "[Na-bcc, He-hcp, Al-fcc]"), ["line 4", "Al-fcc", "Na-He"]),
    "phase twice": (GOOD.replace("library", "[Na-bcc, Na-bcc, He-hcp]"), ["line 4", "Na-bcc"]),
    "not YAML": (GOOD + "phases: [a, b\n", ["YAML"]),
    "not a mapping": ("- kind\n", ["key: value"]),
    "method missing": (GOOD.replace("method: {code: gpaw, protocol: fast}\n", ""), ["method", "missing"]),
    "cutoff negative": (GOOD.replace("protocol: fast", "cutoff_eV: -3"), ["line 5", "cutoff_eV", "-3"]),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_told(tmp_path: Path, mistake: str) -> None:
    text, expected = WRONG[mistake]
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_study(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for part in expected:
        assert part in message


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_study(tmp_path / "nothing.yaml")


def test_unreadable_structure_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.cif").write_text("this is no structure\n")
    with pytest.raises(InputError, match=r"line 4.*bad\.cif"):
        load_study(write(tmp_path, GOOD.replace("library", "[bad.cif, He-hcp]")))


def test_overlapping_atoms_are_told(tmp_path: Path) -> None:
    from ase import Atoms

    Atoms("Na2", cell=[4, 4, 4], scaled_positions=[(0, 0, 0), (0.05, 0, 0)], pbc=True).write(tmp_path / "close.cif")
    with pytest.raises(InputError, match=r"close\.cif"):
        load_study(write(tmp_path, GOOD.replace("library", "[close.cif, He-hcp]")))
