"""Results by query: calculations as small dataclasses, as frames and as ase.Atoms; studies as a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from megabar.structures.composition import formula_text, parse_formula, parse_system, reduced
from megabar.structures.errors import InputError
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.store import CalculationRecord, ResultStore
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.registry import read_task
from megabar.workflows.yaml_input import nearest

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray
    from pandas import DataFrame

STATES = ("done", "failed", "left")
COLUMNS = (
    "key", "state", "code", "task", "functional", "formula", "atoms", "pressure_GPa", "volume_A3_per_atom",
    "energy_eV_per_atom", "space_group", "cause",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """A calculation that has ended. record: all that is stored of it, with the calculation as it was asked for."""

    record: CalculationRecord
    _arrays: Callable[[str], dict[str, NDArray[Any]]] = field(repr=False)

    @property
    def key(self) -> str:
        """Hash of all that determines it."""
        return self.record.key

    @property
    def state(self) -> str:
        """``done``, ``failed``, or ``left`` where a relaxation left its phase."""
        return self.record.state

    @property
    def code(self) -> str:
        """Name of the code."""
        return str(self.record.calculation["code"])

    @property
    def task(self) -> str:
        """What was computed: ``relax``, ``single-point``, ``phonon``, …"""
        content = self.record.calculation
        return str(content.get("task") or read_task(content).name)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the code."""
        return dict(self.record.calculation["settings"])

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return _formula(self.record.calculation["structure"]["symbols"])

    @property
    def pressure_GPa(self) -> float | None:
        """Pressure from the stress (GPa), None where there is none."""
        return self.record.pressure_GPa

    @property
    def energy_eV_per_atom(self) -> float | None:
        """Energy (eV/atom), None where there is none."""
        return self.record.energy_eV_per_atom

    @property
    def atoms(self) -> Atoms:
        """The final structure, that of the beginning where there is none, with its energy where that is known."""
        from ase.calculators.singlepoint import SinglePointCalculator

        atoms = Structure.from_dict(self.record.structure or self.record.calculation["structure"]).atoms()
        if self.energy_eV_per_atom is not None:
            atoms.calc = SinglePointCalculator(atoms, energy=self.energy_eV_per_atom * len(atoms))
        atoms.info |= {"key": self.key, "pressure_GPa": self.pressure_GPa}
        return atoms

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays: energy, cell, positions, forces and stress at every ionic step, as far as they are."""
        return self._arrays(self.key)

    def row(self) -> tuple[Any, ...]:
        """Return what a table says of it."""
        record = self.record
        return (
            self.key, self.state, self.code, self.task, self.settings.get("functional"), self.formula,
            len(record.calculation["structure"]["symbols"]), record.pressure_GPa, record.volume_A3_per_atom,
            record.energy_eV_per_atom, record.space_group, record.cause,
        )  # fmt: skip


class Results(Sequence[Result]):
    """Calculations in the order of their keys; a notebook shows their table."""

    def __init__(self, results: Sequence[Result]) -> None:
        """Make a sequence of results."""
        self._results = tuple(results)

    def frame(self) -> DataFrame:
        """Return a row each, by key; numbers that are not there are nan."""
        from pandas import DataFrame

        numbers = ("pressure_GPa", "volume_A3_per_atom", "energy_eV_per_atom")
        frame = DataFrame([each.row() for each in self._results], columns=list(COLUMNS)).set_index("key")
        return frame.astype(dict.fromkeys(numbers, float))

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> Results: ...

    def __getitem__(self, place: int | slice) -> Result | Results:
        """Return a result, or some."""
        return Results(self._results[place]) if isinstance(place, slice) else self._results[place]

    def __iter__(self) -> Iterator[Result]:
        """Go through the results."""
        return iter(self._results)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._results)

    def __repr__(self) -> str:
        """Return how many there are."""
        return f"<{len(self)} results>"

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(notebook=True, max_rows=20))


def find(
    store: ResultStore,
    query: Mapping[str, Any] | None = None,
    *,
    code: str | None = None,
    formula: str | None = None,
    system: str | None = None,
    state: str | None = None,
    functional: str | None = None,
    pressure: tuple[float, float] | None = None,
    keys: Sequence[str] | None = None,
) -> Results:
    """Return the calculations that have ended and are as wanted; what each option means, `megabar.results` says."""
    wanted: list[dict[str, Any]] = [dict(query)] if query else []
    if code is not None:
        wanted.append({"calculation.code": _one_of("code", code, list(ADAPTERS))})
    if state is not None:
        wanted.append({"state": _one_of("state", state, list(STATES))})
    if functional is not None:
        wanted.append({"calculation.settings.functional": functional})
    if keys is not None:
        wanted.append({"_id": {"$in": list(keys)}})
    if pressure is not None:
        low, high = _range(pressure)
        wanted.append({"pressure_GPa": {"$gte": low, "$lte": high}})
    for elements in (parse_system(system) if system else None, list(parse_formula(formula)) if formula else None):
        if elements is not None:
            wanted.append({"calculation.structure.symbols": {"$not": {"$elemMatch": {"$nin": list(elements)}}}})
    records = store.find({"$and": wanted} if wanted else {})
    asked = formula_text(reduced(parse_formula(formula))) if formula else None
    same = None if asked is None else dict(parse_formula(asked))
    found = (Result(record, store.history) for record in records)
    return Results([each for each in found if same is None or dict(parse_formula(each.formula)) == same])


def studies_frame(store: ResultStore) -> DataFrame:
    """Return how all studies stand, a row each by identifier: unfinished ones first, then the newest."""
    from pandas import DataFrame

    from megabar.launchers.seeing.status import status_in

    columns = (
        "study", "name", "state", "said", "calculations", "done", "failed", "running", "waiting", "core_hours_left",
        "created", "owner", "machine",
    )  # fmt: skip
    return DataFrame(status_in(store, None, None, True).json()["studies"], columns=list(columns)).set_index("study")


def _formula(symbols: Sequence[str]) -> str:
    counts: dict[str, int] = {}
    for symbol in symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    return formula_text(reduced(counts))


def _one_of(name: str, value: str, known: list[str]) -> str:
    if value not in known:
        raise InputError(f"{name} is {value!r}{nearest(value, known)} (it can be {', '.join(known)})")
    return value


def _range(pressure: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(each) for each in pressure)
    except (TypeError, ValueError):
        raise InputError(f"pressure is {pressure!r}; it takes the lowest and the highest, as (100, 200)") from None
    return low, high
