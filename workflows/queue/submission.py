"""Puts calculations into the LaunchPad: thousands in seconds, as FireWorks itself would write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from megabar.workflows.calculation import Calculation
from megabar.workflows.cost import seconds
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import StudyRecord

AT_ONCE = 2000
FORMAT = 1
"""Of what is submitted: workers leave what has a higher one than theirs to newer versions."""


def submit(calculations: Sequence[tuple[Calculation, str]], study: StudyRecord, runtime: Runtime) -> None:
    """Put a study's calculations, each with a name, into the LaunchPad as workflows of one firework each."""
    for start in range(0, len(calculations), AT_ONCE):
        chunk = calculations[start : start + AT_ONCE]
        runtime.store.board.insert([(specification(each, study), name) for each, name in chunk], study.name)


def specification(calculation: Calculation, study: StudyRecord) -> dict[str, Any]:
    """Return what a firework is to do.

    It says where the calculation is to run and about how long it takes on one core, for workers that have only so much
    time left; the longest come first, so that they do not end alone. The calculation is text, as FireWorks would take
    some text in it for dates.
    """
    estimate = seconds(calculation, None)
    return {
        "format": FORMAT,
        "key": calculation.key,
        "calculation": json.dumps(calculation.to_dict(), default=_plain),
        "study": study.identifier,
        "machine": study.machine,
        "code": calculation.code,
        "core_seconds": round(estimate, 3),
        "_priority": round(estimate),
    }


def _plain(number: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's; raises TypeError for what is neither."""
    if hasattr(number, "tolist"):
        return number.tolist()
    raise TypeError(f"{type(number).__name__} cannot be a setting")


def submit_again(key: str, runtime: Runtime) -> None:
    """Put what was taken last for a calculation back as it was, for other workers, unless its study is cancelled."""
    board = runtime.store.board
    last = board.last_ended(key)
    if last is None or last[0].get("study") is None:
        return
    study = last[0]["study"]
    number = board.insert([last], study)
    if runtime.store.cancelled(study):  # read after the insert: whoever cancels later finds what was inserted
        board.withdraw_one(number)
