"""A damaged embedded database says the way out, and `megabar database repair` is one: on a real mongod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from pymongo import MongoClient
from pymongo.database import Database

from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.database.mongod_folder import MongodFolder
from megabar.launchers.database.repair import _refused, repair
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config, DatabaseConfig

MEGABAR = [sys.executable, "-m", "megabar.launchers.entry"]
LINGER_S = 0.3
STUDY = """\
kind: stability
system: Cu
pressures: {from: 0, to: 10, step: 10}
phases: [Cu-fcc.cif]
method: {code: emt}
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    """A data folder in a place whose socket lies elsewhere; its database is stopped at the end."""
    chosen = Config(data=tmp_path / "Data")
    yield chosen
    assert stop_database(chosen)


def fill(config: Config) -> MongodFolder:
    """Return the folder of a stopped database with 500 documents."""
    with database_session(config, LINGER_S) as address, MongoClient(address.uri) as client:
        client[address.name].things.insert_many([{"n": n, "text": "x" * 1000} for n in range(500)])
    assert stop_database(config)
    return MongodFolder(config.data / "mongodb")


def count(config: Config) -> int:
    with database_session(config, LINGER_S) as address, MongoClient(address.uri) as client:
        return len(list(client[address.name].things.find()))


@pytest.mark.slow
def test_lost_secrets_are_made_anew(config: Config) -> None:
    folder = fill(config)
    folder.key.write_text("!!")
    left = [folder.root / ".state.json.abc", folder.root / ".key.x", folder.data / ".megabar-prepared.y"]
    for path in left:
        path.write_text("{")
    with pytest.raises(SetupError, match="`megabar database repair` mends it"):
        count(config)
    assert not any(path.exists() for path in left)
    assert stop_database(config)
    folder.password.write_bytes(b"\xff\xfe")
    said = ("its key and password are new", "its data files are sound")
    assert repair(config).said == said
    assert count(config) == 500


@pytest.mark.slow
def test_damaged_collections_are_mended(config: Config) -> None:
    folder = fill(config)
    largest = max(folder.data.glob("collection-*.wt"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 20_000):
        content[place] ^= 0x5A
    largest.write_bytes(content)
    done = repair(config)
    assert done.set_aside is None
    assert "are mended" in done.said[-1]
    assert count(config) > 0
    assert repair(config).said[-1] == "its data files are sound"


@pytest.mark.slow
def test_what_cannot_be_mended_begins_anew_and_takes_the_results_from_their_folders(tmp_path: Path) -> None:
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu-fcc.cif")
    (tmp_path / "toy.yaml").write_text(STUDY)
    config = Config(data=tmp_path / ".megabar")

    def megabar(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*MEGABAR, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    first = megabar("run", "toy.yaml", "--json")
    assert first.returncode == 0, first.stderr
    written = {path: path.stat().st_mtime_ns for path in config.data.glob("calculations/*/*/result.json")}
    assert written
    assert stop_database(config)
    folder = MongodFolder(config.data / "mongodb")
    for name in ("WiredTiger.turtle", "WiredTiger.wt"):
        (folder.data / name).write_text("rubbish")
    told = megabar("status")
    assert told.returncode == 2
    assert "did not start" in told.stderr
    assert "`megabar database repair` mends it" in told.stderr
    assert told.stderr.count("\n") == 1
    done = megabar("database", "repair")
    assert done.returncode == 0, done.stderr
    assert f"set aside in {folder.root / 'damaged-1'}" in done.stdout
    assert "`megabar run STUDY.yaml` takes them from there" in done.stdout
    assert "but for imported ones: import them again" in done.stdout
    again = megabar("run", "toy.yaml", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["stable"] == json.loads(first.stdout)["stable"]
    assert {path: path.stat().st_mtime_ns for path in written} == written

    folder.password.write_text("another")
    told = megabar("status")
    assert told.returncode == 1
    assert f"the password in {folder.password} is not that of the embedded database" in told.stderr
    assert "`megabar database repair`" in told.stderr
    assert stop_database(config)


@pytest.mark.slow
def test_sound_data_stay_where_mongod_is_killed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does where memory is short: in mid-look, without a word in its log."""
    folder = fill(config)
    command = Database.command

    def killing(self: Any, name: Any, *rest: Any, **more: Any) -> Any:
        if name == "validate":
            os.kill(int((folder.data / "mongod.lock").read_text()), signal.SIGKILL)
        return command(self, name, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "command", killing)
        with pytest.raises(SetupError, match=r"was it killed, for memory\?\): nothing is set aside"):
            repair(config)
    assert not list(folder.root.glob("damaged-*"))
    assert stop_database(config)
    assert count(config) == 500


def test_a_full_disk_is_told_before_anything_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = MongodFolder(tmp_path / "mongodb")
    folder.data.mkdir(parents=True)
    for path in (folder.key, folder.password):
        path.write_text("x")
    monkeypatch.setattr("megabar.launchers.database.embedded.LEAST_FREE_BYTES", 10**18)
    with pytest.raises(SetupError, match=r"only \d+ MB are free where the data folder .* lies.*: free some$"):
        repair(Config(data=tmp_path))
    assert folder.key.read_text() == folder.password.read_text() == "x"
    assert folder.data.is_dir() and not list(folder.root.glob("damaged-*"))


def test_what_mongod_says_of_its_files_and_of_the_machine(tmp_path: Path) -> None:
    folder = MongodFolder(tmp_path)
    assert not _refused(folder, 0)
    folder.log.write_text("rubbish\n")
    old = folder.log.stat().st_size
    damaged = {"s": "E", "c": "WT", "msg": "WiredTiger error message", "attr": {"message": "checksum error"}}
    fatal = {"s": "F", "c": "-", "msg": "Fatal assertion"}
    full = {"s": "E", "c": "STORAGE", "msg": "WiredTiger error", "attr": {"message": "No space left on device"}}
    for entries, expected in (
        ([{"s": "W", "c": "STORAGE", "msg": "Detected unclean shutdown"}], False),
        ([{"s": "E", "c": "CONTROL", "msg": "Failed to set up listener"}], False),
        ([damaged, fatal], True),
        ([fatal], True),
        ([full, fatal], False),
    ):
        folder.log.write_text("rubbish\n" + "".join(json.dumps(each) + "\n" for each in entries))
        assert _refused(folder, old) is expected
        assert not _refused(folder, folder.log.stat().st_size)


@pytest.mark.slow
def test_a_database_in_use_is_left_alone(config: Config) -> None:
    with database_session(config, LINGER_S), pytest.raises(InputError, match=r"is in use; first end what uses it"):
        repair(config)


def test_there_must_be_one_of_our_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is to be repaired"):
        repair(Config(data=tmp_path))
    with pytest.raises(InputError, match="only megabar's own database"):
        repair(Config(data=tmp_path, database=DatabaseConfig(uri="mongodb://h/")))
