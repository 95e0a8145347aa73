"""The answer of a stored study of phonons, also with other isotopes than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from megabar.structures.errors import InputError
from megabar.workflows.kinds.interface import check_kind, read_plan
from megabar.workflows.kinds.phonons.answer import PhononAnswer, answer
from megabar.workflows.kinds.phonons.crystals import crystals_of
from megabar.workflows.kinds.phonons.kind import PHONONS
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.thermo import PhaseThermo, thermo_of
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


def stored_thermo(
    study: StudyRecord, store: ResultStore, pressures_GPa: Sequence[float], temperatures_K: Sequence[float]
) -> list[PhaseThermo]:
    """Return G(P,T) of the phases of a stored study at its own or at other pressures (GPa) and temperatures (K).

    Raises InputError for a study of another kind, or one that knows no temperatures.
    """
    check_kind(study, PHONONS, "free energies", "megabar report")
    plan = read_plan(study, PHONONS.rungs, PhononPlan.from_dict)
    temperatures = tuple(temperatures_K) or plan.temperatures_K
    if not temperatures:
        raise InputError(f"{study.identifier} names no `temperatures`; ask for some with --temperature")
    records = store.summaries(study.wanted)
    found = []
    for ladder in plan.volumes.ladders:
        crystals = crystals_of(plan, ladder.phase, ladder.formula, study.rungs, records, store.history)
        asked = replace(plan, temperatures_K=temperatures, pressures_GPa=tuple(pressures_GPa) or plan.pressures_GPa)
        found.append(thermo_of(asked, ladder, crystals, study.rungs, records))
    return found
