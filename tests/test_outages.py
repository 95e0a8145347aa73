"""`megabar run` while its database is frozen, killed, or killed while it starts: it waits, says so, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
)
from test_run import MEGABAR, folder, opened, started  # noqa: F401
from user_mongod import UserMongod, free_port

from megabar.launchers.database import patience
from megabar.launchers.database.mongod_folder import MongodFolder
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config, DatabaseConfig
from megabar.workflows.outages import is_outage, too_large

TIME_OUT_S = 3.0
"""Of the client below: a fortieth of the two minutes that users have."""


@pytest.mark.parametrize(
    ("error", "outage", "large"),
    [
        (AutoReconnect("closed"), True, False),
        (ServerSelectionTimeoutError("none"), True, False),
        (NotPrimaryError("stepped down"), True, False),
        (OperationFailure("shutting down", 11600), True, False),
        (OperationFailure("not authorized", 13), False, False),
        (DuplicateKeyError("again", 11000), False, False),
        (DocumentTooLarge("too large"), False, True),
        (OperationFailure("Resulting document after update is larger", 17419), False, True),
        (RuntimeError("ours"), False, False),
    ],
)
def test_what_is_an_outage_and_what_is_too_large(error: Exception, outage: bool, large: bool) -> None:
    assert is_outage(error) == outage
    assert too_large(error) == large


def test_what_waits_says_so_once_and_when_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    config = Config(database=DatabaseConfig(uri="mongodb://me:Secret99@h:1/"))
    answers: Iterator[Any] = iter([AutoReconnect("gone"), ServerSelectionTimeoutError("gone"), 7])

    def action() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    assert patience.patiently(action, config) == 7
    said = capfd.readouterr().err
    assert said.count("the database at h:1 does not answer any more; what runs runs on, and this waits for it") == 1
    assert said.endswith("megabar run: the database answers again\n")
    assert "Secret99" not in said


def test_nobody_waits_for_what_will_not_come_back(tmp_path: Path) -> None:
    def action() -> None:
        raise AutoReconnect("gone")

    with pytest.raises(SetupError, match=r"the folder of the database, .* is gone"):
        patience.patiently(action, Config(data=tmp_path / "nowhere"))
    with pytest.raises(ZeroDivisionError):
        patience.patiently(lambda: 1 // 0, Config(data=tmp_path))


# --- a real run ----------------------------------------------------------------------------------------------------


def ends_well(run: subprocess.Popen[bytes], folder: Path) -> str:  # noqa: F811
    """Wait for the end of a run, in which every calculation is there once, and return what it said."""
    assert run.wait(timeout=300) == 0, (folder / "run.log").read_text()[-3000:]
    said = (folder / "run.log").read_text()
    assert "Traceback" not in said
    again = subprocess.run([*MEGABAR, "run", "cuau.yaml", "--json"], cwd=folder, capture_output=True, check=True)
    answer = json.loads(again.stdout)
    assert answer["failures"] == []
    assert answer["calculations_run"] == 0
    return said


def results(folder: Path) -> int:  # noqa: F811
    return len(list((folder / ".megabar" / "calculations").glob("*/*/result.json")))


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_run_outlives_a_database_that_is_frozen_or_away_for_longer_than_the_time_out(
    folder: Path,  # noqa: F811
) -> None:
    server = UserMongod(folder / "server", free_port(), TIME_OUT_S)
    server.start()
    try:
        server.initiate()
        (folder / "megabar.yaml").write_text(f"database: {{uri: '{server.uri}', name: outages}}\nworkers: 1\n")
        (folder / "megabar.yaml").chmod(0o600)
        run = started(folder, "run", "cuau.yaml")

        def says(words: str, times: int) -> None:
            until(lambda: (folder / "run.log").read_text().count(words) == times or run.poll() is not None)

        until(lambda: results(folder) >= 2 or run.poll() is not None)
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        says("this waits for it", 1)
        server.process.send_signal(signal.SIGCONT)
        says("the database answers again", 1)
        for _ in range(2):  # twice, the second time as soon as it is there again
            server.kill()
            server.start()
        server.kill()
        says("this waits for it", 2)
        server.start()
        said = ends_well(run, folder)
        assert said.count("the database answers again") == 2
    finally:
        server.kill()


def mongod_of(folder: Path) -> psutil.Process | None:  # noqa: F811
    """Return the embedded database's process, which may be starting."""
    state = MongodFolder(folder / ".megabar" / "mongodb").state()
    if not state.supervisor_pid:
        return None
    try:
        children = psutil.Process(state.supervisor_pid).children()
        return next((each for each in children if each.name().startswith("mongod")), None)
    except psutil.Error:
        return None


@pytest.mark.slow
def test_run_outlives_kills_of_its_own_database_also_while_it_starts(folder: Path) -> None:  # noqa: F811
    run = started(folder, "run", "cuau.yaml")
    killed: set[int] = set()

    def kill_another() -> bool:
        found = mongod_of(folder)
        if found is None or found.pid in killed:
            return run.poll() is not None
        try:
            os.kill(found.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        killed.add(found.pid)
        return True

    until(kill_another)  # while it starts for the first time
    until(lambda: results(folder) >= 1 or run.poll() is not None)
    for _ in range(3):  # as soon as another one is there
        until(kill_another)
    assert run.poll() is None
    ends_well(run, folder)
    assert len(killed) == 4
