"""The answer of a stored study of phonons, also with other isotopes than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from megabar.structures.errors import InputError
from megabar.workflows.kinds.interface import check_kind, read_plan
from megabar.workflows.kinds.phonons.answer import PhononAnswer, answer
from megabar.workflows.kinds.phonons.kind import PHONONS
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.store import ResultStore, StudyRecord


def stored_answer(study: StudyRecord, store: ResultStore, masses: Mapping[str, float] | None = None) -> PhononAnswer:
    """Return the answer of a stored study; masses (u): of isotopes instead of its own.

    Raises InputError for a study of another kind, and for isotopes of elements that it has not.
    """
    check_kind(study, PHONONS, "force constants", "megabar report")
    plan = read_plan(study, PHONONS.rungs, PhononPlan.from_dict)
    if masses:
        present = {symbol for ladder in plan.volumes.ladders for symbol in ladder.structure.symbols}
        absent = [element for element in masses if element not in present]
        if absent:
            raise InputError(f"{study.identifier} has no {absent[0]}, whose mass is given")
        plan = replace(plan, masses={**plan.masses, **masses})
    return answer(plan, study.rungs, store.summaries(study.wanted), store.history)
