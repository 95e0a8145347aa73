"""Hundreds of small calculations while all is killed, frozen or taken away at random: is every result there, once?

Relaxations of random alloys by the toy code EMT, of a second or so each, are run by `megabar worker`s and a `megabar
run` on a MongoDB server of the campaign's own; some fail, some leave their phase (``campaign_outcomes``). Meanwhile, at
random: kill -9 and SIGTERM of workers and of the commands that keep them; kill -9 of mongod, which comes back after up
to twice the clients' time-out, or is killed again while it starts; SIGSTOP of mongod for twice the time-out; folders of
calculations that are moved away, immutable for a while, or have a file in their place. At the end everything is counted
from what was not part of the work: the server's own log of operations (how often each result was written), and the
files of results, watched throughout (whether one was ever written again).

    python benchmarks/fault_campaign.py [--calculations 500] [--seed 1] [--commands 3] [--workers 2] [--json]

Exits with 1 where a result is missing, there twice, was computed again, or is not what it should be, where the study is
stuck, or where a command has ended without a sentence.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ase import Atoms
from ase.build import bulk
from pymongo import MongoClient
from pymongo.errors import PyMongoError

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from campaign_faults import Folders
from campaign_outcomes import environment as environment_of
from campaign_outcomes import outcome
from user_mongod import UserMongod, free_port

from megabar.workflows.isolation import die_with_parent

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
TIME_OUT_S = 3.0
"""Of the workers' connections to the database; a user's is two minutes."""
OUTAGES_S = (0.0, 1.0, 0.5 * TIME_OUT_S, 2 * TIME_OUT_S)
MOST_RESULTS_BETWEEN, LONGEST_BETWEEN_S, JITTER_S = 8, 20.0, 2.0
"""Between two faults so many results at most come in, or so much time passes, and a moment more."""
FAULTS = {
    **{"kill -9 worker": 6, "SIGTERM worker": 4, "kill -9 command": 2, "SIGTERM command": 3, "kill -9 mongod": 3},
    **{"kill -9 mongod as it starts": 2, "freeze mongod": 2},
    **{"move a folder": 4, "immutable folder": 3, "file in the place of a folder": 3},
}
"""What is done to whom, and how often beside one another."""
FREEZE_S = 2 * TIME_OUT_S
LONGEST_START_S = 1.5
"""Of mongod, about."""
WITHOUT_PROGRESS_S = 600.0
VOLUMES = 3
"""Calculations that a phase of the study has at least."""


@dataclass
class Commands:
    """The commands of the campaign, a `megabar run` and `megabar worker`s; those that ended are started again."""

    folder: Path
    count: int
    workers: int
    environment: dict[str, str]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Those that live."""
        return [each for each in self.running.values() if each.poll() is None]

    @property
    def log(self) -> Path:
        """What they say."""
        return self.folder / "commands.log"

    def fill(self) -> None:
        """Have as many as there should be; the first is the run."""
        for number in range(self.count):
            known = self.running.get(number)
            if known is not None and known.poll() is None:
                continue
            words = ["worker", "--count"] if number else ["run", "campaign.yaml", "--workers"]
            with self.log.open("ab") as log:
                options: dict[str, Any] = {"cwd": self.folder, "stdout": log, "stderr": log, "env": self.environment}
                words = [*MEGABAR, *words, str(self.workers)]
                self.running[number] = subprocess.Popen(words, **options, preexec_fn=die_with_parent)

    def worker_processes(self) -> list[psutil.Process]:
        """Return the workers of all of them."""
        found = []
        for each in self.processes:
            with suppress(psutil.Error):
                children = psutil.Process(each.pid).children()
                found += [child for child in children if "launchers.worker" in " ".join(child.cmdline())]
        return found

    def stop(self) -> None:
        """End them all."""
        for each in self.running.values():
            each.terminate()
        for each in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                each.wait(timeout=30)
            each.kill()


@dataclass
class Watch:
    """Looks at the files of results all the time; rewritten: results that were written a second time."""

    folder: Path
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Compare with what was there."""
        for path in self.folder.glob("*/*/result.json"):
            with suppress(FileNotFoundError):
                found = path.stat()
                now = (found.st_ino, found.st_mtime_ns)
                if self.seen.setdefault(path.parent.name, now) != now:
                    self.rewritten.add(path.parent.name)

    def run(self) -> None:
        """Look until told to end."""
        while not self.ended.wait(0.1):
            self.look()


def write_study(folder: Path, calculations: int, seed: int) -> None:
    """Write a study that asks for at least so many calculations: mostly cells of eight atoms without symmetry."""
    made = np.random.default_rng(seed)
    bulk("Cu", "fcc", a=3.6).write(folder / "Cu.cif")
    bulk("Au", "fcc", a=4.06).write(folder / "Au.cif")
    names = ["Cu.cif", "Au.cif"]
    for number in range(-(-calculations // VOLUMES)):
        corners = np.array([(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])
        positions = np.concatenate([corners * (1, 1, 0.5), corners * (1, 1, 0.5) + (0, 0, 0.5)])
        positions += 0.02 * made.standard_normal(positions.shape)
        symbols = [*made.permutation(["Cu", "Cu", "Cu", "Au", "Au", "Au", "Cu", "Au"])]
        cell = np.diag([3.85, 3.85, 7.7]) + 0.1 * made.standard_normal((3, 3))
        Atoms(symbols, cell=cell, scaled_positions=positions, pbc=True).write(folder / f"alloy-{number}.cif")
        names.append(f"{{file: alloy-{number}.cif, name: alloy-{number}, pressure: 0}}")
    (folder / "campaign.yaml").write_text(
        "kind: stability\nsystem: Cu-Au\npressures: {from: 0, to: 60, step: 10}\nmethod: {code: emt}\n"
        f"phases: [{', '.join(names)}]\n"
    )


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """Watch the files of results while the block runs."""
    watch = Watch(folder / ".megabar" / "calculations")
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()
        watch.look()


def campaign(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the study under faults and return what was counted."""
    chance = random.Random(options.seed)
    write_study(folder, options.calculations, options.seed)
    server = UserMongod(folder / "server", free_port(), TIME_OUT_S)
    (folder / "megabar.yaml").write_text(f"database: {{uri: '{server.uri}', name: campaign}}\n")
    environment = environment_of(folder / "outcomes")
    commands = Commands(folder, options.commands, options.workers, environment)
    folders = Folders(folder / ".megabar" / "calculations", chance)
    began, done = time.monotonic(), Counter[str]()
    server.start()
    try:
        server.initiate()
        words = [*MEGABAR, "submit", "campaign.yaml"]
        subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        with watching(folder) as watch:
            _disturb(server, commands, watch, folders, chance, done)
        wall_s = time.monotonic() - began
        found = counted(server, watch, folder, folders.moved)
        without = commands.log.read_text(errors="replace").count("Traceback")
        said = {"wall_s": round(wall_s, 1), "faults": dict(sorted(done.items()))}
        return {**said, **found, "endings_without_a_sentence": without}
    finally:
        folders.undo(everything=True)
        commands.stop()
        server.kill()


def _disturb(
    server: UserMongod,
    commands: Commands,
    watch: Watch,
    folders: Folders,
    chance: random.Random,
    done: Counter[str],
) -> None:
    """Do one thing after the other to workers and database until the study is complete."""
    client: MongoClient[dict[str, Any]] = MongoClient(server.uri)
    moved, results = time.monotonic(), 0
    while not _complete(client):
        commands.fill()
        folders.undo()
        if _pause(watch, folders, chance, client):
            break
        fault = chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        if "mongod" in fault:
            done[_to_mongod(fault, server, chance)] += 1
        elif "folder" in fault:
            done[fault] += _to_folders(fault, folders, client)
        else:
            victims = commands.worker_processes() if "worker" in fault else commands.processes
            if victims:
                with suppress(psutil.Error):
                    chance.choice(victims).send_signal(signal.SIGTERM if "SIGTERM" in fault else signal.SIGKILL)
                    done[fault] += 1
        if len(watch.seen) > results:
            moved, results = time.monotonic(), len(watch.seen)
        if time.monotonic() - moved > WITHOUT_PROGRESS_S:
            raise SystemExit(f"stuck: {results} results, and no new one for {WITHOUT_PROGRESS_S:.0f} s")
        print(f"\r{results} results, {sum(done.values())} faults  ", end="", file=sys.stderr, flush=True)
    client.close()


def _to_mongod(fault: str, server: UserMongod, chance: random.Random) -> str:
    """Do something to the database, which is there again afterwards, and return what it was."""
    assert server.process is not None
    if fault.startswith("freeze"):
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(FREEZE_S)
        server.process.send_signal(signal.SIGCONT)
        return f"{fault} for {FREEZE_S:g} s"
    server.kill()
    if "as it starts" in fault:
        for _ in range(2):
            server.start()
            time.sleep(chance.uniform(0.0, LONGEST_START_S))
            server.kill()
        outage = 0.0
    else:
        outage = chance.choice(OUTAGES_S)
    time.sleep(outage)
    server.start()
    return f"{fault}, away {outage:g} s" if outage else fault


def _to_folders(fault: str, folders: Folders, client: MongoClient[dict[str, Any]]) -> int:
    """Do something to the folder of a calculation that has no result, and return how often that was possible."""
    if fault.startswith("move"):
        return int(folders.move())
    wanted: list[str] = []
    with suppress(PyMongoError):
        asked = set(client.campaign.wanted.distinct("key"))
        ended = {each["_id"] for each in client.campaign.calculations.find({}, {"_id": 1})}
        wanted = sorted(asked - ended)
    act = folders.make_one_immutable if fault.startswith("immutable") else folders.put_a_file_in_the_place_of_one
    return int(act(wanted))


def _pause(watch: Watch, folders: Folders, chance: random.Random, client: MongoClient[dict[str, Any]]) -> bool:
    """Let some work be done, however slow this computer is, and return whether the study is complete."""
    enough = len(watch.seen) + chance.randint(0, MOST_RESULTS_BETWEEN)
    until = time.monotonic() + LONGEST_BETWEEN_S
    while len(watch.seen) < enough and time.monotonic() < until:
        if _complete(client):
            return True
        folders.undo()
        time.sleep(0.2)
    time.sleep(chance.uniform(0.0, JITTER_S))
    return False


def _complete(client: MongoClient[dict[str, Any]]) -> bool:
    with suppress(PyMongoError):
        return all(study["complete"] for study in client.campaign.studies.find({}, {"complete": 1}))
    return False


def counted(server: UserMongod, watch: Watch, folder: Path, moved: set[str]) -> dict[str, Any]:
    """Count what is there, by the server's log of operations and by the files.

    moved: calculations whose folder was taken away, which may have been with the result that was just written.
    """
    with MongoClient(UserMongod(server.folder, server.port).uri) as client:
        written, changed = Counter[str](), 0
        for entry in _operations(client):
            if entry["op"] == "i":
                written[entry["o"]["_id"]] += 1
            else:
                changed += 1
        wanted = set(client.campaign.wanted.distinct("key"))
        records = {each["_id"]: each for each in client.campaign.calculations.find()}
        launches = list(client.campaign_fireworks.launches.find())
        keys = {
            each["fw_id"]: each["spec"]["key"]
            for each in client.campaign_fireworks.fireworks.find({}, {"fw_id": 1, "spec.key": 1})
        }
    tries, from_disk = Counter[str](), set()
    for launch in launches:
        key = keys[launch["fw_id"]]
        said = ((launch.get("action") or {}).get("stored_data") or {}).get("state", "lost")
        tries[key] += said in ("lost", "stopped")
        path = watch.folder / key[:2] / key / "result.json"
        if said == "done" and path.exists() and _moment(launch["time_start"]) > path.stat().st_mtime:
            from_disk.add(key)
    again = {key for key in records if _later(watch.folder / key[:2] / key)}
    return {
        "calculations": len(wanted),
        "results": len(records),
        "missing": len(wanted - records.keys()),
        **{state: sum(each["state"] == state for each in records.values()) for state in ("failed", "left")},
        "ended_otherwise": sum(_is_odd(each) for each in records.values()),
        "stored_more_than_once": sum(count > 1 for count in written.values()) + changed,
        "computed_again": len((watch.rewritten | again) - moved),
        "interrupted": sum(count > 0 for count in tries.values()),
        "interruptions": sum(tries.values()),
        "found_on_disk": len(from_disk),
        "started_again_after_a_death": sum(
            "started again" in mending for each in records.values() for mending in each["mendings"]
        ),
    }


def _is_odd(record: dict[str, Any]) -> bool:
    """Return whether a calculation ended otherwise than the campaign wants; some leave their phase by themselves."""
    wanted = outcome(record["_id"])
    return record["state"] not in ((wanted,) if wanted != "done" else ("done", "left"))


def _operations(client: MongoClient[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what the server's log says of the collection of results, also within transactions."""
    place = "campaign.calculations"
    for entry in client.local["oplog.rs"].find({"$or": [{"ns": place}, {"o.applyOps.ns": place}]}):
        inner = entry["o"].get("applyOps")
        yield from [entry] if inner is None else [each for each in inner if each["ns"] == place]


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _later(folder: Path) -> bool:
    """Return whether a relaxation wrote something after its result."""
    log, result = folder / "relaxation.log", folder / "result.json"
    return log.exists() and log.stat().st_mtime > result.stat().st_mtime


def wrong(found: dict[str, Any], least: int) -> bool:
    """Return whether something was lost, done twice, or ended otherwise than it should."""
    faults = ("missing", "ended_otherwise", "stored_more_than_once", "computed_again", "endings_without_a_sentence")
    return found["results"] < least or any(found[each] for each in faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calculations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of each command")
    parser.add_argument("--folder", type=Path, help="kept, for a look at what happened")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        found = campaign(folder, options)
    print(file=sys.stderr)
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in found.items()))
    sys.exit(wrong(found, options.calculations))


if __name__ == "__main__":
    main()
