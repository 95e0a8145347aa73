"""What everything that is not DFT costs: CPU a calculation of coordinator and workers, and the coordinator's memory.

Runs a study with the toy code EMT, whose own work is done in child processes and counted apart. Prints CPU
milliseconds a calculation, their share of a calculation of 10 s on one core, and peak memory.
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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder)
        began = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-m", "megabar.launchers.cli", "run", "study.yaml", "--json"], cwd=folder
        )
        coordinator, used, peak, start = psutil.Process(run.pid), {}, 0.0, {}
        while run.poll() is None:
            try:
                peak = max(peak, coordinator.memory_info().rss / 1e6)
                for process in [coordinator, *coordinator.children()]:
                    words = " ".join(process.cmdline())
                    if process.pid == run.pid or WORKER in words:
                        times = process.cpu_times()
                        used[process.pid] = times.user + times.system
                        start.setdefault(process.pid, used[process.pid])
            except psutil.Error:
                pass
            time.sleep(0.02)
        wall = time.monotonic() - began
        count = len(list((folder / ".megabar" / "calculations").glob("*/*/result.json")))
    workers = sum(cpu for pid, cpu in used.items() if pid != run.pid)
    total = workers + used[run.pid]
    print(f"{count} calculations in {wall:.1f} s", file=sys.stderr)
    print(f"CPU of the workers (without the children that compute): {1000 * workers / count:.0f} ms a calculation")
    print(f"CPU of workers and coordinator, start-up, plan, report: {1000 * total / count:.0f} ms a calculation")
    print(f"share of calculations of 10 s: {100 * total / count / 10:.2f} %")
    print(f"peak memory of the coordinator: {peak:.0f} MB")


if __name__ == "__main__":
    main()
