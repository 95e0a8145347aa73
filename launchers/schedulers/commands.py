"""Runs a scheduler's programs: in a small environment, for a limited time; hands their complaints on in their words."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence

from megabar.launchers.schedulers.interface import Scheduler, SchedulerBusy
from megabar.structures.errors import SetupError

TIMEOUT_S = 60.0
MOST_WORDS = 500
_KEPT = re.compile(
    r"HOME|USER|LOGNAME|PATH|LANG|TZ|LD_LIBRARY_PATH|KRB5CCNAME|"
    r"SLURM_CONF|SLURM_CLUSTERS|PBS_CONF_FILE|PBS_SERVER|PBS_DEFAULT|PBS_EXEC|SGE_(?!TASK|STDIN|STDOUT|STDERR|O_)\w+"
)
_PROGRAM = re.compile(r"^(?:\w+: )?(?:error: |Error: )?")


def small(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a scheduler's program needs of an environment.

    Slurm hands on to the job what it is called with: nothing of the shell that happens to submit (its modules, its
    Conda, its passwords) may get there.
    """
    return {name: value for name, value in environment.items() if _KEPT.fullmatch(name)}


def run(
    scheduler: Scheduler,
    words: Sequence[str],
    timeout_s: float = TIMEOUT_S,
    tolerant: bool = False,
    with_errors: bool = False,
) -> str:
    """Return what a program of the scheduler writes to standard output, behind it its standard error where wanted.

    tolerant: whatever its exit code. Raises SchedulerBusy where it does not answer or cannot just now, SetupError with
    its own words where it is missing or refuses.
    """
    try:
        done = subprocess.run(
            list(words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            env={**small(os.environ), "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SchedulerBusy(f"{scheduler.TITLE} does not answer: {words[0]} took more than {timeout_s:g} s") from None
    except FileNotFoundError:
        raise SetupError(
            f"{scheduler.TITLE} is not here: there is no program {words[0]}; use a computer that submits jobs (a login "
            "node), or load the module that has it"
        ) from None
    except OSError as error:
        raise SetupError(f"{words[0]} cannot be started: {error.strerror}") from None
    out, complaint = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    if done.returncode != 0 and not tolerant:
        said = in_one_sentence(complaint or out) or f"exit code {done.returncode}"
        busy = any(sign.lower() in said.lower() for sign in scheduler.BUSY)
        raise (SchedulerBusy if busy else SetupError)(f"{scheduler.TITLE} refuses ({words[0]}): {said}")
    return out + complaint if with_errors else out


def in_one_sentence(complaint: str) -> str:
    """Return a program's complaint in one line, without the program's name on each."""
    lines = (_PROGRAM.sub("", line.strip()) for line in complaint.splitlines())
    return "; ".join(line for line in lines if line)[:MOST_WORDS]
