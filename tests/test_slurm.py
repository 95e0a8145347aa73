"""Jobs on a real Slurm: submitted, listed, cancelled, warned of their end, and refused in its own words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest
from scheduler_jobs import LOOK, STAY, request, states, wait_for, written
from slurm_cluster import SlurmCluster

from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers.interface import SchedulerBusy
from megabar.launchers.schedulers.queue import cancel, own_jobs, submit
from megabar.launchers.schedulers.registry import found_here
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]


def machine(**changes: object) -> Machine:
    return Machine.model_validate(
        {"name": "test", "scheduler": "slurm", "cores": 4, "memory_GB": 1.0, "wall_time": "00:10:00", **changes}
    )


TEST = machine()


def test_job_knows_itself_and_nothing_of_the_shell_that_submitted_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MEGABAR_DATABASE_URI", "mongodb://me:Secret99@host/")
    monkeypatch.setenv("CONDA_PREFIX", "/somewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    made = submit(request(tmp_path, LOOK, TEST, cores=2, wall_time=120, environment={"MEGABAR_DATA": "/a b"}))
    (log,) = made.logs
    found = json.loads(wait_for(lambda: written(log))[0])
    assert (found["scheduler"], found["job"], found["machine"]) == ("slurm", made.identifiers[0], "test")
    assert found["cores"] == 2
    assert 60 < found["left"] < 120.1
    assert (found["length_s"], found["grace_s"]) == (120, 300)
    assert found["stdin"] == ""
    environment = found["environment"]
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["MEGABAR_DATA"] == "/a b"
    assert {"CONDA_PREFIX", "LD_LIBRARY_PATH"}.isdisjoint(environment)
    assert "Secret99" not in json.dumps(found) + made.script.read_text()
    wait_for(lambda: not states(TEST))


def test_array_is_listed_element_by_element_and_cancelled_in_part(tmp_path):
    made = submit(request(tmp_path, STAY, TEST, array=3))
    assert len(made.identifiers) == len(made.logs) == 3
    listed = {job.identifier: job for job in own_jobs(TEST)}
    assert set(listed) == set(made.identifiers)
    assert {job.name for job in listed.values()} == {"job"}
    first, second, third = made.identifiers
    # Each element takes one of the two nodes.
    wait_for(lambda: written(made.logs[0]) and written(made.logs[1]))
    assert states(TEST) == {first: "running", second: "running", third: "pending"}
    assert set(cancel(TEST, [third, first])) == {third, first}
    wait_for(lambda: set(states(TEST)) == {second})
    assert any(line.startswith("SIGTERM") for line in written(made.logs[0]))
    assert not made.logs[2].exists()


def test_cancelling_what_has_ended_or_never_was_is_no_failure(tmp_path):
    made = submit(request(tmp_path, "pass", TEST))
    wait_for(lambda: not states(TEST))
    assert cancel(TEST, [*made.identifiers, "999999"]) == []


def test_somebody_elses_scancel_is_seen(slurm: SlurmCluster, tmp_path):
    made = submit(request(tmp_path, STAY, TEST))
    (log,) = made.logs
    wait_for(lambda: written(log))
    slurm.run("scancel", made.identifiers[0])
    wait_for(lambda: not states(TEST))
    told = next(line for line in written(log) if line.startswith("SIGTERM"))
    assert float(told.split()[1]) > 500


def test_process_behind_exec_is_told_before_the_wall_time_ends(tmp_path):
    # Slurm looks twice a minute and may signal a minute early: this job is told within half a minute.
    short = machine(wall_time="00:01:00", grace=30)
    made = submit(request(tmp_path, STAY, short))
    (log,) = made.logs
    told = wait_for(lambda: [line for line in written(log) if line.startswith("SIGTERM")], 70.0)
    assert 0 < float(told[0].split()[1]) < 60
    wait_for(lambda: not states(TEST))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partition": "nosuch"}, "invalid partition specified: nosuch"),
        ({"cores": 5}, "Requested node configuration is not available"),
        ({"options": ["--no-such-option"]}, "unrecognized option '--no-such-option'"),
    ],
)
def test_refusal_is_told_in_slurms_words(tmp_path, changes, words):
    with pytest.raises(SetupError, match=words) as refused:
        submit(request(tmp_path, "pass", machine(**changes)))
    assert "Slurm refuses (sbatch): " in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not isinstance(refused.value, SchedulerBusy)
    assert states(TEST) == {}


def test_job_that_can_never_start_says_why(tmp_path):
    (job,) = submit(request(tmp_path, "pass", machine(partition="short", wall_time="01:00:00"))).identifiers
    found = wait_for(lambda: {each.identifier: each.reason for each in own_jobs(TEST)})
    assert found[job] in ("PartitionTimeLimit", "PartitionConfig")


def test_nothing_is_known_while_slurm_is_away_and_jobs_live_on(slurm: SlurmCluster, tmp_path):
    made = submit(request(tmp_path, STAY, TEST))
    wait_for(lambda: written(made.logs[0]))
    slurm.stop_controller()
    try:
        with pytest.raises(SchedulerBusy):
            own_jobs(TEST)
        with pytest.raises(SchedulerBusy):
            submit(request(tmp_path, "pass", TEST))
    finally:
        slurm.start_controller()
        slurm.wait_until_ready_again()
    assert states(TEST) == {made.identifiers[0]: "running"}


def test_node_that_is_gone_ends_its_job(slurm: SlurmCluster, tmp_path):
    made = submit(request(tmp_path, STAY, TEST))
    wait_for(lambda: written(made.logs[0]))
    node = slurm.run("squeue", "-h", "-o", "%N").strip()
    slurm.kill_node(node)
    try:
        slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")
        wait_for(lambda: states(TEST).get(made.identifiers[0]) != "running")
    finally:
        slurm.start_node(node)
        slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
        slurm.wait_until_empty()
        slurm.wait_until_ready()


def test_job_of_somebody_else_asks_slurm_how_long_it_lasts(slurm: SlurmCluster, tmp_path):
    log = tmp_path / "log"
    environment = {**os.environ, "SLURM_CONF": str(slurm.configuration)}
    words = ["sbatch", f"--output={log}", "--time=5", f"--wrap={quote(sys.executable)} -c '{LOOK}'"]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    found = json.loads(wait_for(lambda: written(log))[0])
    assert found["machine"] == ""
    assert found["grace_s"] is None
    assert 200 < found["left"] <= 300


def test_steps_share_a_job_as_the_documentation_says(tmp_path):
    step = f"srun --exact --mem=0 -n 2 {quote(sys.executable)} -c 'import time; print(time.time()); time.sleep(2)'"
    both = f"import subprocess as s; both = [s.Popen({step!r}, shell=True) for _ in range(2)]"
    source = f"{both}; [each.wait() for each in both]"
    made = submit(request(tmp_path, source, TEST))
    times = wait_for(lambda: len(written(made.logs[0])) == 4 and [float(line) for line in written(made.logs[0])])
    assert max(times) - min(times) < 2


def test_slurm_is_found():
    assert found_here()["slurm"][0].isdigit()


# The check of a machine, by the command.

FILE = """
test:
  scheduler: slurm
  cores: 4
  partition: all
  memory_GB: 1
  wall_time: 00:20:00
  codes: {emt: {}}
"""


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "megabar.launchers.cli", "machine", "check", "test", *options]
    return subprocess.run(words, cwd=folder, text=True, capture_output=True, check=False, timeout=120)


def test_machine_check_runs_a_small_job_that_reaches_the_database(tmp_path):
    (tmp_path / "machines.yaml").write_text(FILE)
    shared = Config(data=tmp_path / "elsewhere")
    with database_session(shared) as address:
        (tmp_path / "uri").write_text(address.uri)
        (tmp_path / "uri").chmod(0o600)
        (tmp_path / "megabar.yaml").write_text(f"database: {{uri_file: uri, name: {address.name}}}\n")
        done = check(tmp_path, "--json")
    stop_database(shared)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert told["trial"]["answer"]["python"] == sys.version.split()[0]
    assert told["trial"]["answer"]["threads"] == "1"
    assert "answers" in told["trial"]["answer"]["database"]
    assert "emt" in told["trial"]["answer"]["codes"]
    assert "to start at" in told["trial"]["sentence"]  # what Slurm says to a job of real size
    assert "#SBATCH --time=00:20:00" in told["script"]
    left = [path.name for path in (tmp_path / ".megabar" / "jobs" / "test").iterdir()]
    assert left == ["megabar-shared.sh"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("partition: all", "partition: nosuch"), "invalid partition specified: nosuch"),
        (("partition: all", "partition: short"), "`wall_time`: 00:20:00 is more than short has, 00:10:00"),
        (("cores: 4", "cores: 5"), "`cores`: 5 is more than all has, 4"),
        (("memory_GB: 1", "memory_GB: 9"), "`memory_GB`: 9 is more than all has, 4.194"),
        (("codes: {emt: {}}", "codes: {espresso: {command: no-such-pw.x}}"), "no-such-pw.x"),
        (("codes: {emt: {}}", "prepare: exit 3"), "ended without an answer"),
    ],
)
def test_machine_check_says_what_is_wrong(tmp_path, change, words):
    (tmp_path / "machines.yaml").write_text(FILE.replace(*change))
    done = check(tmp_path)
    assert done.returncode == 2
    assert "problem: " in done.stdout
    assert words in done.stdout
    assert states(TEST) == {}


def test_machine_check_does_not_wait_for_ever(tmp_path, slurm: SlurmCluster):
    slurm.run("scontrol", "update", "partitionname=all", "state=down")
    try:
        (tmp_path / "machines.yaml").write_text(FILE)
        done = check(tmp_path, "--wait", "2")
    finally:
        slurm.run("scontrol", "update", "partitionname=all", "state=up")
    assert done.returncode == 2
    assert "still waited in the queue (PartitionDown) after 2 s and was cancelled" in done.stdout
    assert states(TEST) == {}
