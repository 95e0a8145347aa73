"""Worker processes and those who start them: what happens around a worker, apart from the calculations it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pymongo.errors import AutoReconnect

from megabar.launchers.database.configured import Unreachable, check_reachable, wait_until_reachable
from megabar.launchers.machines.description import Machine, Machines
from megabar.launchers.schedulers.allocation import Allocation, uptime
from megabar.launchers.workers import local, queueing
from megabar.launchers.workers.local import WorkerPool
from megabar.launchers.workers.worker import Assignment
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
    pool = WorkerPool(Config(data=tmp_path), Assignment(code="emt"), 1)

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


@pytest.mark.slow
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


def test_megabar_queue_outlives_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = iter([AutoReconnect("gone"), queueing.Fed("m", 1, 0, 0, 0, 0, 1), queueing.Fed("m", 0, 0, 0, 0, 0, 0)])

    def feed(*_: object) -> queueing.Fed:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def opened(config: Config) -> Iterator[None]:
        yield None

    machine = Machine(name="m", scheduler="none", cores=1)
    monkeypatch.setattr(queueing, "load_machines", lambda: Machines(tmp_path, {"m": machine}))
    monkeypatch.setattr(queueing, "load_config", lambda: Config(data=tmp_path))
    monkeypatch.setattr(queueing, "open_runtime", opened)
    monkeypatch.setattr(queueing, "_feed", feed)
    assert [fed.waiting for fed in queueing.feed_queue("m", once=False, every_s=0.01)] == [1, 0]
    assert "; it waits" in capfd.readouterr().err


# --- the time that workers have ------------------------------------------------------------------------------------

REPORT = "import json, sys, time; print(json.loads(sys.argv[1])['ends'] - time.monotonic(), flush=True)"


@pytest.mark.slow
def test_a_worker_that_starts_late_or_is_replaced_ends_with_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it took to start: on a busy file system that is half a minute."""
    monkeypatch.setattr(local, "WORKER", f"import time; time.sleep(1.0); {REPORT}; raise SystemExit(1)")
    began = time.monotonic()
    pool = WorkerPool(Config(data=tmp_path), Assignment(code="emt", ends=began + 1000.0), 1)
    for _ in range(2):
        pool.fill()
        for each in pool.processes:
            each.wait()
    left = [float(line) for line in pool.log.read_text().splitlines()]
    assert len(left) == 2
    assert 0 < left[1] < left[0] - 1.0 < 998.0
    pool.assignment = replace(pool.assignment, ends=began)
    pool.fill()
    assert len(pool.log.read_text().splitlines()) == 2  # out of time, none is started


@pytest.mark.slow
def test_a_job_computes_no_longer_than_it_lasts_however_long_the_database_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def slowly(config: Config) -> Iterator[None]:
        time.sleep(1.5)
        yield None

    monkeypatch.setattr(queueing, "open_runtime", slowly)
    monkeypatch.setattr(queueing, "speed_on", lambda *_: 1.0)
    machine = Machine(name="m", scheduler="slurm", cores=4, wall_time="01:00:00", launch="srun -n {cores}")
    for kind in ("shared", "whole"):
        job = Allocation("slurm", "7", "m", ends=uptime() + 100.0, length_s=3600.0, grace_s=300.0)
        before = time.monotonic()
        task = queueing._assignment(machine, kind, job, Config(data=tmp_path), None)
        assert before + 99.0 < task.ends < before + 100.5
        assert queueing._assignment(machine, kind, job, Config(data=tmp_path), 10.0).ends < time.monotonic() + 10.0
