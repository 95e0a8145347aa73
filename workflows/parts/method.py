"""What all calculations of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from megabar.workflows.codes.interface import AtomicData


@dataclass(frozen=True)
class Method:
    """What all calculations of a study share: code, version, protocol, functional, atomic data of its elements."""

    code: str
    version: str
    protocol: str
    functional: str
    data: tuple[AtomicData, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Method:
        """Return the method stored as a dictionary."""
        return cls(**{**content, "data": tuple(AtomicData(**each) for each in content["data"])})
