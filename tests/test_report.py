"""The report of a study: an invented system like Na–He with known curves, and everything that may be missing."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from ase import Atoms
from ase.units import GPa

from megabar.analysis.stability import analyse
from megabar.analysis.tables import read_curves
from megabar.workflows.answer import answer
from megabar.workflows.calculation import Relaxation, Structure
from megabar.workflows.codes.interface import AtomicData
from megabar.workflows.ladder import Ladder, Method, Rung
from megabar.workflows.plan import StabilityPlan
from megabar.workflows.report import write_report
from megabar.workflows.report.words import headline, measured
from megabar.workflows.store import CalculationRecord, StudyRecord

SOLIDS = {"Na": (37.0, 10.0, 3.6), "He": (13.0, 3.0, 4.5)}
# phase: (formula, a in meV/atom, b in meV/atom/GPa, pressures): H is that of the elements' mixture plus a + b P
PHASES = {
    "Na-bcc": ("Na", 0.0, 0.0, (0, 95)),
    "Na-fcc": ("Na", 26.0, -0.4, (40, 135)),
    "Na-hP4": ("Na", 62.0, -0.8, (70, 510)),
    "He-hcp": ("He", 0.0, 0.0, (0, 510)),
    "Na2He": ("Na2He", 141.33, -1.15, (60, 510)),
}


def enthalpy_and_volume(formula, a, b, pressure):
    shares = {"Na": {"Na": 1.0}, "He": {"He": 1.0}, "Na2He": {"Na": 2 / 3, "He": 1 / 3}}[formula]
    h, v = (a + b * pressure) / 1000, b / 1000 / GPa
    for element, share in shares.items():
        v0, k0, kp = SOLIDS[element]
        x = 1 + kp * pressure / k0
        h = h + share * v0 * k0 * GPa / (kp - 1) * (x ** (1 - 1 / kp) - 1)
        v = v + share * v0 * x ** (-1 / kp)
    return h, v


def invented_plan(name_of=lambda phase: phase, toy=False, pressures=tuple(np.arange(0.0, 501.0, 25.0))):
    ladders = []
    for phase, (formula, a, b, (low, high)) in PHASES.items():
        _, volume = enthalpy_and_volume(formula, a, b, (low + high) / 2)
        count = 3 if formula == "Na2He" else 1
        places = np.arange(count)[:, None] * np.full(3, 0.25)
        atoms = Atoms(formula, cell=[(volume * count) ** (1 / 3)] * 3, scaled_positions=places, pbc=True)
        ladders.append(
            Ladder(
                phase=name_of(phase),
                formula=formula,
                source=f"Somebody et al., Journal 1, {len(ladders)} (2020)",
                doi="10.1000/example",
                note="its c/a is approximate" if phase == "Na-hP4" else "",
                structure=Structure.of(atoms),
                pressure_GPa=(low + high) / 2,
                known_GPa=(low, high),
                window_GPa=(low, high),
                settings={
                    "functional": "PBE",
                    "cutoff_eV": 350.0,
                    "kpoints": [8, 8, 8 - len(ladders)],
                    "smearing": {"kind": "fermi-dirac", "width_eV": 0.2},
                },
                relaxation=Relaxation(0.02, 0.5, True) if phase == "Na-hP4" else None,
                first=(0, 1),
            )
        )
    data = tuple(AtomicData(e, f"/x/{e}", (e * 40)[:64], 0.7, 340.0, "generated: gpaw dataset") for e in ("Na", "He"))
    method = Method("emt" if toy else "gpaw", "26.7", "fast", "PBE", () if toy else data)
    return StabilityPlan("Na-He", tuple(pressures), 0.001, method, tuple(ladders), toy)


def invented_results(plan, points=7):
    """Return rungs and records: points at equal steps of volume over each phase's pressures."""
    rungs, records = [], {}
    for ladder, (formula, a, b, (low, high)) in zip(plan.ladders, PHASES.values(), strict=True):
        grid = np.linspace(low - 0.3, high, 20001)
        h, v = enthalpy_and_volume(formula, a, b, grid)
        first, last = ladder.index_at(v[0]), ladder.index_at(v[-1])
        for number in range(points):
            index = ladder.index_at(ladder.volume(first + (last - first) * number / max(points - 1, 1)))
            volume = ladder.volume(index)
            pressure = float(np.interp(-volume, -v, grid))
            enthalpy, _ = enthalpy_and_volume(formula, a, b, pressure)
            rung = Rung(ladder.phase, index, f"{len(rungs):040x}", None, "ladder")
            rungs.append(rung.to_dict())
            records[rung.key] = CalculationRecord(
                key=rung.key,
                calculation={},
                state="done",
                energy_eV_per_atom=float(enthalpy) - pressure * GPa * volume,
                pressure_GPa=pressure,
                volume_A3_per_atom=volume,
                space_group="Im-3m",
                ionic_steps=3,
                provenance={
                    "host": "node-1",
                    "started": f"2026-01-02T03:{number:02d}:00+00:00",
                    "cpu_s": 12.5,
                    "peak_memory_MB": 300.0,
                    "python": "3.12.1",
                    "packages": {"ase": "3.29.0"},
                },
            )
    return rungs, records


class Shelf:
    """The one method of the store that a report calls."""

    def __init__(self, records):
        self.records = records

    def get_many(self, keys):
        return {key: self.records[key] for key in keys if key in self.records}


def study_of(rungs, **more):
    wanted = [rung["key"] for rung in rungs]
    fields = {"identifier": "invented-1", "name": "invented", "kind": "stability", "definition": {}, "resolved": {}}
    return StudyRecord(**{**fields, "wanted": wanted, "rungs": rungs, "created": "2026-01-02", **more})


def report(folder, plan, rungs, records):
    found = answer(plan, rungs, records)
    write_report(folder, study_of(rungs), found, Shelf(records))
    return found, (folder / "index.html").read_text()
