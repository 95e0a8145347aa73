"""What an archive of somebody else's must be like: names that are names, results that are numbers, known states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, isnan
from typing import Any

from megabar.structures.names import check_folder_name, check_name, visible
from megabar.workflows.calculation import Calculation
from megabar.workflows.store import CalculationRecord, StudyRecord
from megabar.workflows.structure import Structure

STATES = ("done", "failed", "left")
_KEY = re.compile(r"[0-9a-f]{40}")
_NUMBERS = ("energy_eV_per_atom", "pressure_GPa", "volume_A3_per_atom")
_NUMBERS_OF_DONE = ("largest_force_eV_A", "stress_deviation_GPa", "stiffness_eV_A2")
_MAY_BE_NONE = "fermi_eV"
"""Earlier versions stored the Fermi level of some insulators as GPAW gave it, which was no number."""
LONGEST = 200


def check_study(study: StudyRecord) -> None:
    """Raise InputError or ValueError where names of a study are none, or its keys and rungs are none of ours.

    A report is written into a folder of the study's name, and tables hold those of its phases.
    """
    check_folder_name(study.name, "the study")
    if not re.fullmatch(re.escape(study.name) + "-[0-9a-f]{8}", study.identifier):
        raise ValueError(f"identifier: {study.identifier!r} is not that of a study {study.name!r}")
    for ladder in study.resolved.get("ladders", []):
        check_name(ladder["phase"], "the phase")
    for rung in study.rungs:
        check_name(rung["phase"], "the phase")
        _check_key(rung["key"])
    for key in study.wanted:
        _check_key(key)


def _check_key(key: Any) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"{shortened(repr(key))} is no key of a calculation")


def check_rung(rung: Mapping[str, Any], calculation: Calculation) -> None:
    """Raise ValueError where a rung has the key of another calculation than its plan makes of it.

    One phase would else be answered with the energies of another.
    """
    if calculation.key != rung["key"]:
        raise ValueError(
            f"the rung {rung['index']} of {rung['phase']} names the calculation {rung['key']}, and its plan makes "
            f"{calculation.key} of it"
        )


def check_record(record: CalculationRecord, calculation: Calculation) -> None:
    """Raise ValueError where a calculation has a state that we do not know, or a result that is no number."""
    if record.state not in STATES:
        raise ValueError(f"state: {record.state!r} is none of {', '.join(STATES)}")
    for name in _NUMBERS:
        value = getattr(record, name)
        if value is not None and not isfinite(value):
            raise ValueError(f"{name}: {value} is no result")
    if record.done and calculation.task.through_ase and record.energy_eV_per_atom is None:
        raise ValueError("energy_eV_per_atom: it is done, and has none")
    if record.volume_A3_per_atom is not None and record.volume_A3_per_atom <= 0:
        raise ValueError(f"volume_A3_per_atom: {record.volume_A3_per_atom} cannot be")
    if record.state != "failed":
        _check_result(record)


def _check_result(record: CalculationRecord) -> None:
    for name in _NUMBERS_OF_DONE:
        value = getattr(record, name)
        if value is not None and not isfinite(value):
            raise ValueError(f"{name}: {value} is no result")
    for name, value in record.observables.items():
        if name != _MAY_BE_NONE and _has_nan(value):
            raise ValueError(f"observables: {shortened(name)} has what is no number")
    if record.structure is not None:
        try:
            structure = Structure.from_dict(record.structure)
        except (TypeError, ValueError, LookupError) as error:
            raise ValueError(f"structure: {error}") from None
        if not all(isfinite(each) for row in (*structure.cell, *structure.positions) for each in row):
            raise ValueError("structure: its cell or positions have what is no number")
        shape = {len(row) for row in (*structure.cell, *structure.positions)}
        if shape != {3} or len(structure.cell) != 3 or len(structure.positions) != len(structure.symbols):
            raise ValueError("structure: a cell of three vectors and a position of each atom are expected")


def _has_nan(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_nan, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_nan, value))
    return isinstance(value, float) and isnan(value)


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
