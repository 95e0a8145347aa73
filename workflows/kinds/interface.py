"""What a kind of study is: whoever drives, archives or shows studies knows this, and nothing of any one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from megabar.structures.errors import InputError
from megabar.workflows.store import NotOurs, ResultStore, StudyRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pymatgen.entries.computed_entries import ComputedEntry
    from ruamel.yaml.comments import CommentedMap

    from megabar.analysis.figures.drawing import Drawings, Options
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.config import Config
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.parts.method import Method
    from megabar.workflows.parts.volumes.phase_state import PhaseState
    from megabar.workflows.question import StudyFile
    from megabar.workflows.store import CalculationRecord

Rung = Mapping[str, Any]
Rungs = Sequence[Rung]
Records = Mapping[str, "CalculationRecord"]
P = TypeVar("P", bound="Plan")
Histories = Callable[[str], "dict[str, NDArray[Any]]"]


class Plan(Protocol):
    """What a plan of any kind offers. Its rungs are dictionaries with at least ``key``, ``phase`` and ``index``."""

    @property
    def method(self) -> Method:
        """Code, version, protocol and atomic data of the study."""

    @property
    def pressures_GPa(self) -> tuple[float, ...]:
        """The pressures asked for (GPa), ascending."""

    @property
    def toy(self) -> bool:
        """Whether results have no physical meaning."""

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan: another code version or other data make another one, the data's place does not."""

    def calculation(self, rung: Rung) -> Calculation:
        """Return the calculation of a stored rung."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""

    def published(self) -> dict[str, Any]:
        """Return the same as it may leave this machine: nothing in it tells where files lie here."""


class Answer(Protocol):
    """What an answer of any kind offers."""

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""


class Figures(Protocol):
    """The figures that an answer has, chosen and labelled by the user."""

    def panels(self, options: Options) -> dict[str, str]:
        """Return the names of the figures and panels with what they show."""

    def draw(self, options: Options) -> Drawings:
        """Return the figures; raises InputError for a panel, label or pressure that the answer does not have."""


class View(Protocol):
    """An answer as Python has it: frames, figures, text and JSON; each kind has more that is its own."""

    @property
    def text(self) -> str:
        """What the terminal shows."""

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""

    def frames(self) -> Mapping[str, DataFrame]:
        """Return the tables of the answer by name, the one that matters most first."""

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Return pymatgen's entries at a pressure (GPa); raises InputError for a kind that has none."""

    @property
    def figure(self) -> Callable[..., Figure]:
        """Returns a figure by its name, the first where none is given; further wishes are the kind's own."""


@dataclass(frozen=True)
class Late:
    """A function or class of a kind, loaded when it is first called: commands that do not need it are to start at once.

    where: as ``package.module:name``.
    """

    where: str

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self.found()(*arguments)

    def found(self) -> Callable[..., Any]:
        """Return it."""
        module, name = self.where.split(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found


def plain_report(folder: Path, study: StudyRecord, answer: Answer, store: ResultStore) -> None:
    """Write the answer as JSON, and a page that shows it, to a folder: for kinds without a report of their own."""
    from html import escape

    from megabar.workflows.files import write_atomically
    from megabar.workflows.report.documents import document_json

    folder.mkdir(parents=True, exist_ok=True)
    text = document_json(answer.json())
    write_atomically(folder / "answer.json", text)
    page = f"<!doctype html><meta charset=utf-8><title>{escape(study.name)}</title><pre>{escape(text)}</pre>\n"
    write_atomically(folder / "index.html", page)


def plain_text(answer: Mapping[str, Any]) -> str:
    """Return an answer's data as indented JSON: for kinds without a text of their own."""
    from megabar.workflows.report.documents import document_json

    return document_json(dict(answer)).rstrip()


def no_figures(answer: Answer) -> Figures:
    """Raise InputError: for kinds without figures."""
    raise InputError("studies of this kind have no figures")


def no_phases(plan: Plan, rungs: Rungs, records: Records) -> dict[str, PhaseState]:
    """Return nothing: for kinds without ladders of volumes."""
    return {}


@dataclass(frozen=True, eq=False)
class PlainView:
    """What an answer offers in Python: for kinds without a view of their own."""

    answer: Answer

    @property
    def text(self) -> str:
        """The answer as indented JSON."""
        return plain_text(self.json())

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""
        return self.answer.json()

    def frames(self) -> Mapping[str, DataFrame]:
        """Return nothing."""
        return {}

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Raise InputError: there is no hull."""
        raise InputError("studies of this kind have no hull, and so no entries")

    def figure(self, name: str | None = None, **wishes: Any) -> Figure:
        """Raise InputError."""
        raise InputError("studies of this kind have no figures")


@dataclass(frozen=True)
class Kind:
    """A kind of study.

    name: as study files say it. command: the analysis command that shows its answers, as in ``megabar hull``.
    rungs: how the kinds of rungs begin that it asks for.
    question: returns what a study file asks, from its path and content. resolve: returns its plan on this machine.
    read: returns the plan stored as a dictionary.
    wants: returns the rungs that a study wants beyond those it has asked for, a pure function of plan, rungs and
    results; none, and none open: the study is complete.
    refine: the same where that needs the arrays of calculations, by key: asked once nothing else is wanted or open.
    answer: returns the answer from plan, rungs, results and the arrays of calculations by key.
    estimate: returns what a study, by its name, would compute and cost; calculations in the store cost nothing.
    report: writes one self-contained page, figures and tables to a folder.
    text: returns what the terminal shows, from the answer's JSON-able data.
    figures: returns the figures of an answer. view: returns what it offers in Python.
    phases: returns how each phase with a ladder of volumes stands, by name.
    publish: returns what the study file asked as it may leave this machine.
    """

    name: str
    command: str
    rungs: tuple[str, ...]
    question: Callable[[Path, CommentedMap], StudyFile[Any]]
    resolve: Callable[[StudyFile[Any], Config], Plan]
    read: Callable[[Mapping[str, Any]], Plan]
    wants: Callable[[Any, Rungs, Records], list[dict[str, Any]]]
    answer: Callable[[Any, Rungs, Records, Histories], Answer]
    estimate: Callable[[str, Any, ResultStore | None], StudyEstimate]
    report: Callable[[Path, StudyRecord, Any, ResultStore], None] = plain_report
    text: Callable[[Mapping[str, Any]], str] = plain_text
    figures: Callable[[Any], Figures] = no_figures
    view: Callable[[Any], View] = PlainView
    phases: Callable[[Any, Rungs, Records], dict[str, PhaseState]] = no_phases
    publish: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    refine: Callable[[Any, Rungs, Records, Histories], list[dict[str, Any]]] | None = None


def slot(rung: Rung) -> tuple[str, str, str]:
    """Return what a rung is to its study, which asks for it once: kind, phase and index."""
    return rung.get("kind", "main"), rung["phase"], str(rung["index"])


def check_kind(study: StudyRecord, kind: Kind, lacking: str, instead: str) -> None:
    """Raise InputError where a study is not of a kind: it has not what is lacking, and another command shows it."""
    if study.kind != kind.name:
        raise InputError(f"{study.identifier} is a study of {study.kind}: it has no {lacking}; `{instead}` shows it")


def read_plan(study: StudyRecord, rungs: tuple[str, ...], read: Callable[[Mapping[str, Any]], P]) -> P:
    """Return the plan of a stored study of a kind with these kinds of rungs.

    Raises NotOurs where the study has what this version does not know.
    """
    check_rungs(study.identifier, study.rungs, rungs)
    try:
        return read(study.resolved)
    except (TypeError, KeyError, ValueError) as error:
        raise NotOurs(
            f"the study {study.identifier} was planned by a newer version of megabar ({error}); update this one"
        ) from error


def check_rungs(study: str, rungs: Rungs, known: tuple[str, ...]) -> None:
    """Raise NotOurs where a study asks for what is of none of the kinds of rungs known."""
    if not all(rung.get("kind", "main").startswith(known) for rung in rungs):
        raise NotOurs(f"the study {study} asks for what a newer version of megabar knows; update this one")
