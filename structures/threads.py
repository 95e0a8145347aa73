"""One thread for the linear algebra of our own work: on matrices of some hundred rows, more of them only spin.

`limit` is for the beginning of a command, before NumPy is there: libraries read the environment when they are loaded,
also those that are loaded later. Where NumPy is there already, those that are loaded are told. What `limit` put into
the environment is not for the programs that we start: `outside` is theirs; a code that runs in this process calls
`release`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping

VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)
OURS = "MEGABAR_THREADS_LIMITED"
"""Variable that names those which the user had not set, for processes that we start and that are ours too."""


def limit() -> None:
    """Let linear algebra in this process, and in ours that it starts, take one thread where the user says nothing else.

    OMP_NUM_THREADS, which says what codes may take, does not count as that; OPENBLAS_NUM_THREADS and the like do.
    """
    os.environ.update(limited(os.environ))
    if "numpy" in sys.modules and not _said(os.environ):
        _tell(1)


def limited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a process of ours."""
    if OURS in environment:
        return dict(environment)
    own = [name for name in VARIABLES if name not in environment]
    return {**environment, **dict.fromkeys(own, "1"), OURS: " ".join(own)}


def outside(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a program that is not ours: without what `limit` put into it.

    But for OMP_NUM_THREADS, which is 1 for codes too where nobody says another number.
    """
    own = {OURS, *environment.get(OURS, "").split()} - {"OMP_NUM_THREADS"}
    return {name: value for name, value in environment.items() if name not in own}


def release(environment: MutableMapping[str, str] | None = None) -> None:
    """Give the threads that the user or the machine's description grants, 1 if they say nothing, to a code in here."""
    environment = os.environ if environment is None else environment
    theirs = outside(environment)
    for name in set(environment) - set(theirs):
        del environment[name]
    if "numpy" in sys.modules and not _said(theirs):
        _tell(_number(theirs.get("OMP_NUM_THREADS", "1")))


def _said(environment: Mapping[str, str]) -> bool:
    """Whether the user says how many threads linear algebra takes."""
    ours = environment.get(OURS, "").split()
    return any(name in environment and name not in ours for name in VARIABLES if name != "OMP_NUM_THREADS")


def _number(text: str) -> int:
    first = text.partition(",")[0].strip()
    return int(first) if first.isdigit() and int(first) > 0 else 1


def _tell(threads: int) -> None:
    """Tell the libraries that are loaded."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
