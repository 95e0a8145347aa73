"""The toy study through the real command, wherever a user may be: odd paths, no home, no /tmp, other locales."""

from __future__ import annotations

import json
import locale
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase.build import bulk

from megabar.launchers.database.embedded import running, stop_database
from megabar.structures.errors import InputError
from megabar.workflows import places
from megabar.workflows.config import Config, load_config
from megabar.workflows.places import configuration_folder, expanded, have_home, shorten_temporary_folder

MEGABAR = [sys.executable, "-m", "megabar.launchers.entry"]
STUDY = """\
kind: stability
system: Cu
pressures: {from: 0, to: 10, step: 10}
phases: [Cu-fcc.cif]
method: {code: emt}
"""
PLACES = {
    "upper case": ("Alice", {}),
    "signs and scripts": ('New Folder/100%+a@b,c:d;e=f&g#h?i/it\'s ["a"] {b} $c `d` \\e/größe/試料-λ', {}),
    "long, and a temporary folder in capitals": ("L" * 200, {"TMPDIR": "TEMPORARY"}),
    "temporary folder with a long name": ("data", {"TMPDIR": "t" * 150}),
    "no home, and a temporary folder that is not there": ("Data", {"TMPDIR": "nowhere", "HOME": ""}),
}


def run_in(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MEGABAR, *arguments], cwd=folder, env=environment, capture_output=True, check=False, timeout=240
    )


@pytest.fixture
def started() -> Iterator[list[Path]]:
    """Folders whose databases are stopped at the end."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        stop_database(Config(data=folder / ".megabar"))


def project(folder: Path, started: list[Path]) -> Path:
    folder.mkdir(parents=True)
    bulk("Cu", "fcc", a=3.6).write(folder / "Cu-fcc.cif")
    (folder / "toy.yaml").write_text(STUDY)
    started.append(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_toy_study_anywhere(tmp_path: Path, place: str, started: list[Path]) -> None:
    name, changed = PLACES[place]
    folder = project(tmp_path / name, started)
    environment = {**os.environ, **changed}
    if "TMPDIR" in changed:
        environment["TMPDIR"] = str(tmp_path / changed["TMPDIR"])
        if changed["TMPDIR"] != "nowhere":
            Path(environment["TMPDIR"]).mkdir()
    if not environment["HOME"]:
        del environment["HOME"]
    done = run_in(folder, environment, "run", "toy.yaml", "--json")
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert answer["calculations_run"] >= 3
    assert answer["failures"] == []
    assert (folder / answer["report"]).is_file()
    state = running(Config(data=folder / ".megabar"))
    assert state is not None
    assert state.socket == state.socket.lower()
    again = run_in(folder, environment, "status", "--json")
    assert json.loads(again.stdout)["studies"][0]["complete"], again.stderr.decode()


@pytest.mark.slow
def test_toy_study_through_a_link(tmp_path: Path, started: list[Path]) -> None:
    target = project(tmp_path / "Real Folder", started)
    (tmp_path / "Link").symlink_to(target)
    for folder in (tmp_path / "Link", target):
        done = run_in(folder, dict(os.environ), "run", "toy.yaml", "--json")
        assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["calculations_run"] == 0  # both are one folder


def has_locale(name: str) -> bool:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_CTYPE, before)
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding", "word"),
    [
        ("en_US.ISO-8859-1", "latin-1", "Größe"),
        ("ja_JP.EUC-JP", "euc_jp", "Größe 試料"),
        ("C", "utf-8", "Größe"),  # Python takes UTF-8 there
        ("POSIX", "ascii", "Size"),
    ],
)
def test_toy_study_in_other_locales(tmp_path: Path, name: str, encoding: str, word: str, started: list[Path]) -> None:
    if not has_locale(name):
        pytest.skip(f"this machine has no locale {name} (localedef makes it)")
    folder = project(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + word.encode(encoding))), started)
    environment = {**os.environ, "LC_ALL": name}
    environment.pop("LANG", None)
    if encoding == "ascii":
        environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run_in(folder, environment, "run", "toy.yaml")
    assert done.returncode == 0, done.stderr.decode(encoding)
    assert "Cu-fcc  (0.0) " in done.stdout.decode(encoding)
    for command in ("status", "plan toy.yaml", "hull toy", "why toy", "cost", "phases Na-He", "doctor"):
        done = run_in(folder, environment, *command.split())
        assert done.returncode == 0, (command, done.stderr.decode(encoding))
        done.stdout.decode(encoding)


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe"))
    folder.mkdir()
    (folder / "toy.yaml").write_text(STUDY)
    done = run_in(folder, {**os.environ, "LC_ALL": "C.UTF-8"}, "status")
    assert done.returncode == 2
    assert b"the data folder's name cannot be read in this locale (utf-8): " in done.stderr
    assert rb"Gr\udcf6\udcdfe/.megabar; choose another with MEGABAR_DATA" in done.stderr
    with pytest.raises(InputError, match=r"LC_ALL=C\.UTF-8"):
        load_config(folder, {})


# Who has no home, no temporary folder.


def test_without_any_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        if "HOME" in os.environ:
            return Path(os.environ["HOME"])
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("HOME")
    have_home()
    assert os.environ["HOME"] == "/"
    assert configuration_folder({}) == Path("/.config/megabar")
    monkeypatch.setenv("HOME", "/home/me")
    have_home()
    assert os.environ["HOME"] == "/home/me"
    assert configuration_folder({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/megabar")


def test_home_of_somebody_unknown_is_left_as_it_is() -> None:
    assert expanded(Path("~no-such-user/uri")) == Path("~no-such-user/uri")


def test_python_meets_its_processes_in_a_short_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = tmp_path / ("t" * 100), tmp_path / "n"
    for folder in (far, near):
        folder.mkdir()
    monkeypatch.setattr(places, "OTHER_TEMPORARY", (str(tmp_path / "none"), str(near)))
    monkeypatch.setattr(places, "SHORT", len(str(near)))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(far))
    shorten_temporary_folder()
    import tempfile

    assert tempfile.gettempdir() == str(near)
    monkeypatch.setattr("tempfile.tempdir", str(near))
    monkeypatch.setenv("TMPDIR", str(near))
    shorten_temporary_folder()
    assert tempfile.tempdir == str(near)
