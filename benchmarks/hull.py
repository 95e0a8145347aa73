"""Hulls of 10,000 ternary entries at 100 pressures, against pymatgen's PhaseDiagram at some of them.

Run with ``python benchmarks/hull.py [--entries N] [--pressures N] [--pymatgen N]``. Prints CPU seconds, the ratio, the
largest difference between the answers and the peak memory; then the time of whole stability analyses.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from ase.units import GPa

from megabar.analysis.hull import compositions, hull_at, hulls_at
from megabar.analysis.stability import analyse
from megabar.analysis.tables import TabulatedCurve

ELEMENTS = ("H", "S", "C")


def make_curves(count: int, rng: np.random.Generator) -> list[TabulatedCurve]:
    """Return curves of Murnaghan solids at 21 pressures, with random energies and volumes."""
    pressures = np.linspace(0, 500, 21)
    formulas = list(ELEMENTS)
    while len(formulas) < count:
        numbers = rng.integers(0, 13, len(ELEMENTS))
        if numbers.any():
            formulas.append("".join(f"{e}{n}" for e, n in zip(ELEMENTS, numbers, strict=True) if n))
    curves = []
    for i, formula in enumerate(formulas):
        volume, bulk, prime = rng.normal(10, 0.3), rng.uniform(80, 160), rng.uniform(3.5, 4.5)
        x = 1 + prime * pressures / bulk
        enthalpy = rng.normal(0, 0.15) + GPa * volume * bulk / (prime - 1) * (x ** (1 - 1 / prime) - 1)
        curves.append(TabulatedCurve(f"p{i}", formula, pressures, enthalpy, np.full(len(pressures), 0.001)))
    return curves


def peak_MB() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--pressures", type=int, default=100)
    parser.add_argument("--pymatgen", type=int, default=2, help="pressures at which pymatgen is run")
    options = parser.parse_args()
    curves = make_curves(options.entries, np.random.default_rng(7))
    pressures = np.linspace(0, 500, options.pressures)
    enthalpies = np.array([curve.enthalpy(pressures) for curve in curves])
    formulas = [curve.formula for curve in curves]
    hull_at(compositions(formulas[:4]), enthalpies[:4, 0])  # imports

    before = peak_MB()
    start = time.process_time()
    entries = compositions(formulas)
    hulls = [hull_at(entries, enthalpies[:, i], p) for i, p in enumerate(pressures)]
    ours = time.process_time() - start
    print(f"{options.entries} entries at {options.pressures} pressures: {ours:.2f} s of CPU")
    print(f"peak memory: {peak_MB():.0f} MB, {peak_MB() - before:.0f} MB more than before the hulls")

    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    chosen = np.linspace(0, options.pressures - 1, options.pymatgen).astype(int)
    units = [Composition(formula) for formula in formulas]
    worst, theirs = 0.0, 0.0
    for i in chosen:
        start = time.process_time()
        listed = [PDEntry(unit, h * unit.num_atoms) for unit, h in zip(units, enthalpies[:, i], strict=True)]
        diagram = PhaseDiagram(listed)
        above = [diagram.get_e_above_hull(entry) for entry in listed]
        theirs += time.process_time() - start
        worst = max(worst, float(np.abs(hulls[i].above_eV - above).max()))
        stable = {listed.index(entry) for entry in diagram.stable_entries}
        assert stable == set(np.flatnonzero(hulls[i].vertex).tolist()), "other stable entries"
    ratio = theirs / len(chosen) * options.pressures / ours
    print(f"pymatgen: {theirs / len(chosen):.2f} s of CPU each; ratio {ratio:.0f}; largest difference {worst:.1e} eV")
    assert worst < 1e-9, "other heights above the hull"

    for few in (curves[:10], curves[:10], curves):
        start = time.process_time()
        stability = analyse(few)
        taken = time.process_time() - start
        print(f"stability of {len(few)} phases, 0–500 GPa: {taken:.3f} s, {len(stability.transitions)} transitions")
    start = time.process_time()
    at_once = hulls_at(curves, pressures)
    print(f"hulls_at, enthalpies included: {time.process_time() - start:.2f} s for {len(at_once)} pressures")
    print(f"peak memory in all: {peak_MB():.0f} MB")


if __name__ == "__main__":
    main()
