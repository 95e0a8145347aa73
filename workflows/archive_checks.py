"""What an archive of somebody else's must be like: names that are names, results that are numbers, known states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from megabar.structures.names import check_folder_name, check_name, visible
from megabar.workflows.calculation import ENERGY, Calculation
from megabar.workflows.store import CalculationRecord, StudyRecord

STATES = ("done", "failed", "left")
_KEY = re.compile(r"[0-9a-f]{40}")
_NUMBERS = ("energy_eV_per_atom", "pressure_GPa", "volume_A3_per_atom")
LONGEST = 200


def check_study(study: StudyRecord) -> None:
    """Raise InputError or ValueError where names of a study are none, or its keys and rungs are none of ours.

    A report is written into a folder of the study's name, and tables hold those of its phases.
    """
    check_folder_name(study.name, "the study")
    if not re.fullmatch(re.escape(study.name) + "-[0-9a-f]{8}", study.identifier):
        raise ValueError(f"identifier: {study.identifier!r} is not that of a study {study.name!r}")
    for ladder in study.resolved["ladders"]:
        check_name(ladder["phase"], "the phase")
    for rung in study.rungs:
        check_name(rung["phase"], "the phase")
        _check_key(rung["key"])
    for key in study.wanted:
        _check_key(key)


def _check_key(key: Any) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"{shortened(repr(key))} is no key of a calculation")


def check_record(record: CalculationRecord, calculation: Calculation) -> None:
    """Raise ValueError where a calculation has a state that we do not know, or a result that is no number."""
    if record.state not in STATES:
        raise ValueError(f"state: {record.state!r} is none of {', '.join(STATES)}")
    for name in _NUMBERS:
        value = getattr(record, name)
        if value is not None and not isfinite(value):
            raise ValueError(f"{name}: {value} is no result")
    if record.done and calculation.task == ENERGY and record.energy_eV_per_atom is None:
        raise ValueError("energy_eV_per_atom: it is done, and has none")
    if record.volume_A3_per_atom is not None and record.volume_A3_per_atom <= 0:
        raise ValueError(f"volume_A3_per_atom: {record.volume_A3_per_atom} cannot be")


def readable(record: CalculationRecord) -> CalculationRecord:
    """Return a record with nothing in its texts that a terminal would obey; the calculation has its key to keep."""
    content = record.model_dump()
    changed = {name: _readable(each) for name, each in content.items() if name not in ("calculation", "key")}
    return record.model_copy(update={name: each for name, each in changed.items() if each != content[name]})


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(name)): _readable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    return value


def shortened(text: str) -> str:
    """Return a text of an archive for a message: in one line, cut, with nothing in it that a terminal would obey."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"
