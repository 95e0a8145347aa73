"""Command lines of parallel programs: how many processes they ask for, and the same with fewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PROCESS_FLAGS = ("-n", "-np", "--np", "--ntasks")
"""Flags that mpirun, mpiexec, srun, aprun and their kind name the number of processes with."""
POOL_FLAGS = ("-nk", "-npool", "-npools")
ALGEBRA_FLAGS = ("-nd", "-ndiag", "-northo", "-nproc_diag", "-nproc_ortho")


def number_after(words: Sequence[str], flags: Sequence[str]) -> int | None:
    """Return the whole number that the last of some flags has in a command line, None where none has one."""
    found = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, _, joined = word.partition("=")
        value = joined or following
        if flag in flags and value.isdigit():
            found = int(value)
    return found


def processes(launch: Sequence[str]) -> int | None:
    """Return the number of processes of a parallel launch: 1 without one, None where it does not say."""
    return number_after(launch, PROCESS_FLAGS) if launch else 1


def with_number(words: Sequence[str], flags: Sequence[str], number: int) -> tuple[str, ...]:
    """Return a command line with another number after each of some flags."""
    changed = list(words)
    for place, word in enumerate(words):
        flag, equals, _ = word.partition("=")
        if flag not in flags:
            continue
        if equals:
            changed[place] = f"{flag}={number}"
        elif place + 1 < len(words) and words[place + 1].isdigit():
            changed[place + 1] = str(number)
    return tuple(changed)


def with_option(words: Sequence[str], flags: Sequence[str], number: int) -> tuple[str, ...]:
    """Return a command line with a flag set to a number, appended under its first name where it is not there."""
    if number_after(words, flags) is None:
        return (*words, flags[0], str(number))
    return with_number(words, flags, number)


def division(launch: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Return the path settings by which a program is divided: ``processes`` (None: not said) and ``pools``."""
    return {"processes": processes(launch), "pools": number_after(words, POOL_FLAGS) or 1}


def divided(launch: Sequence[str], words: Sequence[str], path: Mapping[str, Any]) -> list[str]:
    """Return a command behind its launcher, both with the numbers of the path settings: see ``division``.

    ``ndiag``, where it is set: processes of the linear algebra.
    """
    if path["processes"] and path["processes"] != processes(launch):
        launch = with_number(launch, PROCESS_FLAGS, path["processes"])
    if path["pools"] != (number_after(words, POOL_FLAGS) or 1):
        words = with_option(words, POOL_FLAGS, path["pools"])
    if path.get("ndiag"):
        words = with_option(words, ALGEBRA_FLAGS, path["ndiag"])
    return [*launch, *words]
