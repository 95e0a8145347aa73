"""Collecting thousands of force sets: time and memory of what lies between the database and the force constants.

    .venv/bin/python benchmarks/force_sets.py [--supercells 3000] [--fit 200]

Forces of a harmonic crystal whose force constants are known (springs between neighbours, bridgmanite's cell) are packed
as results are stored, unpacked one by one, collected, and fitted; the fit is held against what they were made of.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from ase import Atoms

from megabar.analysis.phonons.harmonic import harmonic
from megabar.structures.library import find_phase
from megabar.workflows.files import packed, unpacked
from megabar.workflows.parts.force_sets import ForceSet, RandomDirections, collect, force_set_state
from megabar.workflows.parts.method import Method
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure

SPRING_eV_A2 = 5.0
REACH_A = 3.2
"""Below half of the shortest edge of the supercell, or an atom has the same neighbour twice."""


def springs(atoms: Atoms) -> np.ndarray:
    """Return force constants (eV/Å², 3n × 3n) of springs between all atoms, weaker with distance."""
    count = len(atoms)
    found = np.zeros((count, 3, count, 3))
    vectors = atoms.get_all_distances(mic=True, vector=True)
    lengths = np.linalg.norm(vectors, axis=2)
    for i in range(count):
        for j in range(count):
            if i != j and lengths[i, j] < REACH_A:
                direction = vectors[i, j] / lengths[i, j]
                block = -SPRING_eV_A2 * np.exp(-lengths[i, j]) * np.outer(direction, direction)
                found[i, :, j, :] += block
                found[i, :, i, :] -= block
    return found.reshape(3 * count, 3 * count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--supercells", type=int, default=3000)
    parser.add_argument("--fit", type=int, default=200)
    asked = parser.parse_args()
    cell = find_phase("MgSiO3-bridgmanite").atoms
    from megabar.analysis.phonons.supercells import primitive_matrix_of, supercell_of

    matrix = np.diag([2, 1, 2])
    supercell = supercell_of(cell, matrix)
    constants = springs(supercell)
    method = Method("emt", "1", "fast", "EMT", ())
    plan = ForceSet(
        "x", Structure.of(supercell), RandomDirections(asked.supercells, 0.03, 1), method, {"kpoints": [1, 1, 1]}
    )
    stored, rungs, records = {}, [], {}
    for number in plan.numbers:
        key = f"{number:040d}"
        moves = plan.displaced(number)
        forces = -(constants @ moves.ravel()).reshape(-1, 3)
        stored[key] = packed({"forces_eV_A": forces[None]})
        rungs.append({"phase": "x", "kind": "forces", "index": number, "key": key})
        records[key] = CalculationRecord(key=key, calculation={}, state="done", energy_eV_per_atom=0.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = collect(force_set_state(plan, rungs, records), lambda key: unpacked(stored[key]))
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{asked.supercells} supercells of {len(supercell)} atoms: collected in {seconds:.1f} s")
    print(f"peak memory {after / 1024:.0f} MB, of which {(after - before) / 1024:.0f} MB by collecting")
    start = time.perf_counter()
    primitive = primitive_matrix_of(cell)
    crystal = harmonic(cell, matrix, primitive, found.displacements_A[: asked.fit], found.forces_eV_A[: asked.fit])
    seconds = time.perf_counter() - start
    full = crystal.force_constants
    rows = constants.reshape(len(supercell), 3, len(supercell), 3).transpose(0, 2, 1, 3)
    atoms = np.array(crystal.phonopy.primitive.p2s_map)
    off = np.abs(full - rows[atoms]).max() if full.shape[0] != full.shape[1] else np.abs(full - rows).max()
    print(f"fitted to {asked.fit} of them in {seconds:.1f} s; largest difference from the true ones {off:.1e} eV/Å²")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
