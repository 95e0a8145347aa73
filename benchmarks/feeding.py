"""How long it takes to put a thousand jobs into a real Slurm: `megabar queue`, and FireWorks' `qlaunch rapidfire`.

Starts a private Slurm (tests/slurm_cluster.py) whose partition accepts jobs and starts none, so that only the feeding
is measured. `megabar queue --once` looks at the queue, plans, and submits jobs in arrays of ten, its default; then jobs
one by one (`jobs_per_array: 1`). FireWorks' launcher submits with the five seconds' pause that it is shipped with, and
with QUEUE_UPDATE_INTERVAL 0, so many jobs as are given and the rest extrapolated. Wall time, and CPU time of this side
with sbatch (slurmctld's is not in it).

    python benchmarks/feeding.py [--jobs 1000] [--singly 200] [--fireworks 200] [--paused 5]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from slurm_cluster import SlurmCluster, missing_programs, private_slurm

from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.workflows.config import Config
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import StudyRecord

PAUSE_S = 5.0
"""FireWorks' QUEUE_UPDATE_INTERVAL as shipped."""
MACHINES = """\
cluster: {{scheduler: slurm, partition: all, cores: 4, wall_time: "01:00:00", most_jobs: {jobs},
  jobs_per_array: {array}, codes: {{emt: {{}}}}}}
"""


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and CPU time (s) of a call, with the processes that it starts and waits for."""
    wall, before = time.perf_counter(), os.times()
    call()
    after = os.times()
    return time.perf_counter() - wall, sum(after[:4]) - sum(before[:4])


def queued(slurm: SlurmCluster) -> int:
    """Return how many jobs are in the queue, elements of arrays one by one."""
    return len(slurm.run("squeue", "-h", "-r", "-o", "%i").split())


def wait_for_work(runtime: Runtime, jobs: int) -> None:
    """Store a study whose waiting calculations are worth so many jobs: two hours each, on one core."""
    study = StudyRecord(identifier="many", name="many", kind="stability", definition={}, resolved={}, machine="cluster")
    runtime.store.put_study(study)
    # Somebody else is planning: there is nothing to plan here.
    runtime.store.take_lease("many", "somebody")
    spec = {"study": "many", "machine": "cluster", "code": "emt", "core_seconds": 7200.0, "_priority": 7200}
    tasks = [({**spec, "key": f"{number:040x}"}, str(number)) for number in range(4 * jobs)]
    runtime.store.board.insert(tasks, study.name)


@contextmanager
def fed(jobs: int, array: int) -> Iterator[Path]:
    """Have a folder whose machine waits for so many jobs, in arrays of a size."""
    with tempfile.TemporaryDirectory() as name:
        folder, config = Path(name), Config(data=Path(name) / ".megabar")
        (folder / "machines.yaml").write_text(MACHINES.format(jobs=jobs, array=array))
        config.data.mkdir()
        with open_runtime(config) as runtime:
            wait_for_work(runtime, jobs)
            yield folder
        stop_database(config)


def by_megabar(jobs: int, array: int, slurm: SlurmCluster) -> tuple[float, float]:
    """Return wall and CPU time of one look of `megabar queue` that submits so many jobs."""
    words = [sys.executable, "-m", "megabar.launchers.cli", "queue", "cluster", "--once", "--json"]
    with fed(jobs, array) as folder:
        said: list[str] = []
        found = timed(lambda: said.append(subprocess.run(words, cwd=folder, check=True, stdout=-1, text=True).stdout))
    assert json.loads(said[0])["submitted"] == jobs, said
    assert queued(slurm) == jobs
    slurm.wait_until_empty(300)
    return found


def by_fireworks(jobs: int, pause_s: float, slurm: SlurmCluster) -> tuple[float, float]:
    """Return wall and CPU time of `qlaunch rapidfire` for so many jobs."""
    from fireworks import FWorker
    from fireworks.queue import queue_launcher
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

    asked = {"nodes": 1, "ntasks": 4, "walltime": "01:00:00", "queue": "all", "rocket_launch": "rlaunch rapidfire"}
    queue_launcher.QUEUE_UPDATE_INTERVAL = pause_s
    with fed(jobs, 1) as folder, open_runtime(Config(data=folder / ".megabar")) as runtime:
        adapter = CommonAdapter("SLURM", q_name="cluster", **asked)
        found = timed(
            lambda: queue_launcher.rapidfire(
                runtime.launchpad, FWorker(), adapter, launch_dir=str(folder), nlaunches=jobs, strm_lvl="ERROR"
            )
        )
    assert queued(slurm) == jobs
    slurm.wait_until_empty(300)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--singly", type=int, default=200)
    parser.add_argument("--fireworks", type=int, default=200)
    parser.add_argument("--paused", type=int, default=5)
    options = parser.parse_args()
    lacking = missing_programs()
    if lacking:
        raise SystemExit(f"Slurm is not installed: no {', '.join(lacking)}")
    with private_slurm() as slurm:
        os.environ["SLURM_CONF"] = str(slurm.configuration)
        slurm.run("scontrol", "update", "partitionname=all", "state=down")
        ways: dict[str, tuple[int, float, Callable[[int], tuple[float, float]]]] = {
            "megabar queue, arrays of 10": (options.jobs, 0.0, lambda jobs: by_megabar(jobs, 10, slurm)),
            "megabar queue, one by one": (options.singly, 0.0, lambda jobs: by_megabar(jobs, 1, slurm)),
            "qlaunch, no pause": (options.fireworks, 0.0, lambda jobs: by_fireworks(jobs, 0.0, slurm)),
            "qlaunch, as shipped": (options.paused, PAUSE_S, lambda jobs: by_fireworks(jobs, PAUSE_S, slurm)),
        }
        for name, (jobs, pause_s, way) in ways.items():
            wall, cpu = way(jobs)
            each_s = (wall - pause_s * (jobs - 1)) / jobs
            many_s = each_s * options.jobs + pause_s * (options.jobs - 1)
            many = "" if jobs >= options.jobs else f"; {options.jobs} extrapolated: {many_s:.0f} s"
            print(f"{name}: {jobs} jobs in {wall:.1f} s, {cpu:.1f} s of CPU{many}", flush=True)
        load = os.getloadavg()[0]
        print(f"load of this computer: {load:.1f}")


if __name__ == "__main__":
    main()
