"""Jobs on a real Grid Engine, where root has installed one: the same as on Slurm."""

import json
import os
import subprocess
import sys

import pytest
from grid_engine import GridEngine, missing_programs, private_grid_engine
from scheduler_jobs import LOOK, STAY, request, states, wait_for, written

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers.interface import SchedulerBusy
from megabar.launchers.schedulers.queue import cancel, own_jobs, submit
from megabar.launchers.schedulers.registry import found_here
from megabar.structures.errors import SetupError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cell():
    if os.getuid() != 0:
        pytest.skip("a private Grid Engine needs root")
    lacking = missing_programs()
    if lacking:
        pytest.skip(
            f"Grid Engine is not installed: no {', '.join(lacking)} (Debian 12: gridengine-master, -exec, -client)"
        )
    with private_grid_engine() as started:
        yield started


@pytest.fixture(autouse=True)
def used(cell: GridEngine, monkeypatch):
    for name, value in cell.environment.items():
        monkeypatch.setenv(name, value)
    yield
    cell.wait_until_empty()


def machine(**changes: object) -> Machine:
    described = {"name": "test", "scheduler": "sge", "cores": 2, "parallel_environment": "smp", "queue": "all.q"}
    return Machine.model_validate({**described, "wall_time": "00:10:00", **changes})


TEST = machine()


def test_job_knows_itself_and_nothing_of_the_shell_that_submitted_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CONDA_PREFIX", "/somewhere")
    made = submit(request(tmp_path, LOOK, TEST))
    found = json.loads(wait_for(lambda: written(made.logs[0]))[0])
    assert (found["scheduler"], found["job"], found["machine"]) == ("sge", made.identifiers[0], "test")
    assert found["cores"] == 2
    assert 500 < found["left"] < 600
    assert found["stdin"] == ""
    assert found["environment"]["OMP_NUM_THREADS"] == "1"
    assert "CONDA_PREFIX" not in found["environment"]
    wait_for(lambda: not states(TEST))


def test_array_is_listed_element_by_element_and_cancelled_in_part_with_a_warning(tmp_path):
    made = submit(request(tmp_path, STAY, TEST, array=3))
    assert set(states(TEST)) == set(made.identifiers)
    first, second, third = made.identifiers
    wait_for(lambda: all(written(log) for log in made.logs))
    assert set(states(TEST).values()) == {"running"}
    assert cancel(TEST, [second]) == [second]
    wait_for(lambda: set(states(TEST)) == {first, third})
    assert any(line.startswith("SIGUSR2") for line in written(made.logs[1]))
    assert cancel(TEST, [second, "999999"]) == []


def test_jobs_wait_for_slots(tmp_path):
    made = submit(request(tmp_path, STAY, TEST, array=5))
    wait_for(lambda: list(states(TEST).values()).count("running") == 4)
    assert list(states(TEST).values()).count("pending") == 1
    cancel(TEST, made.identifiers)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queue": "nosuch.q"}, 'unknown queue "nosuch.q"'),
        ({"parallel_environment": "nosuch"}, 'parallel environment "nosuch" does not exist'),
        ({"account": "nosuch"}, 'project "nosuch" does not exist'),
        ({"options": ["-l nosuch=1"]}, 'unknown resource "nosuch"'),
    ],
)
def test_refusal_is_told_in_its_words(tmp_path, changes, words):
    with pytest.raises(SetupError, match=words) as refused:
        submit(request(tmp_path, "pass", machine(**changes)))
    assert not isinstance(refused.value, SchedulerBusy)
    assert "\n" not in str(refused.value)


def test_job_in_error_says_so(tmp_path):
    (job,) = submit(request(tmp_path, "pass", machine(options=["-wd /no/such/folder"]))).identifiers
    found = wait_for(lambda: [each for each in own_jobs(TEST) if each.reason])
    assert (found[0].identifier, found[0].state) == (job, "pending")
    assert "error state" in found[0].reason


def test_nothing_is_known_while_it_is_away(monkeypatch, tmp_path):
    monkeypatch.setenv("SGE_QMASTER_PORT", "1")
    with pytest.raises(SchedulerBusy):
        own_jobs(TEST)


def test_it_is_found():
    assert found_here()["sge"][0].isdigit()


def test_machine_check_tells_both_judgement_and_a_small_job(tmp_path):
    described = "test: {scheduler: sge, cores: 2, parallel_environment: smp, queue: all.q, wall_time: 00:20:00}"
    (tmp_path / "machines.yaml").write_text(described)
    words = [sys.executable, "-m", "megabar.launchers.cli", "machine", "check", "test"]
    done = subprocess.run(words, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "found suitable queue(s)" in done.stdout
    assert f"Python {sys.version.split()[0]}" in done.stdout
    too_large = described.replace("cores: 2", "cores: 20")
    (tmp_path / "machines.yaml").write_text(too_large)
    done = subprocess.run(words, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "no suitable queues" in done.stdout
