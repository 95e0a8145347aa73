"""What a protocol's numerics do to transitions: energy differences by each protocol against a harder one and Elk.

For pairs of polymorphs and for formation reactions, all on the same structures (the library's cells, scaled to the
volume guessed for the pressure), ΔE per atom by each protocol of a code, less that by the next harder one
(k-points, smearing, cutoff), and `moderate` less all-electron Elk on the same coarse k-points (atomic data). Each
difference is added to workflows/measured_errors.json, from which `megabar` takes the protocol's part of the error of a
transition.
Results are kept by key in the folder named, so that it goes on where it was stopped.
Run: python benchmarks/protocol_errors.py FOLDER --code gpaw [--only Si] [--without precise,elk]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from megabar.structures.library import find_phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.workflows import measured_errors
from megabar.workflows.calculation import AS_IT_IS, Calculation
from megabar.workflows.config import load_config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.kinds.stability.plan import StabilityPlan, resolve
from megabar.workflows.kinds.stability.question import StabilityStudy, Verification
from megabar.workflows.question import MethodChoice, StudyFile
from megabar.workflows.tasks.interface import Begin


@dataclass(frozen=True)
class Comparison:
    """A transition at fixed volumes: coefficients (atoms of each phase, products positive) at a pressure (GPa)."""

    system: str
    pressure_GPa: float
    before: dict[str, float]
    after: dict[str, float]

    @property
    def name(self) -> str:
        return f"{' + '.join(self.before)} → {' + '.join(self.after)}"

    @property
    def elements(self) -> list[str]:
        return sorted({symbol for phase in {**self.before, **self.after} for symbol in find_phase(phase).counts})


def _pair(system, pressure, one, other):
    return Comparison(system, pressure, {one: 1.0}, {other: 1.0})


COMPARISONS = (
    _pair("Na", 65, "Na-bcc", "Na-fcc"),
    Comparison("Na-He", 155, {"Na-fcc": 2 / 3, "He-hcp": 1 / 3}, {"Na2He": 1.0}),
    _pair("Mg-O", 490, "MgO-B1", "MgO-B2"),
    _pair("Al", 170, "Al-fcc", "Al-hcp"),
    Comparison("Na-He", 300, {"Na-hP4": 2 / 3, "He-hcp": 1 / 3}, {"Na2He": 1.0}),
    _pair("Si", 40, "Si-sh", "Si-hcp"),
    Comparison("H-S", 300, {"H-I41amd": 3 / 4, "S-betaPo": 1 / 4}, {"H3S-Im-3m": 1.0}),
    _pair("Mg", 50, "Mg-hcp", "Mg-bcc"),
    _pair("H-S", 175, "H3S-R3m", "H3S-Im-3m"),
    _pair("Na", 175, "Na-fcc", "Na-hP4"),
    _pair("Si", 12, "Si-diamond", "Si-sh"),
    _pair("Si", 14, "Si-betaSn", "Si-sh"),
    Comparison("B-Mg", 10, {"Mg-hcp": 1 / 3, "B-alpha": 2 / 3}, {"MgB2": 1.0}),
    _pair("Al", 321, "Al-hcp", "Al-bcc"),
    _pair("Si", 80, "Si-hcp", "Si-fcc"),
    _pair("S", 500, "S-betaPo", "S-bcc"),
    _pair("Ca", 20, "Ca-fcc", "Ca-bcc"),
    _pair("Na", 110, "Na-fcc", "Na-cI16"),
    _pair("Mg", 100, "Mg-hcp", "Mg-bcc"),
    _pair("Ca", 10, "Ca-fcc", "Ca-bcc"),
    _pair("C", 5, "C-graphite", "C-diamond"),
    _pair("C", 15, "C-graphite", "C-diamond"),
    _pair("Fe", 50, "Fe-fcc", "Fe-hcp"),
    _pair("O-Si", 120, "SiO2-CaCl2", "SiO2-seifertite"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--code", default="gpaw")
    parser.add_argument("--only", default="", help="Si, or H,S: only transitions with exactly these elements")
    parser.add_argument("--without", default="", help="precise, elk: leave these out")
    asked = parser.parse_args()
    config = load_config()
    for each in COMPARISONS:
        if asked.only and asked.only.split(",") != each.elements:
            continue
        for row in _measured(each, asked.code, asked.without.split(","), asked.folder, config):
            print(json.dumps(row, ensure_ascii=False), flush=True)
            measured_errors.remember([row])


def _measured(comparison, code, without, folder, config) -> Iterator[dict]:
    def energy(protocol: str, kind: str = "main") -> float:
        plan = _plan(comparison, code, protocol, kind != "main", config)
        return _difference(comparison, plan, kind, folder, config)

    steps = [
        ("fast", "moderate", lambda: energy("fast") - energy("moderate")),
        ("moderate", "elk", lambda: energy("moderate", "reference") - energy("moderate", "judge")),
        ("moderate", "precise", lambda: energy("moderate") - energy("precise")),
    ]
    for protocol, against, difference in steps:
        if against in without:
            continue
        try:
            found = difference()
        except Exception as error:
            print(f"{comparison.name}, {protocol} against {against}: {error}", file=sys.stderr, flush=True)
            continue
        version = _plan(comparison, code, protocol, False, config).method.version
        yield {
            "transition": comparison.name,
            "elements": comparison.elements,
            "pressure_GPa": comparison.pressure_GPa,
            "code": code,
            "version": version,
            "protocol": protocol,
            "against": against,
            "difference_meV_per_atom": round(1000 * found, 2),
        }


def _plan(comparison, code, protocol, judged, config) -> StabilityPlan:
    phases = tuple(find_phase(name) for name in {**comparison.before, **comparison.after})
    study = StabilityStudy(
        kind="stability",
        system=comparison.system,
        pressures=(comparison.pressure_GPa,),
        phases=tuple(phase.name for phase in phases),
        method=MethodChoice(code=code, protocol=protocol),
        verify=Verification(code="elk") if judged else None,
    )
    return resolve(StudyFile(path=Path("protocol_errors.yaml"), study=study, phases=phases), config)


def _difference(comparison, plan, kind, folder, config) -> float:
    """Return ΔE (eV/atom) of a comparison by a plan's code, or by its judge."""
    total = 0.0
    for sign, side in ((-1.0, comparison.before), (1.0, comparison.after)):
        for name, share in side.items():
            total += sign * share * _energy(comparison, plan, kind, name, folder, config)
    return total


def _energy(comparison, plan, kind, name, folder, config) -> float:
    phase, ladder = find_phase(name), plan.ladder(name)
    atoms = scaled_to(phase.atoms, guess_volume(phase, comparison.pressure_GPa))
    index = ladder.index_at(atoms.get_volume() / len(atoms))
    own = {"main": ladder.calculation(plan.method, index), "reference": ladder.reference(plan.method, index, "")}
    chosen = ladder.judged(plan.judge, index, "") if kind == "judge" else own[kind]
    calculation: Calculation = replace(chosen, task=AS_IT_IS, inputs=())
    place = folder / calculation.key
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:  # another code's run may want the same judge's energy
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare(place, calculation, Begin(calculation.structure.atoms()))
        result = execute(place, config)
    if result["state"] != "done":
        raise RuntimeError(f"{name} by {calculation.code}: {result['cause']}: {result['detail']}")
    return result["energy_eV_per_atom"]


if __name__ == "__main__":
    main()
