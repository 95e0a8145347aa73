"""One calculation that a study asks for, as parts other than the ladder of volumes name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


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
