"""What waits for workers and what they have taken: the only place that reads and changes FireWorks' own records.

Every calculation that is to run is a firework, in a workflow of its own. Its ``spec`` says which (``key``), for which
study and machine, by which code, and about how long it takes (``workflows.queue.submission``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

OPEN = ("WAITING", "READY")
TAKEN = ("RESERVED", "RUNNING")
ENDED = ("COMPLETED", "FIZZLED")
TASK = "{{megabar.workflows.tasks.CalculationTask}}"
"""Where FireWorks finds the task of every firework (``workflows.queue.firetask``), by its first name."""
ARCHIVED = "ARCHIVED"
"""A firework that nobody is to run: what it was to do is found to be wanted again where it still is."""
INTERRUPTED = ("stopped", "trouble")
UNFINISHED = (*INTERRUPTED, "crashed")
"""How tasks end without a result, by what they say themselves."""


@dataclass(frozen=True)
class Held:
    """A calculation that a worker has taken; without a launch, and so without a worker, it is being taken this moment.

    number: of the firework. updated: when its state changed.
    """

    number: int
    key: str
    study: str
    name: str
    core_seconds: float
    worker: str
    host: str
    since: str
    updated: datetime | None


@dataclass(frozen=True)
class Launch:
    """One time that a worker took a calculation.

    state: what its task said in the end, "" where it said nothing. last: whether no other took it after that, and it
    is still held. worker, host, job, cores, folder: whose it was. wall_s: None where its end is not known.
    """

    key: str
    study: str
    core_seconds: float
    state: str
    last: bool
    worker: str
    host: str
    job: str
    cores: int
    began: str
    wall_s: float | None
    folder: str


@dataclass(frozen=True)
class Waiting:
    """What waits: how many calculations, core-seconds of all and of the longest one."""

    count: int = 0
    core_seconds: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class Board:
    """The fireworks of one database (of the LaunchPad)."""

    database: Any

    def waiting(self, study: str) -> set[str]:
        """Return the keys of what waits on behalf of a study."""
        return self._keys({"spec.study": study, "state": {"$in": list(OPEN)}})

    def taken(self) -> set[str]:
        """Return the keys of what any worker has taken."""
        return self._keys({"state": {"$in": list(TAKEN)}})

    def _keys(self, query: Mapping[str, Any]) -> set[str]:
        found = self.database.fireworks.find(query, {"_id": 0, "spec.key": 1})
        return {each["spec"]["key"] for each in found}

    def at_hand(self, study: str) -> bool:
        """Return whether something of a study waits or runs."""
        query = {"spec.study": study, "state": {"$in": ["READY", *TAKEN]}}
        return self.database.fireworks.find_one(query, {"_id": 1}) is not None

    def withdraw(self, study: str) -> int:
        """Let nobody run what waits for a study, and return how much that was."""
        return self._archive({"spec.study": study, "state": {"$in": list(OPEN)}})

    def withdraw_one(self, number: int) -> None:
        """Let nobody run a firework that waits."""
        self._archive({"fw_id": number, "state": "READY"})

    def assign(self, study: str, machine: str) -> None:
        """Let what waits for a study wait for a machine from now on."""
        query = {"spec.study": study, "state": "READY", "spec.machine": {"$ne": machine}}
        self.database.fireworks.update_many(query, {"$set": {"spec.machine": machine}})

    def give_back(self, numbers: Iterable[int]) -> int:
        """Take fireworks from their workers; what they were to do is found to be wanted again. Return how many."""
        return self._archive({"fw_id": {"$in": list(numbers)}, "state": {"$in": list(TAKEN)}})

    def give_back_of(self, worker: str) -> None:
        """Take from a worker all that it holds."""
        held = {"fworker.name": worker, "state": {"$in": list(TAKEN)}}
        numbers = self.database.launches.distinct("fw_id", held)
        if numbers:
            self.give_back(numbers)
            query = {"fw_id": {"$in": numbers}, "fworker.name": worker}
            self.database.launches.update_many(query, {"$set": {"state": ARCHIVED}})

    def _archive(self, query: Mapping[str, Any]) -> int:
        return int(self.database.fireworks.update_many(query, {"$set": {"state": ARCHIVED}}).modified_count)

    def held(self) -> list[Held]:
        """Return what workers have taken."""
        fields = {"fw_id": 1, "spec.key": 1, "spec.study": 1, "spec.core_seconds": 1, "name": 1, "updated_on": 1}
        query = {"state": {"$in": list(TAKEN)}}
        found = list(self.database.fireworks.find(query, {**fields, "launches": {"$slice": -1}}))
        numbers = [number for each in found for number in each.get("launches", [])]
        wanted = {"launch_id": 1, "fworker.name": 1, "host": 1, "time_start": 1}
        some = self.database.launches.find({"launch_id": {"$in": numbers}}, wanted)
        launches = {each["launch_id"]: each for each in some}
        held = []
        for each in found:
            launch = next((launches[number] for number in each.get("launches", []) if number in launches), None)
            held.append(
                Held(
                    number=each["fw_id"],
                    key=each["spec"]["key"],
                    study=each["spec"].get("study", ""),
                    name=each["name"],
                    core_seconds=each["spec"].get("core_seconds", 0.0),
                    worker=launch["fworker"]["name"] if launch else "",
                    host=launch["host"] if launch else "",
                    since=str(launch["time_start"]) if launch else "",
                    updated=moment(each.get("updated_on")),
                )
            )
        return held

    def queued(self, studies: Sequence[str]) -> dict[str, tuple[int, float]]:
        """Return how many calculations wait for each of some studies, and their core-seconds."""
        match = {"spec.study": {"$in": list(studies)}, "state": {"$in": list(OPEN)}}
        group = {"_id": "$spec.study", "count": {"$sum": 1}, "seconds": {"$sum": "$spec.core_seconds"}}
        found = self.database.fireworks.aggregate([{"$match": match}, {"$group": group}])
        return {each["_id"]: (each["count"], float(each["seconds"])) for each in found}

    def waiting_for(self, machine: str, most_core_s: float) -> tuple[Waiting, Waiting]:
        """Return what waits for a machine: calculations up to so many core-seconds, and longer ones."""
        match = {"state": "READY", "spec.machine": machine}
        group = {
            "_id": {"$gt": ["$spec.core_seconds", most_core_s]},
            "count": {"$sum": 1},
            "core_seconds": {"$sum": "$spec.core_seconds"},
            "longest": {"$max": "$spec.core_seconds"},
        }
        found = {each.pop("_id"): Waiting(**each) for each in self.database.fireworks.aggregate(
            [{"$match": match}, {"$group": group}]
        )}  # fmt: skip
        return found.get(False, Waiting()), found.get(True, Waiting())

    def counts(self, machine: str) -> tuple[int, int]:
        """Return how many calculations wait for a machine, and how many run there."""
        count = self.database.fireworks.count_documents
        return count({"state": "READY", "spec.machine": machine}), count({"state": "RUNNING", "spec.machine": machine})

    def next_code(self, machine: str) -> str | None:
        """Return the code of what a machine is to run first, None where nothing waits for it."""
        query = {"state": "READY", "spec.machine": machine}
        first = self.database.fireworks.find_one(query, {"spec.code": 1}, sort=[("spec._priority", -1)])
        return str(first["spec"]["code"]) if first else None

    def last_ended(self, key: str) -> tuple[dict[str, Any], str] | None:
        """Return spec and name of the last firework of a calculation whose task has ended; None where there is none."""
        fields = {"_id": 0, "fw_id": 1, "spec": 1, "name": 1}
        query = {"spec.key": key, "state": {"$in": list(ENDED)}}
        last = self.database.fireworks.find_one(query, fields, sort=[("fw_id", -1)])
        return (last["spec"], last["name"]) if last else None

    def interrupted(self) -> set[str]:
        """Return the calculations whose last attempt was stopped, and which go on from where they were."""
        said, keys = "action.stored_data.state", "action.stored_data.key"
        ended = {said: {"$in": [*INTERRUPTED, "failed"]}}
        last: dict[str, tuple[int, str]] = {}
        for each in self.database.launches.find(ended, {"_id": 0, said: 1, keys: 1, "launch_id": 1}):
            data = each["action"]["stored_data"]
            last[data["key"]] = max(last.get(data["key"], (0, "")), (each["launch_id"], data["state"]))
        return {key for key, (_, state) in last.items() if state in INTERRUPTED}

    def launches(self, keys: Iterable[str]) -> list[Launch]:
        """Return every time that a worker took one of some calculations, in their order."""
        return self._launches({"spec.key": {"$in": list(keys)}}, lambda numbers: {"fw_id": {"$in": numbers}})

    def unfinished_launches(self) -> list[Launch]:
        """Return every time that a task ended without a result, as its own word has it."""
        query = {"action.stored_data.state": {"$in": list(UNFINISHED)}}
        numbers = self.database.launches.distinct("fw_id", query)
        return self._launches({"fw_id": {"$in": numbers}}, lambda _: query)

    def _launches(self, query: Mapping[str, Any], of: Callable[[list[int]], Mapping[str, Any]]) -> list[Launch]:
        fields = {"_id": 0, "fw_id": 1, "state": 1, "launches": 1, "spec.key": 1, "spec.study": 1}
        some = self.database.fireworks.find(query, {**fields, "spec.core_seconds": 1})
        fireworks = {each["fw_id"]: each for each in some}
        found = self.database.launches.find(of(list(fireworks))).sort("launch_id", 1)
        return [_launch(each, fireworks[each["fw_id"]]) for each in found if each["fw_id"] in fireworks]

    def insert(self, tasks: Sequence[tuple[Mapping[str, Any], str]], study: str) -> int:
        """Insert fireworks (spec and name) that are ready, the workflows first, so that none is taken without its own.

        FireWorks makes the first one; the others are like it but for what is their own. Made by it one by one they
        would take five times as long, which is spent on copies. study: its name. Returns the number of the first.
        """
        from fireworks import Firework, Workflow

        increment = {"$inc": {"next_fw_id": len(tasks)}}
        start = int(self.database.fw_id_assigner.find_one_and_update({}, increment)["next_fw_id"])
        first = Firework([], state="READY", fw_id=start)
        firework, workflow = first.to_db_dict(), Workflow([first]).to_db_dict()
        firework["spec"]["_tasks"] = [{"_fw_name": TASK}]
        fireworks, workflows = [], []
        for number, (spec, name) in enumerate(tasks, start):
            own = {"nodes": [number], "links": {str(number): []}, "fw_states": {str(number): "READY"}}
            workflows.append({**workflow, **own, "name": f"{study}: {name}"})
            fireworks.append({**firework, "fw_id": number, "name": name, "spec": {**firework["spec"], **spec}})
        self.database.workflows.insert_many(workflows, ordered=False)
        self.database.fireworks.insert_many(fireworks, ordered=False)
        return start


def _launch(launch: Mapping[str, Any], firework: Mapping[str, Any]) -> Launch:
    around = launch["fworker"].get("env") or {}
    is_last = firework["launches"][-1:] == [launch["launch_id"]]
    return Launch(
        key=firework["spec"]["key"],
        study=firework["spec"].get("study", ""),
        core_seconds=float(firework["spec"].get("core_seconds", 0.0)),
        state=str(((launch.get("action") or {}).get("stored_data") or {}).get("state") or ""),
        last=is_last and firework["state"] in TAKEN,
        worker=launch["fworker"]["name"],
        host=launch["host"],
        job=around.get("job", ""),
        cores=around.get("cores", 1),
        began=str(launch["time_start"]),
        wall_s=launch.get("runtime_secs"),
        folder=str(launch["launch_dir"]),
    )


def moment(text: datetime | str | None) -> datetime | None:
    """Return a moment as FireWorks has it, text or not, in UTC."""
    if text is None:
        return None
    known = datetime.fromisoformat(text) if isinstance(text, str) else text
    return known if known.tzinfo else known.replace(tzinfo=UTC)
