"""What the database knows of a calculation that has ended and of a study, and how that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from megabar.structures.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
MOST_AHEAD = 64
LATER = ("calculation", "structure")
"""Parts of a calculation's record that are large, and of little use to who plans or answers."""


class NotOurs(InputError):
    """A newer version stored this, and this one does not know what it means: it is left to those that do."""


class CalculationRecord(BaseModel):
    """What is known of one calculation that has ended; its ``_id`` in the database is its key.

    state: ``done``; ``failed`` (then ``cause`` and ``detail`` say why); ``left`` where the relaxation left its phase,
    which thus ends before this volume.
    energy_eV_per_atom: energy consistent with the forces (with smearing: the Mermin free energy).
    pressure_GPa: from the stress; None where the code gives none.
    structure: the final one; stress_deviation_GPa: largest deviation from hydrostatic stress.
    stiffness_eV_A2: curvature along the last step of the relaxation, for the neighbours to begin with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    calculation: dict[str, Any]
    state: str
    cause: str | None = None
    detail: str | None = None
    energy_eV_per_atom: float | None = None
    pressure_GPa: float | None = None
    volume_A3_per_atom: float | None = None
    structure: dict[str, Any] | None = None
    ionic_steps: int | None = None
    largest_force_eV_A: float | None = None
    stress_deviation_GPa: float | None = None
    stiffness_eV_A2: float | None = None
    space_group: str | None = None
    symmetry_change: str | None = None
    warnings: list[str] = []
    observables: dict[str, Any] = {}
    mendings: list[str] = []
    provenance: dict[str, Any] = {}

    @property
    def done(self) -> bool:
        """Whether the calculation finished and converged."""
        return self.state == "done"


class StudyRecord(BaseModel):
    """A study as it was asked for and as it was resolved; its ``_id`` in the database is its identifier.

    definition: the study file's content; resolved: phases, methods and ladders as planned on submission.
    wanted: keys of all calculations that the study has asked for, in the order asked.
    complete: whether nothing more is wanted. owner: who submitted it first, empty where that is not known.
    machine: whose queue it runs on, "" for local workers.
    cancelled: whether nothing more is to be run for it. generation: of what it has asked for, "" where that is in its
    own document (``wanted``); edition: of its plan, "" where an earlier version stored that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identifier: str
    name: str
    kind: str
    definition: dict[str, Any]
    resolved: dict[str, Any]
    wanted: list[str] = []
    rungs: list[dict[str, Any]] = []
    complete: bool = False
    created: str = ""
    owner: str = ""
    machine: str = ""
    cancelled: bool = False
    generation: str = ""
    edition: str = ""


def record_from(document: dict[str, Any]) -> CalculationRecord:
    """Return a stored calculation; raises NotOurs where it has what this version does not know."""
    key = document.pop("_id")
    return _read(CalculationRecord, f"the calculation {key}", {"key": key, **document})


class Later(Mapping[str, Any]):
    """A part of a record that is read from the database when somebody looks into it.

    A record with such parts is for reading: it cannot be stored, copied or pickled.
    """

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        """Have it read by ``read``, which may be asked several times."""
        self._read = read

    def __getitem__(self, name: str) -> Any:
        """Return what has a name."""
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._read())

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._read())


class Parts:
    """Large parts of some records, of which those read last are kept; who looks at many has them read many at once."""

    def __init__(self, keys: Sequence[str], read: Callable[[Sequence[str], str], dict[str, dict[str, Any]]]) -> None:
        """Have the part with a name of some records read by ``read``; keys: of the records, in the likely order."""
        self._keys, self._read, self._ahead = keys, read, 1
        self._place = {key: number for number, key in enumerate(keys)}
        self._kept: dict[tuple[str, str], dict[str, Any]] = {}

    def get(self, key: str, name: str) -> dict[str, Any]:
        """Return a part of a record, empty where it has it no more."""
        if (key, name) not in self._kept:
            start = self._place[key]
            found = self._read(self._keys[start : start + self._ahead], name)
            self._kept = {(each, name): part for each, part in found.items()}
            self._ahead = min(2 * self._ahead, MOST_AHEAD)
        return self._kept.get((key, name), {})


def summary_from(document: dict[str, Any], part: Callable[[str, str], dict[str, Any]]) -> CalculationRecord:
    """Return a stored calculation whose large parts are read later; the document says of each whether it is there.

    part: returns a part of a calculation. Raises NotOurs where there is what this version does not know.
    """
    key = document["_id"]
    there = [name for name in LATER if document.pop(name, False)]
    record = record_from({**document, "calculation": {}})
    return record.model_copy(update={name: Later(partial(part, key, name)) for name in there})


def study_from(document: dict[str, Any]) -> StudyRecord:
    """Return a stored study; raises NotOurs where it has what this version does not know."""
    for name in ("lease", "rest_until", "plan_parts"):
        document.pop(name, None)
    identifier = document.pop("_id")
    return _read(StudyRecord, f"the study {identifier}", {"identifier": identifier, **document})


def newer_fields(error: Exception) -> list[str]:
    """Return the fields that a model does not know, where these are all that is wrong with a document."""
    if not isinstance(error, ValidationError):
        return []
    wrong = error.errors()
    unknown = [".".join(map(str, each["loc"])) for each in wrong if each["type"] == "extra_forbidden"]
    return unknown if len(unknown) == len(wrong) else []


def _read(model: type[Model], what: str, content: Mapping[str, Any]) -> Model:
    """Return a stored document as its model; raises NotOurs where it has what this version does not know."""
    try:
        return model(**content)
    except ValidationError as error:
        unknown = newer_fields(error)
        if not unknown:
            raise
        raise NotOurs(
            f"{what} was stored by a newer version of megabar ({', '.join(unknown)}); update this one"
        ) from error
