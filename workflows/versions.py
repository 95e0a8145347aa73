"""Whether the codes of a machine are those that its calculations were planned with."""

from __future__ import annotations

from megabar.structures.errors import SetupError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.registry import code
from megabar.workflows.config import Config
from megabar.workflows.execution import is_known
from megabar.workflows.store import NotOurs
from megabar.workflows.troubles import MachineTrouble

_found: dict[str, str] = {}


def check_known(calculation: Calculation) -> None:
    """Raise NotOurs where this version of megabar has not the code, or not what it is to do."""
    if not is_known(calculation):
        raise NotOurs(
            f"{calculation.task.name!r} by {calculation.code} is of a newer version of megabar than this worker's"
        )


def check_version(calculation: Calculation, config: Config) -> None:
    """Raise MachineTrouble where the code that is here is missing, or of another version than was planned with.

    The key of a calculation has the version in it: what another one computes must not be stored under it. Asked once
    a process.
    """
    name = calculation.code
    if name not in _found:
        try:
            _found[name] = code(name).installation(config).version
        except SetupError as error:
            raise MachineTrouble(str(error)) from error
    if _found[name] != calculation.version:
        raise MachineTrouble(
            f"{name} is {_found[name]} here, and the study was planned with {calculation.version}: load that version, "
            "or submit the study again from a shell that has the one of the nodes"
        )
