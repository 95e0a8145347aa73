"""What workers on one database lose to one another: calculations of one second by one worker and by four.

The calculations sleep, so that cores are no limit; all else (LaunchPad, claims, results, planning) is real.
Prints calculations a second and worker, and what four lose against one.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ase.build import bulk

PHASES, SECONDS = 32, 1.0


def write_study(folder: Path) -> Path:
    """Write a study whose first calculations can all start at once."""
    for number in range(PHASES):
        bulk("Cu", "fcc", a=3.5 + 0.01 * number).write(folder / f"Cu-{number}.cif")
    path = folder / "study.yaml"
    files = ", ".join(f"{{file: Cu-{number}.cif, name: Cu-{number}, pressure: 0}}" for number in range(PHASES))
    path.write_text(
        f"kind: stability\nsystem: Cu\npressures: {{from: 0, to: 60, step: 10}}\nphases: [{files}]\n"
        "method: {code: emt}\n"
    )
    return path


def work(name: str, began: float, until: float, answers: Any) -> None:
    """Take and run calculations from a moment to another, and say how many there were."""
    from megabar.launchers.database.open_runtime import open_runtime
    from megabar.launchers.workers.worker import Assignment, _take, heard
    from megabar.workflows.config import Config
    from megabar.workflows.execution import execute
    from megabar.workflows.presence import Worker
    from megabar.workflows.runtime import Runtime, use

    config, count = Config(data=Path(name) / "data"), 0

    def run(folder: Path, _: str) -> dict[str, Any]:
        began = time.monotonic()
        result = execute(folder, config)
        time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
        return result

    with open_runtime(config) as opened:
        runtime = Runtime(
            opened.store, opened.launchpad, config, run, owner=f"bench-{multiprocessing.current_process().pid}"
        )
        use(runtime)
        with heard(Worker(runtime.owner, "bench", 0, "bench"), runtime):
            time.sleep(max(0.0, began - time.time()))
            while time.time() < until:
                count += _take(runtime, Assignment(code="emt"))
    answers.put(count)


def rate(workers: int, seconds: float) -> float:
    """Return the calculations a second and worker."""
    from megabar.launchers.database.open_runtime import open_runtime
    from megabar.launchers.workers.local import register
    from megabar.workflows.config import Config
    from megabar.workflows.driver import advance
    from megabar.workflows.kinds.registry import load_study
    from megabar.workflows.kinds.stability.plan import resolve

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        config = Config(data=Path(name) / "data")
        config.data.mkdir()
        with open_runtime(config) as runtime:
            file = load_study(write_study(Path(name)))
            advance(register(file, resolve(file, config), runtime), runtime)
            waiting = runtime.launchpad.fireworks.count_documents({"state": "READY"})
            assert waiting >= workers * seconds, f"{waiting} calculations are too few"
            answers = context.Queue()
            began = time.time() + 12.0  # all have started by then
            until = began + seconds
            processes = [context.Process(target=work, args=(name, began, until, answers)) for _ in range(workers)]
            for process in processes:
                process.start()
            counts = [answers.get(timeout=seconds + 120) for _ in processes]
            for process in processes:
                process.join()
    return sum(counts) / workers / seconds


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    one, four = rate(1, seconds), rate(4, seconds)
    print(f"one worker: {one:.3f} calculations of {SECONDS:g} s a second; each of four: {four:.3f}")
    print(json.dumps({"one": one, "four": four, "lost_percent": round(100 * (1 - four / one), 1)}))


if __name__ == "__main__":
    main()
