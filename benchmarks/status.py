"""How quick looking and submitting are with many calculations in the database.

Fills an embedded MongoDB with 100,000 results of true size in a hundred studies (one of 10,000 that runs, three large
ones and many small ones that are complete) and measures `megabar status`, what workers and planners ask, and how long
it takes to submit 10,000 calculations, beside FireWorks' own way.

Times are wall time, and CPU time of this side where that says more (on a busy computer); the database's own CPU time
is counted for `megabar status`. The best of some repetitions counts.

    python benchmarks/status.py [--calculations 100000] [--submit 10000]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bson
import numpy as np
import psutil
from ase import Atoms

from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.seeing.status import status_in
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import AtomicData
from megabar.workflows.config import Config
from megabar.workflows.driver import submit
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.queue.submission import specification
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax

RANDOM = random.Random(1)
VOLUMES = 20
REPEATS = 5
DATA = tuple(
    AtomicData(
        each, f"/home/user/.megabar/paw/{each}.PBE.gz", hashlib.sha256(each.encode()).hexdigest(), 1.0, 600.0, ""
    )
    for each in ("Na", "He")
)


def calculations(count: int, seed: int) -> list[Calculation]:
    """Return so many, as large as those of real studies: ladders of volumes of different phases."""
    random, found = np.random.default_rng(seed), []
    while len(found) < count:
        atoms = int(random.choice([2, 4, 8, 12, 16]))
        cell, positions = 4 * np.eye(3) + random.random((3, 3)), random.random((atoms, 3))
        for volume in range(VOLUMES):
            scaled = Atoms(["Na", "He"] * (atoms // 2), cell=cell * 0.99**volume, scaled_positions=positions, pbc=True)
            structure = Structure.of(scaled)
            settings = {"functional": "PBE", "kpoints": [7, 7, 5], "cutoff_eV": 700.0, "smearing": 0.1}
            found.append(Calculation("gpaw", "26.7.0", settings, structure, DATA, Relax(0.02, 1.0, True)))
    return found[:count]


def result(item: Calculation, study: str) -> dict[str, Any]:
    """Return the document of a calculation that has ended, one of a hundred failed."""
    state = RANDOM.choices(("done", "failed", "left"), (98, 1, 1))[0]
    record = CalculationRecord(
        key=item.key,
        calculation=item.to_dict(),
        state=state,
        energy_eV_per_atom=-1.0,
        pressure_GPa=100.0,
        volume_A3_per_atom=5.0,
        structure=item.structure.to_dict(),
        ionic_steps=7,
        space_group="P6_3/mmc",
        observables={"band_gap_eV": 1.0},
        provenance={
            "host": "node17",
            "started": "2026-11-21T11:53:50+00:00",
            **{"wall_s": 1000 * RANDOM.random(), "cpu_s": 1000 * RANDOM.random(), "peak_memory_MB": 800.0},
            "python": "3.12.1",
            "packages": {"megabar": "0.1.0", "ase": "3.29.0", "numpy": "2.4.6", "spglib": "2.8.0"},
            **{"worker": "node17-30917-1795262026", "cores": 16, "study": study, "estimate_core_s": 300.0},
            "folder": f"/scratch/user/megabar/calculations/{item.key[:2]}/{item.key}",
        },
    )
    return {"_id": record.key, **record.model_dump(exclude={"key"})}


def sizes(count: int) -> Iterator[int]:
    """Yield the sizes of studies of so many calculations together: the first is the one that runs."""
    yield from (count // 10, count * 3 // 10, count * 3 // 10, count // 5)
    yield from [count // 1000] * 100


def rung(number: int, key: str) -> dict[str, Any]:
    """Return what a study knows of a calculation."""
    place = {"phase": f"P{number // VOLUMES}", "index": str(number % VOLUMES)}
    return {**place, "key": key, "starts": [key, key], "purpose": "ladder", "kind": "main"}


def fill(runtime: Runtime, count: int) -> None:
    """Put studies with their results, and the fireworks that ran and run them, into the database."""
    for place, size in enumerate(sizes(count)):
        name = f"study{place}"
        items = calculations(size, place)
        open_from = size * 4 // 5 if place == 0 else size
        record = StudyRecord(
            identifier=name,
            name=name,
            kind="stability",
            definition={},
            resolved={"method": {"code": "gpaw"}, "ladders": [each.to_dict() for each in items[::VOLUMES]]},
            owner="user",
            machine="cluster",
        )
        runtime.store.put_study(record)
        rungs = [
            {
                "phase": f"P{number // VOLUMES}",
                "index": str(number % VOLUMES),
                "key": each.key,
                "starts": [each.key] * 2,
            }
            for number, each in enumerate(items)
        ]
        runtime.store.add_wanted(name, [{**rung, "purpose": "ladder", "kind": "main"} for rung in rungs])
        for start in range(0, open_from, 2000):
            part = [result(each, name) for each in items[start : min(start + 2000, open_from)]]
            runtime.store.database.calculations.insert_many(part, ordered=False)
        submit([(each, f"P {number}") for number, each in enumerate(items)], record, runtime)
        ended = [each.key for each in items[:open_from]]
        pad = runtime.launchpad
        pad.fireworks.update_many({"spec.key": {"$in": ended}}, {"$set": {"state": "COMPLETED"}})
        if place == 0:
            running = [each.key for each in items[open_from : open_from + 64]]
            pad.fireworks.update_many({"spec.key": {"$in": running}}, {"$set": {"state": "RUNNING"}})
        else:
            runtime.store.mark_complete(name)


def best(call: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, float]:
    """Return the least wall and CPU time (ms) of some calls."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1000 * min(walls), 1000 * min(cpus)


def command(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """Return the least wall time, CPU time, and the database's CPU time (ms) of a `megabar` command."""
    words = [sys.executable, "-m", "megabar.launchers.cli", *arguments]
    found = []
    for _ in range(REPEATS):
        servers = [each for each in psutil.process_iter() if _is_server(each, folder)]
        before, used, wall = os.times(), _cpu(servers), time.perf_counter()
        subprocess.run(words, env={**os.environ, "MEGABAR_DATA": str(folder)}, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        found.append((time.perf_counter() - wall, cpu, _cpu(servers) - used))
    return tuple(1000 * min(each) for each in zip(*found, strict=True))  # type: ignore[return-value]


def _is_server(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "mongod" and str(folder) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and CPU time (s) of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def by_fireworks(specs: Sequence[dict[str, Any]], runtime: Runtime) -> None:
    """Put fireworks into the LaunchPad as FireWorks itself does it."""
    from fireworks import Firework, Workflow

    from megabar.workflows.queue.firetask import CalculationTask

    runtime.launchpad.bulk_add_wfs([Workflow([Firework(CalculationTask(), spec=spec)]) for spec in specs])


def measure_submission(runtime: Runtime, count: int) -> None:
    """Print how long it takes to submit calculations, keys and estimates included, and what FireWorks would take."""
    study = StudyRecord(identifier="new", name="new", kind="stability", definition={}, resolved={}, machine="cluster")
    items = [(each, "P 1") for each in calculations(count, 10**6)]
    wall, cpu = timed(lambda: submit(items, study, runtime))
    print(f"{count:,} calculations submitted in {wall:.1f} s, {cpu:.1f} s of CPU")
    specs = [specification(each, study) for each, _ in items[:2000]]
    own = timed(lambda: runtime.store.board.insert([(spec, "P 1") for spec in specs], study.name))
    theirs = timed(lambda: by_fireworks(specs, runtime))
    ratios = [their / our for their, our in zip(theirs, own, strict=True)]
    print(f"FireWorks' bulk_add_wfs of ready specifications: {ratios[0]:.1f} times the time, {ratios[1]:.1f} of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calculations", type=int, default=100_000)
    parser.add_argument("--submit", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = Config(data=folder)
        with database_session(config) as address:
            store, pad = ResultStore.connect(address.uri, address.name), launchpad(address.uri, address.name)
            runtime = Runtime(store, pad, config, run=lambda folder, code: {})
            began = time.perf_counter()
            fill(runtime, options.calculations)
            measure(runtime, folder, options.submit, time.perf_counter() - began)
            pad.connection.close()
            store.close()
        stop_database(config)


def measure(runtime: Runtime, folder: Path, count: int, filled_s: float) -> None:
    """Print all figures."""
    store = runtime.store
    total = store.database.calculations.estimated_document_count()
    size = len(bson.encode(store.database.calculations.find_one() or {}))
    print(f"{total:,} results of about {size / 1000:.1f} kB in the database, filled in {filled_s:.0f} s")
    study = store.get_study("study0")
    assert study is not None
    one, many = study.wanted[0], study.wanted
    questions: dict[str, Callable[[], Any]] = {
        "how studies stand (the newest)": lambda: status_in(store, None, None, False),
        "how studies stand (all)": lambda: status_in(store, None, None, True),
        f"how one study of {len(many):,} stands, by phase": lambda: status_in(store, "study0", None, False),
        f"which of {len(many):,} have ended": lambda: store.ended(many),
        "which studies want a calculation": lambda: store.studies_wanting(one),
        "whether nobody wants a calculation": lambda: store.unwanted(one),
        "which studies of a machine are unfinished": lambda: store.unfinished("cluster"),
    }
    for name, call in questions.items():
        wall, cpu = best(call)
        print(f"{name}: {wall:.0f} ms, {cpu:.0f} ms of CPU here")
    for arguments in (("status",), ("status", "--all"), ("status", "study0")):
        wall, cpu, server = command(folder, *arguments)
        words = " ".join(("megabar", *arguments))
        print(f"`{words}`: {wall:.0f} ms, {cpu:.0f} ms of CPU, and {server:.0f} ms of the database's")
    measure_submission(runtime, count)


if __name__ == "__main__":
    main()
