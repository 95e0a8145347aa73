"""Worker processes and those who start them: what happens around a worker, apart from the calculations it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from megabar.launchers import local
from megabar.launchers.local import WorkerPool
from megabar.launchers.mongo_uri import Unreachable, check_reachable, wait_until_reachable
from megabar.launchers.worker import Task
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config
from megabar.workflows.isolation import die_with_parent

NOBODY = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300"
EARLY_DEATH = """
import signal, sys, time
from megabar.workflows.isolation import die_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
time.sleep(1.0)  # imports take as long; the parent is gone by now
die_with_parent(signal.SIGTERM, int(sys.argv[1]))
open(sys.argv[2], "w").write("lives on")
"""


def test_one_whose_parent_died_while_it_started_ends_too(tmp_path: Path) -> None:
    """The kernel tells of a parent's death only those who asked before."""
    said_by_child = str(tmp_path / "said")
    starter = (
        "import os, subprocess, sys\n"
        f"words = [sys.executable, '-c', {EARLY_DEATH!r}, str(os.getpid()), {said_by_child!r}]\n"
        "print(subprocess.Popen(words).pid, flush=True)\n"
    )
    said = subprocess.run([sys.executable, "-c", starter], text=True, capture_output=True, check=True)
    child = int(said.stdout)
    until = time.monotonic() + 60
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not (tmp_path / "said").exists()


def test_one_whose_parent_lives_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        die_with_parent(signal.SIGUSR2, os.getppid())
        assert heard == []
        die_with_parent(signal.SIGUSR2, os.getppid() + 1)
        assert heard == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)
        die_with_parent(0)


# --- workers that die ----------------------------------------------------------------------------------------------


def test_workers_that_die_at_once_are_given_up_and_a_death_now_and_then_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "WORKER", "raise SystemExit('cannot live')")
    pool = WorkerPool(Config(data=tmp_path), Task(code="emt"), 1)

    def one_death() -> None:
        pool.fill()
        for each in pool.processes:
            each.wait()

    now = time.monotonic()
    pool.deaths = [now - 3600.0 - number for number in range(500)]  # in the weeks before
    one_death()
    pool.deaths += [now] * local.MOST_DEATHS
    with pytest.raises(SetupError, match=r"die again and again; their log is .*\n(.*\n)?cannot live"):
        pool.fill()


# --- a database that does not answer yet ---------------------------------------------------------------------------


def test_who_starts_while_the_database_is_away_waits_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unreachable):
        check_reachable(NOBODY, "megabar")
    stopping = threading.Event()
    threading.Timer(1.0, stopping.set).start()
    assert not wait_until_reachable(NOBODY, "megabar", stopping.is_set)
    assert "waits: the database at 127.0.0.1:9 does not answer" in capfd.readouterr().err
    assert wait_until_reachable(None, "megabar", stopping.is_set)


def test_nobody_waits_for_an_address_that_is_none() -> None:
    with pytest.raises(SetupError, match="is no MongoDB address"):
        wait_until_reachable("http://somewhere/", "megabar", lambda: False)
