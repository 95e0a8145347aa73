"""Numbered calculations that a study asks for, as parts other than the ladder of volumes name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from megabar.workflows.store import CalculationRecord


@dataclass(frozen=True)
class NumberedRung:
    """The calculation with a number, of a kind, of a phase or of whatever else the part calls by that name.

    starts: keys of its inputs. purpose: why it is asked for.
    """

    phase: str
    index: int
    key: str
    kind: str
    purpose: str
    starts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the rung as JSON-able data."""
        return {**vars(self), "starts": list(self.starts)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> NumberedRung:
        """Return the rung stored by ``to_dict``."""
        own = {name: content[name] for name in cls.__dataclass_fields__}
        return cls(**{**own, "index": int(content["index"]), "starts": tuple(content["starts"])})


def rungs_of(rungs: Iterable[Mapping[str, Any]], phase: str, kind: str) -> dict[int, str]:
    """Return the keys of the rungs of a phase and a kind among those stored with a study, by their numbers."""
    return {int(each["index"]): each["key"] for each in rungs if each["phase"] == phase and each.get("kind") == kind}


class Numbered(Protocol):
    """A part's plan of numbered calculations, none of which waits for another."""

    @property
    def numbers(self) -> range:
        """The numbers of all of them."""


PlanT = TypeVar("PlanT", bound=Numbered)


@dataclass(frozen=True, eq=False)
class NumberedState(Generic[PlanT]):
    """How numbered calculations stand. keys: by number, of those asked for; records: by key, of those that ended."""

    plan: PlanT
    keys: Mapping[int, str]
    records: Mapping[str, CalculationRecord]

    @cached_property
    def done(self) -> list[int]:
        """The numbers of those whose results are there, ascending."""
        return sorted(n for n, key in self.keys.items() if key in self.records and self.records[key].done)

    @cached_property
    def failed(self) -> list[int]:
        """The numbers of those without results that are not computed any more, ascending."""
        return sorted(n for n, key in self.keys.items() if key in self.records and not self.records[key].done)

    @property
    def complete(self) -> bool:
        """Whether all results are there."""
        return len(self.done) == len(self.plan.numbers)
