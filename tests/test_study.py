"""Study files: what is right is read, every mistake is told with file, line and key."""

import json
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from ase.build import bulk

from megabar.structures.errors import InputError
from megabar.structures.library import library
from megabar.structures.names import check_folder_name, check_name, visible
from megabar.workflows.config import CodeConfig, Config
from megabar.workflows.kinds.registry import load_study, resolve

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


def test_a_code_without_forces_is_told_at_once_whether_it_is_installed_or_not(tmp_path: Path) -> None:
    file = load_study(write(tmp_path, GOOD.replace("gpaw", "elk")))
    config = Config(data=tmp_path, codes={"elk": CodeConfig(command=("no-such-elk",))})
    with pytest.raises(InputError) as told:
        resolve(file, config)
    said = str(told.value)
    assert said.startswith(f"{tmp_path / 'study.yaml'}: the key `method.code` is `elk`, which gives energies here")
    assert said.endswith("codes that do: `gpaw`, `espresso`, `abinit`, `vasp`")


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


BOMB = "kind: stability\na: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n" for before, after in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "holds more than 50,000 values with its aliases written out"),
        ("kind: stability\nsystem: &a {x: *a}\n", "line 2: the alias *a stands for nothing before it"),
        ("kind: " + 200 * "[" + 200 * "]" + "\n", "line 1: is nested more than 30 levels deep"),
        ("kind: stability\n" + "# more\n" * 200_000, "is larger than 1 MB"),
        ("a: &a [" + "x, " * 400 + "x]\nb: [" + "*a, " * 200 + "x]\n", "line 2: holds more than 50,000 values"),
    ],
)
def test_what_would_grow_without_bounds_is_told_before_it_does(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        load_study(path)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert memory < 50e6


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2001-13-45", "'2001-13-45' cannot be read as timestamp"),
        ("2001-01-01T25:61:61Z", "cannot be read as timestamp"),
        ("9" * 5000, f"'{'9' * 40}' cannot be read as int"),
        ("!!int abc", "'abc' cannot be read as int"),
        ("!!float x", "'x' cannot be read as float"),
        ("!!bool maybe", "'maybe' cannot be read as bool"),
        ("+_", "'+_' cannot be read as int"),
        ("!!omap 3", "'3' cannot be read as omap"),
        ("[1, !!set 3]", "'3' cannot be read as set"),
        ('"\\UFFFFFFFF"', ""),
        ("\x07", "special characters are not allowed"),
    ],
)
def test_values_that_are_none_of_their_type_are_told(tmp_path: Path, value: str, said: str) -> None:
    path = write(tmp_path, f"kind: stability\nsystem: {value}\n")
    with pytest.raises(InputError) as caught:
        load_study(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "not valid YAML" in message and said in message and "\n" not in message
    assert not said.startswith("'") or "line 2" in message


def test_aliases_that_stay_small_are_fine(tmp_path: Path) -> None:
    text = GOOD.replace("{code: gpaw, protocol: fast}", "&m {code: gpaw, protocol: fast}")
    assert load_study(write(tmp_path, text)).study.method.code == "gpaw"


GOOD_NAMES = (
    "Na-hP4",
    "β-Sn",
    "a b",
    "P6_3/mmc",
    "Fe₃O₄",
    "氷VII",
    "лёд 10",
    "x=0.25",
    "(Mg,Fe)SiO3",
    "Na–He 2.1",
    "ñandú+1",
)
BAD_NAMES = {
    "": "it is empty",
    " x": "begins or ends with a space",
    "x ": "begins or ends with a space",
    "a\nb": r"'\n'",
    "a\x00b": r"'\x00'",
    "a\x1b[31mb": r"'\x1b'",
    "a\u202eb": r"'\u202e' (right-to-left override)",
    "a\u200bb": "zero width space",
    "a\u00a0b": "no-break space",
    "=1+1": "it begins with '='",
    "+1": "it begins with '+'",
    "-1": "it begins with '-'",
    "@SUM(A1)": "it begins with '@'",
    "../x": "it begins with '.'",
    "a<b": "'<'",
    "a|b": "'|'",
    "x" * 121: "it has 121 characters",
}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_of_phases(tmp_path: Path, name: str) -> None:
    bulk("Na", "sc", a=3.4).write(tmp_path / "cell.vasp")
    text = GOOD.replace("library", f"[Na-bcc, He-hcp, {{file: cell.vasp, name: {json.dumps(name)}}}]")
    assert load_study(write(tmp_path, text)).phases[2].name == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    bulk("Na", "sc", a=3.4).write(tmp_path / "cell.vasp")
    text = GOOD.replace("library", f"[Na-bcc, He-hcp, {{file: cell.vasp, name: {json.dumps(name)}}}]")
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, text))
    said = str(caught.value)
    assert "line 4: the phase" in said and BAD_NAMES[name] in said and said.isprintable()


def test_names_of_files_are_names_too(tmp_path: Path) -> None:
    bulk("Na", "sc", a=3.4).write(tmp_path / "=cmd.vasp")
    with pytest.raises(InputError, match=r"line 4: the phase '=cmd' .*give it another `name`"):
        load_study(write(tmp_path, GOOD.replace("library", "[Na-bcc, He-hcp, =cmd.vasp]")))
    path = tmp_path / "-rf.yaml"
    path.write_text(GOOD)
    with pytest.raises(InputError, match=r"a study has the name of its file, and '-rf' .*: rename the file"):
        load_study(path)


def test_all_names_of_the_library_are_names() -> None:
    for name in library():
        check_name(name, "the phase")


def test_names_of_folders_are_no_paths() -> None:
    for name in ("/etc/x", "a/b", "..", ".", "~root"):
        with pytest.raises(InputError):
            check_folder_name(name, "the study")
    check_folder_name("na2he 2024", "the study")


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("a\x1b[2Jb\tc\nd\u202ee\r") == "a\\x1b[2Jb\tc\nd\\u202ee\\r"
