"""What a study will cost, estimated before it runs: from calculations already stored, else from a cost model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from statistics import median
from typing import TYPE_CHECKING, Any

from ase.data import atomic_numbers

from megabar.workflows.calculation import Calculation
from megabar.workflows.kpoints import irreducible_kpoints
from megabar.workflows.store import ResultStore, StudyRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.registry import TASKS, read_task

if TYPE_CHECKING:
    from pandas import DataFrame

SECONDS_PER_UNIT = {"gpaw": 1.2e-5, "espresso": 6e-6, "abinit": 8e-6, "vasp": 5e-6, "elk": 4e-4, "emt": 1e-9}
"""Core-seconds of one ionic step per unit of ``size``, measured on one core; stored calculations overrule it."""
FEWEST_KNOWN = 5
"""Stored calculations below which their cost says nothing."""
LEAST_SECONDS = {"gpaw": 1.0, "espresso": 1.5, "abinit": 2.0, "vasp": 2.0, "elk": 20.0, "emt": 0.02}


@dataclass(frozen=True)
class PhaseEstimate:
    """One phase of a study: its first volumes, how many of them are stored already, and the cost of the rest."""

    phase: str
    formula: str
    atoms: int
    window_GPa: tuple[float, float]
    kpoints: tuple[int, ...]
    relaxed: bool
    volumes: int
    stored: int
    core_minutes: float


@dataclass(frozen=True)
class StudyEstimate:
    """What a study would compute: its phases, and what it may add where the hull depends on it.

    complete: whether it has been run to its end. notes: what a user should know of the phases before anything runs.
    """

    name: str
    code: str
    version: str
    protocol: str
    functional: str
    phases: tuple[PhaseEstimate, ...]
    extra_calculations: int
    core_minutes: float
    complete: bool = False
    notes: tuple[str, ...] = ()

    @property
    def calculations(self) -> int:
        """First calculations that have no result yet."""
        return sum(phase.volumes - phase.stored for phase in self.phases)

    @property
    def headline(self) -> str:
        """What is left to run and what that would cost, in a line."""
        if self.complete:
            return f"{self.name}: complete, nothing is left to run; `megabar report` shows the answer"
        more = f", up to about {self.extra_calculations} more where the hull depends on them"
        many = f"{self.calculations} calculation{'' if self.calculations == 1 else 's'}"
        return (
            f"{self.name}: {many} to run{more if self.extra_calculations else ''}; "
            f"about {self.core_minutes:.1f} core-minutes"
        )

    @property
    def by(self) -> str:
        """What it is computed with, in a line."""
        return f"{self.code} {self.version}, {self.functional}, protocol {self.protocol}"

    def frame(self) -> DataFrame:
        """Return a row a phase: first pressures (GPa), k-points, calculations asked for and stored, core-minutes."""
        from pandas import DataFrame

        rows = [
            {
                "phase": each.phase,
                "formula": each.formula,
                "atoms": each.atoms,
                "from_GPa": each.window_GPa[0],
                "to_GPa": each.window_GPa[1],
                "kpoints": "×".join(map(str, each.kpoints)),
                "relaxed": each.relaxed,
                "calculations": each.volumes,
                "stored": each.stored,
                "core_minutes": each.core_minutes,
            }
            for each in self.phases
        ]
        columns = rows[0] if rows else ("phase", "calculations", "stored", "core_minutes")
        return DataFrame(rows, columns=list(columns)).set_index("phase")

    def __str__(self) -> str:
        """Return the same as text."""
        notes = "".join(f"\nNote: {note}" for note in self.notes)
        return f"{self.headline}\n{self.by}\n{self.frame().to_string()}{notes}"

    def _repr_html_(self) -> str:
        lines = [f"<p>{escape(line)}</p>" for line in (f"{self.headline}; {self.by}", *self.notes)]
        return f"{lines[0]}{self.frame().to_html(notebook=True)}{''.join(lines[1:])}"


def size(calculation: Mapping[str, Any]) -> float:
    """Return a measure of one self-consistent run's work: k-points × plane waves × bands (arbitrary unit)."""
    return size_of(Structure.from_dict(calculation["structure"]), calculation["settings"])


def size_of(structure: Structure, settings: Mapping[str, Any]) -> float:
    """Return the same of a structure with some settings."""
    cutoff = float(settings.get("cutoff_eV") or 300.0)
    plane_waves = structure.volume_per_atom * len(structure.symbols) * cutoff**1.5 / 100.0
    bands = float(sum(min(atomic_numbers[symbol], 10) for symbol in structure.symbols))
    return float(irreducible_kpoints(structure, settings["kpoints"]) * plane_waves * bands)


def seconds(calculation: Calculation, measured: float | None) -> float:
    """Return the estimated core-seconds of a calculation; measured: seconds per unit and step from stored ones."""
    rate = measured if measured is not None else SECONDS_PER_UNIT.get(calculation.code, 1e-5)
    return max(
        LEAST_SECONDS.get(calculation.code, 1.0),
        rate * size_of(calculation.structure, calculation.settings) * calculation.task.work(calculation),
    )


def measured_rate(store: ResultStore | None, code: str) -> float | None:
    """Return the median core-seconds per unit of size and step of a code's stored calculations, None if few.

    A step is what ``Task.steps_taken`` counts: an ionic step, a single point, a step of dynamics.
    """
    if store is None:
        return None
    by_any_code = [name for name, task in TASKS.items() if task.through_ase]
    rates = [
        document["provenance"]["cpu_s"] / (size(document["calculation"]) * _steps(document))
        for document in store.costs(code, by_any_code)
        if document["provenance"].get("cpu_s")
    ]
    return median(rates) if len(rates) >= FEWEST_KNOWN else None


def _steps(document: Mapping[str, Any]) -> int:
    """Return how many self-consistencies a stored calculation took; one by a newer version counts as stored."""
    try:
        return read_task(document["calculation"]).steps_taken(document["ionic_steps"])
    except TypeError:
        return document["ionic_steps"] or 1


def speed(store: ResultStore, code: str) -> float:
    """Return how many core-seconds of the cost model a core does in a second, by the stored calculations; else 1."""
    rate = measured_rate(store, code)
    return SECONDS_PER_UNIT.get(code, 1e-5) / rate if rate else 1.0


def as_it_stands(estimate: StudyEstimate, study: StudyRecord, store: ResultStore) -> StudyEstimate:
    """Return the estimate of a study of any kind that has begun: by what it asked for and has, as far as that is."""
    ended = store.ended(study.wanted)
    asked = Counter(rung["phase"] for rung in study.rungs)
    had = Counter(rung["phase"] for rung in study.rungs if rung["key"] in ended)
    phases = []
    for row in estimate.phases:
        wanted = asked[row.phase] if study.complete else max(row.volumes, asked[row.phase])
        share = (wanted - had[row.phase]) / max(row.volumes - row.stored, 1)
        row = replace(row, volumes=wanted, stored=had[row.phase], core_minutes=row.core_minutes * share)
        phases.append(replace(row, stored=wanted, core_minutes=0.0) if study.complete else row)
    more = sum(row.volumes for row in phases) - sum(row.volumes for row in estimate.phases)
    first, left = (sum(row.core_minutes for row in rows) for rows in (estimate.phases, phases))
    still = sum(row.volumes - row.stored for row in phases) / max(sum(row.volumes for row in phases), 1)
    return replace(
        estimate,
        phases=tuple(phases),
        extra_calculations=0 if study.complete else max(0, estimate.extra_calculations - more),
        core_minutes=left * (estimate.core_minutes / first) if first else estimate.core_minutes * still,
        complete=study.complete,
    )
