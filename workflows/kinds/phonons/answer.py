"""The answer of a study of phonons from the results that are there: modes, stability, free energies, errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from megabar.analysis.phonons.report import Asked, phonon_document
from megabar.workflows.kinds.phonons.crystals import CrystalAt, crystals_of
from megabar.workflows.kinds.phonons.elastic import ElasticAt, elastic_of, hot_elastic
from megabar.workflows.kinds.phonons.follow import Followed, followed_of, not_followed
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.thermo import PhaseThermo, thermo_of
from megabar.workflows.kinds.phonons.wants import Records, Rungs, phase_curve
from megabar.workflows.tasks.interface import Histories

NAMES = {
    "main": "volume",
    "structure": "structure",
    "forces": "supercell",
    "strain": "strained cell",
    "followed": "cell of an imaginary mode",
    "dfpt-ground-state": "ground state",
    "dynamical-matrix": "q-point",
    "dielectric": "Born charges",
}
"""Of the kinds of rungs, in words."""
LARGE_MISFIT = 0.1
"""Of forces by a fit: more than that is anharmonicity or noise that a reader must know of."""
LARGE_DRIFT_eV_A = 0.01


@dataclass(frozen=True)
class Failed:
    """A calculation without a result."""

    phase: str
    what: str
    key: str
    cause: str
    detail: str


@dataclass(frozen=True, eq=False)
class PhononAnswer:
    """What a study of phonons has found so far.

    crystals: the phases at their pressures, in the order of the study file. thermo: the quasi-harmonic free energies of
    the phases for which temperatures were asked for and that have them.
    """

    plan: PhononPlan
    crystals: tuple[CrystalAt, ...]
    thermo: tuple[PhaseThermo, ...]
    elastic: tuple[ElasticAt, ...]
    followed: tuple[Followed, ...]
    failures: tuple[Failed, ...]
    notes: tuple[str, ...]

    @cached_property
    def _documents(self) -> list[dict[str, Any]]:
        return self.documents(Asked(temperatures_K=self.plan.temperatures_K or Asked.temperatures_K))

    def documents(self, asked: Asked) -> list[dict[str, Any]]:
        """Return what is said of each crystal, with what is asked of it besides."""
        return [crystal_document(each, asked) for each in self.crystals]

    def json(self, asked: Asked | None = None) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys; asked: q and temperatures instead of the study's."""
        method = self.plan.method
        return {
            "method": {
                "code": method.code,
                "version": method.version,
                "functional": method.functional,
                "protocol": method.protocol,
            },
            "supercells": [
                {
                    "phase": each.phase,
                    "matrix": [list(row) for row in each.matrix],
                    "displacements": each.way,
                    "displacement_A": each.distance_A,
                    "count": each.count,
                }
                for each in self.plan.supercells
            ],
            "phases": self._documents if asked is None else self.documents(asked),
            "thermo": [each.json() for each in self.thermo],
            "elastic": [each.json() for each in self.elastic],
            "followed": [each.json() for each in self.followed],
            "failures": [vars(each) for each in self.failures],
            "notes": list(self.notes),
        }


def crystal_document(each: CrystalAt, asked: Asked) -> dict[str, Any]:
    """Return what is said of a phase at a pressure as JSON-able data, units in the keys."""
    content: dict[str, Any] = {
        "phase": each.phase,
        "formula": each.formula,
        "pressure_GPa": each.pressure_GPa,
        "computed_at_GPa": each.reached_GPa,
        "asked": each.asked,
        "supercells": each.count,
        "supercells_done": each.done,
    }
    if each.constants is None:
        return {**content, "missing": each.missing, "notes": []}
    document = phonon_document(each.crystal, asked, each.pressure_GPa, further=each.further)
    notes = [*_notes(each), *document.pop("notes")]
    if each.constants.misfit is not None:
        content["forces_unexplained_share"] = each.constants.misfit
    return {**document, **content, "forces_drift_eV_A": each.constants.drift_eV_A, "notes": notes}


def answer(plan: PhononPlan, rungs: Rungs, records: Records, histories: Histories) -> PhononAnswer:
    """Return the answer; histories: returns the arrays of a calculation by its key (forces)."""
    failures = tuple(
        Failed(rung["phase"], _what(rung), rung["key"], record.cause or record.state, record.detail or "")
        for rung in rungs
        if (record := records.get(rung["key"])) is not None and not record.done
    )
    crystals: list[CrystalAt] = []
    thermo: list[PhaseThermo] = []
    elastic: list[ElasticAt] = []
    for ladder in plan.volumes.ladders:
        found = crystals_of(plan, ladder.phase, ladder.formula, rungs, records, histories)
        crystals += found
        if plan.temperatures_K:
            thermo.append(thermo_of(plan, ladder, found, rungs, records))
        if plan.elastic:
            static = elastic_of(plan, ladder, phase_curve(ladder, rungs, records), rungs, records, histories)
            elastic += [*static, *hot_elastic(static, thermo[-1].gibbs if plan.temperatures_K else None)]
    notes = [] if plan.toy else ["phonons are harmonic at each volume; electrons stay in their ground state"]
    followed = [*followed_of(rungs, records), *(not_followed(crystals) if plan.follow else [])]
    return PhononAnswer(plan, tuple(crystals), tuple(thermo), tuple(elastic), tuple(followed), failures, tuple(notes))


def _what(rung: Mapping[str, Any]) -> str:
    kind = rung.get("kind", "main")
    return f"{NAMES.get(kind, kind)} {rung['index']}"


def _notes(each: CrystalAt) -> list[str]:
    constants, found = each.constants, []
    assert constants is not None
    if constants.misfit is not None and constants.misfit > LARGE_MISFIT:
        found.append(
            f"force constants leave {100 * constants.misfit:.0f} % of the forces: they are not linear over these "
            "displacements, or noisy"
        )
    if constants.drift_eV_A > LARGE_DRIFT_eV_A:
        found.append(
            f"forces of a supercell do not add up to zero: {constants.drift_eV_A:.2g} eV/Å an atom was taken out"
        )
    if each.insulating and len({*each.crystal.cell.get_chemical_symbols()}) > 1 and each.crystal.polar is None:
        found.append(
            "without Born charges: the longitudinal optical modes of an insulator are too low near Γ; `espresso` and "
            "`gpaw` compute them (`born: auto`)"
        )
    return found
