"""What a study of many large cells costs: 5,000 wanted calculations of 200 atoms, planned, stored and answered.

Prints the time to plan and submit them all, the CPU time of planning after each result while thousands have none yet,
the largest document of both databases, and the peak memory of `megabar run`, which plans, shows how it goes, answers
and writes the report. Results are stored without being computed, but for the last ones, which EMT computes.

    python benchmarks/wanted.py [--phases 250] [--volumes 20] [--atoms 200]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT
from ase.units import GPa

from megabar.launchers.answering import studies
from megabar.launchers.api import study as api_study
from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.workers.local import register
from megabar.structures.symmetry import rattled
from megabar.workflows.config import Config, load_config
from megabar.workflows.driver import advance, advance_all
from megabar.workflows.kinds import registry
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure

STUDY = """\
kind: stability
system: Cu
pressures: {from: 0, to: 60, step: 20}
phases: [Cu.cif]
method: {code: emt}
"""
APART_EV = 0.02
"""Enthalpy (eV/atom) of each phase above the one before."""
LEFT = 20
"""Results that are left to the workers of `megabar run`."""
SAMPLE = 100
"""Results after each of which it is planned, as a worker does."""


def planned(folder: Path, phases: int, volumes: int, atoms: int) -> tuple[Any, Any]:
    """Return the study file, and its plan made large: many phases of many atoms, each at many volumes."""
    bulk("Cu", "fcc", a=3.65).write(folder / "Cu.cif")
    (folder / "study.yaml").write_text(STUDY)
    file = registry.load_study(folder / "study.yaml")
    plan = registry.resolve(file, load_config())
    cell = make_supercell(bulk("Cu", "fcc", a=3.65), np.diag([5, 5, atoms // 25]))
    first = tuple(Fraction(number, 16) for number in range(volumes))
    ladder = replace(plan.ladders[0], relaxation=None, first=first, known_GPa=(0.0, 60.0))
    ladders = [
        replace(ladder, phase=f"Cu-{number}", structure=Structure.of(rattled(cell, 0.01, number)))
        for number in range(phases)
    ]
    return file, replace(plan, ladders=tuple(ladders))


def energies(plan: Any) -> dict[Fraction, tuple[float, float]]:
    """Return energy (eV/atom) and pressure (GPa) of the first phase at all volumes."""
    found, ladder = {}, plan.ladders[0]
    for index in ladder.first:
        atoms = ladder.calculation(plan.method, index).structure.atoms()
        atoms.calc = EMT()
        found[index] = atoms.get_potential_energy() / len(atoms), -float(np.mean(atoms.get_stress()[:3])) / GPa
    return found


def records(plan: Any, rungs: list[dict[str, Any]]) -> Any:
    """Return the record of each rung as if it had been computed, with the cell of the first volume of its phase."""
    known = energies(plan)
    large = {ladder.phase: ladder.calculation(plan.method, ladder.first[0]) for ladder in plan.ladders}
    for rung in rungs:
        calculation, index = large[rung["phase"]], Fraction(rung["index"])
        energy_eV, pressure_GPa = known[index]
        yield CalculationRecord(
            key=rung["key"],
            calculation=calculation.to_dict(),
            state="done",
            energy_eV_per_atom=energy_eV + APART_EV * int(rung["phase"].split("-")[1]),
            pressure_GPa=pressure_GPa,
            volume_A3_per_atom=plan.ladder(rung["phase"]).volume(index),
            structure=calculation.structure.to_dict(),
            ionic_steps=1,
            stress_deviation_GPa=0.1,
            space_group="P1",
            provenance={"worker": "bench", "cpu_s": 1.0, "host": "bench", "wall_s": 1.0},
        )


def cpu_s() -> float:
    return time.process_time()


def largest_document(runtime: Any) -> tuple[int, str]:
    """Return the size (bytes) of the largest document of both databases, and where it is."""
    size = {"$group": {"_id": None, "size": {"$max": {"$bsonSize": "$$ROOT"}}}}
    found = []
    for database in (runtime.store.database, runtime.launchpad.db):
        for name in database.list_collection_names():
            found += [(each["size"], name) for each in database[name].aggregate([size])]
    return max(found)


def measure(folder: Path, options: argparse.Namespace) -> None:
    config = load_config()
    file, plan = planned(folder, options.phases, options.volumes, options.atoms)
    with open_runtime(config) as runtime:
        began, cpu = time.perf_counter(), cpu_s()
        identifier = register(file, plan, runtime)
        print(f"study of {options.phases} phases registered in {time.perf_counter() - began:.1f} s", flush=True)
        began, cpu = time.perf_counter(), cpu_s()
        advance(identifier, runtime)
        wall, used = time.perf_counter() - began, cpu_s() - cpu
        study = runtime.store.get_study(identifier)
        count = len(study.wanted)
        print(f"{count:,} calculations of {options.atoms} atoms planned, stored and submitted in {wall:.1f} s,")
        print(f"  {used:.1f} s of CPU: {1000 * used / count:.1f} ms a calculation", flush=True)
        made = records(plan, study.rungs)
        stored = 0
        for share in (0.02, 0.5, 0.95):
            stored += put(list(islice(made, int(share * count) - stored)), runtime)
            time.sleep(11 * planning_s(identifier, runtime, print_it=False))  # as long as it may rest
            used = 0.0
            for record in islice(made, SAMPLE):
                stored += put([record], runtime)
                began = cpu_s()
                advance_all(record.key, runtime)
                used += cpu_s() - began
                time.sleep(options.pause)
            print(f"{stored:,} with results: {1000 * used / SAMPLE:.1f} ms of CPU to plan after each of {SAMPLE} more")
            planning_s(identifier, runtime, print_it=True)
        print(f"peak memory of a process that plans: {peak_MB():.0f} MB")
        put(list(islice(made, max(0, count - LEFT - stored))), runtime)
        size, where = largest_document(runtime)
        print(f"largest document: {size / 1000:.0f} kB, in {where}", flush=True)
    words = [sys.executable, __file__, "--run", *map(str, (options.phases, options.volumes, options.atoms))]
    subprocess.run(words, cwd=folder, check=True)


def put(some: list[CalculationRecord], runtime: Any) -> int:
    """Store results as workers do, and return how many."""
    if some:
        documents = [{"_id": each.key, **each.model_dump(exclude={"key"})} for each in some]
        runtime.store.database.calculations.insert_many(documents)
        query = {"spec.key": {"$in": [each.key for each in some]}}
        runtime.launchpad.fireworks.update_many(query, {"$set": {"state": "COMPLETED"}})
    return len(some)


def planning_s(identifier: str, runtime: Any, print_it: bool) -> float:
    """Return how long the planning of the study takes now, CPU and wall time by which is printed."""
    began, cpu = time.perf_counter(), cpu_s()
    advance(identifier, runtime)
    wall, used = time.perf_counter() - began, cpu_s() - cpu
    if print_it:
        print(f"  one planning of the whole study: {1000 * used:.0f} ms of CPU, {1000 * wall:.0f} ms", flush=True)
    return wall


def peak_MB() -> float:
    """Return the peak memory of this program; ``ru_maxrss`` may be that of the process which started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def run(phases: int, volumes: int, atoms: int) -> None:
    """Be `megabar run` of the study in this folder, whose plan is made large."""
    _, plan = planned(Path.cwd(), phases, volumes, atoms)
    api_study.resolve = lambda file, config: plan
    before = peak_MB()
    outcome = studies.run_study(Path("study.yaml"), 2, None)
    print(f"megabar run: {outcome.computed} computed of {outcome.computed + outcome.reused:,}, {outcome.wall_s:.0f} s,")
    print(f"  {cpu_s():.0f} s of CPU, peak memory {peak_MB():.0f} MB ({before:.0f} MB with the plan alone)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--phases", type=int, default=250)
    parser.add_argument("--volumes", type=int, default=20)
    parser.add_argument("--atoms", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds from one result to the next")
    parser.add_argument("--run", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(*options.run)
    with tempfile.TemporaryDirectory() as name:
        import os

        os.chdir(name)
        try:
            measure(Path(name), options)
        finally:
            stop_database(Config(data=Path(name) / ".megabar"))


if __name__ == "__main__":
    main()
