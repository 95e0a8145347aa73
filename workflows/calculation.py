"""A calculation: one call of a DFT code on one structure with one set of settings, and its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from megabar.workflows.codes.interface import AtomicData
from megabar.workflows.hashing import digest, only_known
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Input, Task
from megabar.workflows.tasks.registry import read_task
from megabar.workflows.tasks.single_point import SinglePoint

KEY_FORMAT = 1
AS_IT_IS = SinglePoint()
CALCULATION = frozenset(
    {"code", "version", "settings", "structure", "data", "relaxation", "starts", "task", "parameters", "inputs"}
)


@dataclass(frozen=True)
class Calculation:
    """All that determines the answer of one call of a DFT code.

    code, version: the code and its version; settings: concrete and complete (see ``Code.settings``).
    structure: the cell to compute; for a relaxation, the phase's reference cell scaled to the volume wanted.
    data: atomic data of the elements; their content enters the key, their place does not.
    task: what is done with the structure. inputs: the calculations that this one goes on from (of a relaxation at most
    two, the nearest first). As their keys are hashed in, equal keys have equal histories.
    """

    code: str
    version: str
    settings: Mapping[str, Any]
    structure: Structure
    data: tuple[AtomicData, ...]
    task: Task = AS_IT_IS
    inputs: tuple[Input, ...] = ()

    @property
    def starts(self) -> tuple[str, ...]:
        """Keys of the inputs."""
        return tuple(each.key for each in self.inputs)

    @property
    def key(self) -> str:
        """Hash (40 hex digits) of all that determines the answer."""
        return digest(
            {
                "format": KEY_FORMAT,
                "code": self.code,
                "version": self.version,
                "settings": self.settings,
                "structure": self.structure.to_dict(),
                "data": {each.element: each.sha256 for each in self.data},
                **self._task_and_inputs(),
            }
        )[:40]

    def _task_and_inputs(self) -> dict[str, Any]:
        """Return task and inputs as stored: those that had limits of relaxation before there were tasks still do."""
        stored = self.task.stored()
        if "relaxation" in stored:
            return {**stored, "starts": list(self.starts)}
        return {**stored, "inputs": [list(each) for each in self.inputs]}

    def to_dict(self) -> dict[str, Any]:
        """Return the calculation as JSON-able data."""
        return {
            "code": self.code,
            "version": self.version,
            "settings": dict(self.settings),
            "structure": self.structure.to_dict(),
            "data": [dict(vars(each)) for each in self.data],
            **self._task_and_inputs(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calculation:
        """Return the calculation stored by ``to_dict``; raises TypeError where that has what is not known here."""
        only_known(data, CALCULATION)
        task = read_task(data)
        inputs = data["inputs"] if "inputs" in data else [(task.role, key) for key in data["starts"]]
        return cls(
            code=data["code"],
            version=data["version"],
            settings=data["settings"],
            structure=Structure.from_dict(data["structure"]),
            data=tuple(AtomicData(**each) for each in data["data"]),
            task=task,
            inputs=tuple(Input(*each) for each in inputs),
        )


def inputs_of(task: Task, keys: Iterable[str]) -> tuple[Input, ...]:
    """Return keys as the inputs that a task goes on from."""
    return tuple(Input(task.role, key) for key in keys)
