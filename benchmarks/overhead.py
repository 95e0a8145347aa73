"""What everything that is not DFT costs: CPU a calculation of coordinator and workers, and the coordinator's memory.

Runs a study with the toy code EMT, whose own work is done in child processes and counted apart. Prints CPU
milliseconds a calculation (of the workers: once started, and with their start), the share of all of it in
calculations of 10 s on one core, and peak memory. With numbers as arguments (``overhead.py 1 100000``) it runs once
for each, with so many calculations of other studies already stored: the overhead must not grow with them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from ase.build import bulk

WORKER = "launchers.worker"
WARM = 12
"""Calculations after which the workers count as started."""


def write_study(folder: Path) -> None:
    for symbol, a in (("Cu", 3.6), ("Au", 4.07), ("Ag", 4.08), ("Pd", 3.89), ("Pt", 3.92), ("Ni", 3.5)):
        bulk(symbol, "fcc", a=a).write(folder / f"{symbol}-fcc.cif")
        bulk(symbol, "bcc", a=a * 0.8).write(folder / f"{symbol}-bcc.cif")
        bulk(symbol, "hcp", a=a / 2**0.5, c=a / 2**0.5 * 1.62).write(folder / f"{symbol}-hcp.cif")
    files = ", ".join(sorted(path.name for path in folder.glob("*.cif")))
    (folder / "study.yaml").write_text(
        "kind: stability\nsystem: Cu-Au-Ag-Pd-Pt-Ni\npressures: {from: 0, to: 300, step: 50}\n"
        f"phases: [{files}]\nmethod: {{code: emt}}\n"
    )


def fill(folder: Path, count: int) -> None:
    """Store calculations of the usual size, and their fireworks, as earlier studies leave them."""
    from megabar.launchers.database.open_runtime import open_runtime
    from megabar.workflows.config import Config

    with open_runtime(Config(data=folder / ".megabar")) as runtime:
        filler = {"settings": {"kpoints": [8, 8, 8], "text": "x" * 1500}, "code": "gpaw"}
        for start in range(0, count, 2000):
            numbers = range(start, min(start + 2000, count))
            runtime.store.database.calculations.insert_many(
                [{"_id": f"{number:040x}", "calculation": filler, "state": "done"} for number in numbers]
            )
            runtime.launchpad.fireworks.insert_many(
                [
                    {
                        "fw_id": 10**6 + number,
                        "state": "COMPLETED",
                        "launches": [10**6 + number],
                        "spec": {
                            "key": f"{number:040x}",
                            "study": "old",
                            "machine": "",
                            "core_seconds": 9,
                            "x": "x" * 1500,
                        },
                    }
                    for number in numbers
                ]
            )
            runtime.launchpad.launches.insert_many(
                [
                    {
                        "launch_id": 10**6 + number,
                        "fw_id": 10**6 + number,
                        "state": "COMPLETED",
                        "fworker": {"name": "old"},
                    }
                    for number in numbers
                ]
            )


def measure(stored: int) -> None:
    """Run the study beside so many stored calculations, and print what it cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder)
        if stored:
            fill(folder, stored)
        began = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-m", "megabar.launchers.cli", "run", "study.yaml", "--json"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        coordinator, used, peak = psutil.Process(run.pid), {}, 0.0
        warm: tuple[int, float] | None = None
        while run.poll() is None:
            try:
                peak = max(peak, coordinator.memory_info().rss / 1e6)
                for process in [coordinator, *coordinator.children()]:
                    words = " ".join(process.cmdline())
                    if process.pid == run.pid or WORKER in words:
                        times = process.cpu_times()
                        used[process.pid] = times.user + times.system
            except psutil.Error:
                pass
            if warm is None:
                ended = len(list((folder / ".megabar" / "calculations").glob("*/*/result.json")))
                if ended >= WARM:
                    warm = ended, sum(cpu for pid, cpu in used.items() if pid != run.pid)
            time.sleep(0.02)
        wall = time.monotonic() - began
        count = len(list((folder / ".megabar" / "calculations").glob("*/*/result.json")))
    assert run.returncode == 0
    assert warm is not None
    workers = sum(cpu for pid, cpu in used.items() if pid != run.pid)
    total = workers + used[run.pid]
    print(f"{stored} stored before; {count} calculations in {wall:.1f} s")
    print(f"  CPU of the workers, once started: {1000 * (workers - warm[1]) / (count - warm[0]):.0f} ms a calculation")
    print(f"  CPU of the workers, with their start: {1000 * workers / count:.0f} ms a calculation")
    print(f"  CPU of workers and coordinator, start-up, plan, report: {1000 * total / count:.0f} ms a calculation")
    print(f"  share of calculations of 10 s: {100 * total / count / 10:.2f} %")
    print(f"  peak memory of the coordinator: {peak:.0f} MB")


def main() -> None:
    for stored in [int(word) for word in sys.argv[1:]] or [0]:
        measure(stored)


if __name__ == "__main__":
    main()
