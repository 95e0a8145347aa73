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
        insert([(specification(each, study), name) for each, name in chunk], study.name, runtime)


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
    fields = {"_id": 0, "fw_id": 1, "spec": 1, "name": 1}
    fireworks = runtime.launchpad.fireworks
    last = fireworks.find_one(
        {"spec.key": key, "state": {"$in": ["COMPLETED", "FIZZLED"]}}, fields, sort=[("fw_id", -1)]
    )
    if last is None or last["spec"].get("study") is None:
        return
    study = last["spec"]["study"]
    number = insert([(last["spec"], last["name"])], study, runtime)
    if runtime.store.cancelled(study):  # read after the insert: whoever cancels later finds what was inserted
        fireworks.update_one({"fw_id": number, "state": "READY"}, {"$set": {"state": "ARCHIVED"}})


def insert(tasks: Sequence[tuple[dict[str, Any], str]], study: str, runtime: Runtime) -> int:
    """Insert fireworks that are ready, the workflows first, so that none is taken before its workflow is there.

    FireWorks makes the first one; the others are like it but for what is their own. Made by it one by one they would
    take five times as long, which is spent on copies. study: its name. Returns the number of the first.
    """
    from fireworks import Firework, Workflow

    from megabar.workflows.queue.firetask import CalculationTask

    pad = runtime.launchpad
    counter = pad.fw_id_assigner.find_one_and_update({}, {"$inc": {"next_fw_id": len(tasks)}})
    first = Firework(CalculationTask(), state="READY", fw_id=counter["next_fw_id"])
    firework, workflow = first.to_db_dict(), Workflow([first]).to_db_dict()
    fireworks, workflows = [], []
    for number, (spec, name) in enumerate(tasks, counter["next_fw_id"]):
        own = {"nodes": [number], "links": {str(number): []}, "fw_states": {str(number): "READY"}}
        workflows.append({**workflow, **own, "name": f"{study}: {name}"})
        fireworks.append({**firework, "fw_id": number, "name": name, "spec": {**firework["spec"], **spec}})
    pad.workflows.insert_many(workflows, ordered=False)
    pad.fireworks.insert_many(fireworks, ordered=False)
    return int(counter["next_fw_id"])
