"""What all calculations of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.structures.errors import InputError
from megabar.workflows.codes.interface import AtomicData, Code
from megabar.workflows.codes.registry import CODES


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


def check_forces(code: Code, file: Path) -> None:
    """Raise InputError where the code that a study file asks for gives energies alone: no forces and no stresses."""
    if not code.forces:
        others = ", ".join(f"`{each.name}`" for each in CODES.values() if each.forces and not each.toy)
        raise InputError(
            f"{file}: the key `method.code` is `{code.name}`, which gives energies here, and not the forces and "
            f"stresses that this kind of study needs; codes that do: {others}"
        )
