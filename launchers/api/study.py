"""A study in Python: its plan, run, answer, structures, entries and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.api.listing import Listing
from megabar.structures.errors import InputError
from megabar.structures.names import check_folder_name
from megabar.workflows.kinds.registry import answer_of, kind_of, plan_of, resolve, write_report
from megabar.workflows.question import StudyFile
from megabar.workflows.store import StudyRecord

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure
    from pymatgen.entries.computed_entries import ComputedEntry

    from megabar.launchers.api.results import Results
    from megabar.launchers.api.running import Outcome
    from megabar.launchers.api.session import Session
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.kinds.interface import Figures, Plan, View
    from megabar.workflows.parts.volumes.phase_state import PhaseState


class Study:
    """A study of any kind, of a file or as it is stored; made by `megabar.open`.

    file: the study file as it was read, None for a study opened by its name.
    """

    def __init__(self, session: Session, file: StudyFile[Any] | None, record: StudyRecord | None) -> None:
        """Make a study of what a file asks or of what is stored."""
        self.session = session
        self.file = file
        self.identifier = file.identifier if file is not None else _stored(record).identifier
        self.name = file.name if file is not None else _stored(record).name
        self.kind = file.study.kind if file is not None else _stored(record).kind

    @property
    def record(self) -> StudyRecord:
        """The study as it is stored now; raises InputError where it was never run."""
        found = self.session.store.get_study(self.identifier)
        if found is None:
            raise InputError(f"{self.identifier} is not in the database; start it with `megabar run` or `study.run()`")
        return found

    @property
    def stored(self) -> bool:
        """Whether it was ever run or submitted."""
        session = self.session
        return session.anything_stored and bool(session.store.study_names(self.identifier))

    @property
    def definition(self) -> dict[str, Any]:
        """What it asks, as the study file says it, defaults filled in."""
        if self.file is not None:
            return dict(self.file.study.model_dump(mode="json", by_alias=True))
        return dict(self.record.definition)

    def resolved(self) -> Plan:
        """Return the plan in full: of a file as it is on this machine now, else as it is stored."""
        return plan_of(self.record) if self.file is None else resolve(self.file, self.session.config)

    @property
    def plan(self) -> StudyEstimate:
        """What it would compute and what that would cost; what is stored costs nothing. Runs nothing.

        Raises InputError where ``run`` would refuse it.
        """
        from megabar.launchers.workers.local import record_of
        from megabar.workflows.cost import as_it_stands
        from megabar.workflows.size import check_size

        plan, session = self.resolved(), self.session
        if self.file is not None:
            check_size(record_of(self.file, plan), self.file.path)
        estimate = kind_of(self.kind).estimate
        if not session.anything_stored:
            return estimate(self.name, plan, None)
        first = estimate(self.name, plan, session.store)
        known = session.store.get_study(self.identifier)
        same = known is not None and plan_of(known).fingerprint == plan.fingerprint
        return as_it_stands(first, known, session.store) if known is not None and same else first

    @property
    def state(self) -> str:
        """How it stands in a word or two: ``not run``, ``running``, ``complete``, …; see ``megabar status``."""
        from megabar.launchers.seeing.status import status_in

        if not self.stored:
            return "not run"
        return status_in(self.session.store, self.identifier, None, False).situations[self.identifier][0]

    def run(self, workers: int | None = None, report: str | Path | None = None) -> View:
        """Run it here to its end and return its answer; stopped at any moment, the same call goes on.

        workers: processes, one a core by default. report: folder that a report is written to, none by default.
        How it goes is told on standard error. Raises SetupError where nothing can run here.
        """
        return self.run_out(workers, None if report is None else Path(report)).view

    def run_out(self, workers: int | None, report: Path | None) -> Outcome:
        """Run it here to its end and return what that came to."""
        from megabar.launchers.api.running import run

        return run(self, workers, report)

    def answer(self) -> View:
        """Return what is known by now; raises InputError where it was never run."""
        record = self.record
        return kind_of(record.kind).view(answer_of(record, self.session.store))

    def results(self, **wanted: Any) -> Results:
        """Return its calculations that have ended; see `megabar.results` for what may be wanted of them."""
        from megabar.launchers.api.results import find

        return find(self.session.store, keys=self.record.wanted, **wanted)

    def phase_states(self) -> dict[str, PhaseState]:
        """Return how each phase with a ladder of volumes stands, by name."""
        record = self.record
        plan, store = plan_of(record), self.session.store
        return kind_of(record.kind).phases(plan, record.rungs, store.summaries(record.wanted))

    def structures(self, pressure: float, phases: Sequence[str] | str = ()) -> Listing[Atoms]:
        """Return relaxed structures at a pressure (GPa) by phase, of those phases that are known there.

        ``info`` of each holds phase, pressure and whether it lies between computed volumes. Raises InputError for an
        unknown phase, and where none is known there.
        """
        from megabar.launchers.api.cells import chosen, structures_at, structures_frame

        states = chosen(self.phase_states(), [phases] if isinstance(phases, str) else phases)
        found, notes = structures_at(states, [pressure])
        if not found:
            raise InputError(f"{self.identifier} has no structure there: {'; '.join(notes)}")
        return Listing({each.phase: each.labelled() for each in found}, lambda: structures_frame(found))

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Return pymatgen's entries at a pressure (GPa), with enthalpies (eV) as their energies."""
        return self.answer().entries(pressure)

    def figures(self) -> Figures:
        """Return the figures of its answer: what there is, and all of them drawn."""
        record = self.record
        return kind_of(record.kind).figures(answer_of(record, self.session.store))

    def figure(self, name: str | None = None, **wishes: Any) -> Figure:
        """Return a figure of its answer as matplotlib's; see ``figure`` and ``figure_names`` of the answer."""
        return self.answer().figure(name, **wishes)

    def report(self, folder: str | Path | None = None) -> Path:
        """Write its report to a folder, ``NAME-report`` by default, and return the page."""
        record, store = self.record, self.session.store
        target = self.check_report(folder)
        write_report(target, record, answer_of(record, store), store)
        return target / "index.html"

    def check_report(self, folder: str | Path | None = None) -> Path:
        """Return the folder that its report goes to; raises InputError or SetupError where it cannot be written."""
        from megabar.launchers.api.folders import check_report_folder

        target = report_folder(self.record) if folder is None else Path(folder)
        check_report_folder(target)
        return target

    def __repr__(self) -> str:
        """Return kind, name and state."""
        return f"<megabar study of {self.kind}: {self.name}, {self.state}>"


def report_folder(study: StudyRecord) -> Path:
    """Return the folder of a study's report, below the present one.

    Raises InputError where the study's name would lead elsewhere: one that was imported before names were checked.
    """
    try:
        check_folder_name(study.name, "the study")
    except InputError as error:
        raise InputError(f"{error}; say with --to where its report is to be written") from None
    return Path(f"{study.name}-report")


def _stored(record: StudyRecord | None) -> StudyRecord:
    if record is None:
        raise InputError("a study is one of a file or a stored one")
    return record
