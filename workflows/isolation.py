"""Runs a calculation in a child process, so that what kills a DFT code does not kill the worker.

A fork server that has imported the code once makes each child in milliseconds. Children die with their worker.
"""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from megabar.structures.threads import release
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, finished
from megabar.workflows.files import read_json, sweep, write_json
from megabar.workflows.secrecy import SECRET_VARIABLES
from megabar.workflows.stopping import STOPPED_CODE, Control, Stopped, ask_to_stop, forget_stop
from megabar.workflows.troubles import FOLDER_CODE, MACHINE_CODE, FolderTrouble, MachineTrouble, exit_code, in_words

MOST_ATTEMPTS = 3
ATTEMPTS, CHILD_LOCK = "attempts.json", "child.lock"
PR_SET_PDEATHSIG = 1

PRELOAD = (
    "megabar.workflows.execution",
    "ase.constraints",
    "ase.filters",
    "ase.optimize",
    "spglib",
    "scipy.linalg",
    "scipy.sparse.linalg",
)
PRELOAD_BY_CODE = {
    "emt": ("ase.calculators.emt",),
    "gpaw": (
        "ase.dft.bandgap",
        "gpaw.new.ase_interface",
        "gpaw.new.pw.builder",
        "gpaw.new.pw.stress",
        "gpaw.setup_data",
        "megabar.workflows.codes.gpaw.calculator",
        "megabar.workflows.paw.location",
        "xml.sax.expatreader",
    ),
    "espresso": ("ase.calculators.espresso", "ase.io.espresso"),
}
"""Modules that calculations would otherwise import one by one, a second of CPU each time."""

WATCH_SECONDS = 0.5
LEAST_CPU_SECONDS = 0.5
SIGNAL_SECONDS = 0.5


def die_with_parent(number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to signal this process when its parent dies (Linux; elsewhere nothing happens).

    parent: its number, where it may have died before this call: then the signal comes at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number))
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def fork_server(code: str) -> ForkServerContext:
    """Return a context whose children start with everything that a code's calculations import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, ADAPTERS[code].split(":")[0], *PRELOAD_BY_CODE.get(code, ())])
    return context


def run_isolated(context: ForkServerContext, folder: Path, config: Config, control: Control) -> dict[str, Any]:
    """Run the calculation prepared in a folder and return its result; a child that dies is started again.

    After ``MOST_ATTEMPTS`` deaths the calculation has failed, which is then its result. Raises Stopped where the
    control wanted it to stop, and MachineTrouble; both are no fault of the calculation.
    """
    done = finished(folder)
    attempts = attempts_of(folder)
    forget_stop(folder)
    while done is None:
        if len(attempts) >= MOST_ATTEMPTS:
            done = {
                "state": "failed",
                "cause": "killed",
                "detail": f"the process running it died {len(attempts)} times: {'; '.join(attempts)}",
            }
            write_json(folder / "result.json", done)
            break
        if control.stopping:
            raise Stopped
        process = context.Process(target=_child, args=(str(folder), config.model_dump_json(exclude={"database"})))
        process.start()
        hung = _watch(process, folder, control, local=not config.code(_code_of(folder)).launch)
        done = finished(folder)
        if done is not None:
            break
        time.sleep(SIGNAL_SECONDS)  # a signal to all processes of the job may still reach this one
        if control.stopping or process.exitcode == STOPPED_CODE:
            raise Stopped
        if process.exitcode in (MACHINE_CODE, FOLDER_CODE):
            kind = MachineTrouble if process.exitcode == MACHINE_CODE else FolderTrouble
            raise kind(_last_line(folder) or f"the folder {folder} cannot be written")
        attempts.append(hung or _words(process.exitcode, folder))
        write_json(folder / ATTEMPTS, attempts)
    if attempts:
        done["mendings"] = [*done.get("mendings", []), *(f"started again after: {attempt}" for attempt in attempts)]
    return done


def attempts_of(folder: Path) -> list[str]:
    """Return how the processes that ran the calculation of a folder have died so far."""
    kept = read_json(folder / ATTEMPTS)
    return [str(each) for each in kept] if isinstance(kept, list) else []


def _watch(process: BaseProcess, folder: Path, control: Control, local: bool) -> str | None:
    """Wait for a child to end; stop it where the control wants it, kill it where it hangs and say so."""
    asked, seen, seen_cpu = None, _last_change(folder), 0.0
    changed = computed = time.monotonic()
    while process.is_alive():
        process.join(WATCH_SECONDS)
        now = time.monotonic()
        if control.stopping and asked is None:
            asked = now
            with suppress(OSError):  # moved away, or nobody may write there: killed when patience ends
                ask_to_stop(folder)
        if asked is not None and now - asked > control.patience_s:
            _kill(process)
            return None
        if now - changed < min(control.idle_s, control.silent_s):
            continue
        change, cpu = _last_change(folder), _group_cpu_seconds(process.pid or 0)
        if change != seen:
            seen, changed = change, now
        if cpu > seen_cpu + LEAST_CPU_SECONDS:
            seen_cpu, computed = cpu, now
        quiet = now - changed
        if quiet > control.silent_s or (local and min(quiet, now - computed) > control.idle_s):
            _kill(process)
            return f"hung: neither output nor work for {min(quiet, now - computed) / 60:.0f} min, killed"
    return None


def _last_change(folder: Path) -> float:
    """Return when a file below a folder was last written (s, by the file system's clock)."""
    times = []
    for path in folder.rglob("*"):
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            continue  # gone meanwhile
    return max(times, default=0.0)


def _group_cpu_seconds(group: int) -> float:
    """Return the CPU seconds of the processes of a group that live (Linux; elsewhere that of none)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _kill(process: BaseProcess) -> None:
    """Kill a child with all that it started; its last ionic step is on disk."""
    try:
        os.killpg(process.pid or 0, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.join()


def _code_of(folder: Path) -> str:
    content = read_json(folder / "input.json") or {}
    return str(content.get("calculation", {}).get("code", ""))


def _child(folder: str, config: str) -> None:
    os.setsid()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in SECRET_VARIABLES:
        os.environ.pop(name, None)  # codes and MPI launchers print and forward what they inherit
    release()
    try:
        os.chdir(folder)
        log = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        alone = os.open(CHILD_LOCK, os.O_WRONLY | os.O_CREAT, 0o644)  # until this process ends
        # The child of a worker that was killed lives a moment longer than that, and may just write its result.
        fcntl.flock(alone, fcntl.LOCK_EX)
        sweep(Path(folder))
        execute(Path(folder), Config.model_validate_json(config))
    except Stopped:
        os._exit(STOPPED_CODE)
    except ChildProcessError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    except OSError as error:
        # A full disk or a folder that vanished is no property of the calculation.
        print(in_words(error, Path(folder)), file=sys.stderr, flush=True)
        os._exit(exit_code(error))
    except Exception as error:
        import traceback

        traceback.print_exc()
        result = {"state": "failed", "cause": "internal-error", "detail": f"{type(error).__name__}: {error}"}
        write_json(Path(folder) / "result.json", result)


def _words(code: int | None, folder: Path) -> str:
    if code is not None and code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    said = _last_line(folder)
    return f"ended with code {code}" + (f", last output: {said}" if said else "")


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / "output.log").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
