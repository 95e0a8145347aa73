"""The kinds of studies: by `kind`, how a stored plan is read, and what a study wants next.

Whoever drives, archives or shows studies asks here, and knows nothing of any one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso.phonons import GROUND_STATE, PHONON
from megabar.workflows.config import Config
from megabar.workflows.kinds.stability.plan import StabilityPlan, functional_kind
from megabar.workflows.kinds.stability.plan import published_definition as publish_stability
from megabar.workflows.kinds.stability.plan import resolve as resolve_stability
from megabar.workflows.kinds.stability.wants import wanted_next as stability_wants
from megabar.workflows.kinds.superconductivity.plan import AT_PRESSURE, MAIN, TcPlan
from megabar.workflows.kinds.superconductivity.plan import published_definition as publish_tc
from megabar.workflows.kinds.superconductivity.plan import resolve as resolve_tc
from megabar.workflows.kinds.superconductivity.wants import wanted_next as tc_wants
from megabar.workflows.parts.volumes.ladder import Method
from megabar.workflows.store import CalculationRecord, NotOurs, ResultStore, StudyRecord
from megabar.workflows.study import StudyFile, SuperconductivityStudy

if TYPE_CHECKING:
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.kinds.stability.answer import StabilityAnswer
    from megabar.workflows.kinds.superconductivity.answer import TcAnswer

STABILITY_RUNGS = ("main", "judge", "reference", "rattled", functional_kind(""))
TC_RUNGS = (MAIN, AT_PRESSURE, GROUND_STATE, PHONON)
Rungs = Sequence[Mapping[str, Any]]
Records = Mapping[str, CalculationRecord]


class Plan(Protocol):
    """What a plan of any kind offers. Its rungs are dictionaries with at least ``key``, ``phase`` and ``index``."""

    @property
    def method(self) -> Method:
        """Code, version, protocol and atomic data of the study."""

    @property
    def toy(self) -> bool:
        """Whether results have no physical meaning."""

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan: another code version or other data make another one, the data's place does not."""

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""

    def published(self) -> dict[str, Any]:
        """Return the same as it may leave this machine: nothing in it tells where files lie here."""


@dataclass(frozen=True)
class Kind:
    """A kind of study.

    rungs: how the kinds of rungs begin that it asks for. read: returns the plan stored as a dictionary.
    wants: returns the rungs that a study wants beyond those it has asked for, a pure function of plan, rungs and
    results; none, and none open: the study is complete. publish: returns what the study file asked as it may leave this
    machine.
    """

    name: str
    rungs: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Plan]
    wants: Callable[[Any, Rungs, Records], list[dict[str, Any]]]
    publish: Callable[[Mapping[str, Any]], dict[str, Any]]


def _stability(plan: StabilityPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in stability_wants(plan, rungs, records)]


def _superconductivity(plan: TcPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in tc_wants(plan, rungs, records)]


KINDS = {
    each.name: each
    for each in (
        Kind("stability", STABILITY_RUNGS, StabilityPlan.from_dict, _stability, publish_stability),
        Kind("superconductivity", TC_RUNGS, TcPlan.from_dict, _superconductivity, publish_tc),
    )
}


def place(rung: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what a rung is to its study, which asks for it once: kind, phase and index."""
    return rung.get("kind", "main"), rung["phase"], str(rung["index"])


def kind_of(name: str) -> Kind:
    """Return the kind with a name; raises NotOurs where this version has none."""
    if name not in KINDS:
        raise NotOurs(f"a study of the kind {name!r}; this version knows {', '.join(KINDS)}")
    return KINDS[name]


def plan_of(study: StudyRecord) -> Plan:
    """Return the plan of a stored study; raises NotOurs where it has what this version does not know."""
    kind = kind_of(study.kind)
    if not all(rung.get("kind", "main").startswith(kind.rungs) for rung in study.rungs):
        raise NotOurs(f"the study {study.identifier} asks for what a newer version of megabar knows; update this one")
    try:
        return kind.read(study.resolved)
    except (TypeError, KeyError, ValueError) as error:
        raise NotOurs(
            f"the study {study.identifier} was planned by a newer version of megabar ({error}); update this one"
        ) from error


def resolve(file: StudyFile, config: Config) -> Plan:
    """Return the plan of a study file of any kind on this machine."""
    if isinstance(file.study, SuperconductivityStudy):
        return resolve_tc(file, config)
    return resolve_stability(file, config)


def answer_of(study: StudyRecord, store: ResultStore) -> StabilityAnswer | TcAnswer:
    """Return the answer of a stored study from the results that are there."""
    plan, records = plan_of(study), store.get_many(study.wanted)
    if isinstance(plan, TcPlan):
        from megabar.workflows.kinds.superconductivity.answer import answer as tc_answer

        return tc_answer(plan, study.rungs, records, store.history)
    from megabar.workflows.kinds.stability.answer import answer

    assert isinstance(plan, StabilityPlan)
    return answer(plan, study.rungs, records)


def estimate(name: str, plan: Plan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost; calculations in the store cost nothing."""
    if isinstance(plan, TcPlan):
        from megabar.workflows.kinds.superconductivity.cost import estimate as tc_estimate

        return tc_estimate(name, plan, store)
    from megabar.workflows.kinds.stability.cost import estimate as stability_estimate

    assert isinstance(plan, StabilityPlan)
    return stability_estimate(name, plan, store)


def write_report(folder: Path, study: StudyRecord, answer: StabilityAnswer | TcAnswer, store: ResultStore) -> None:
    """Write the report of a study to a folder: one self-contained page, figures and tables."""
    from megabar.workflows.kinds.stability.answer import StabilityAnswer

    if isinstance(answer, StabilityAnswer):
        from megabar.workflows.kinds.stability.report import write_report as write_stability

        return write_stability(folder, study, answer, store)
    from megabar.workflows.kinds.superconductivity.report import write_report as write_tc

    return write_tc(folder, study, answer, store)
