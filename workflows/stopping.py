"""How a running calculation is told to stop gently: at the end of a job's wall time, or because it was cancelled.

Whoever runs the calculation leaves a file in its folder; the code's calculator looks for it between its
self-consistent steps (or hands it on in the code's own way), keeps what is needed to go on, and raises ``Stopped``.
A stop is no failure: no result is written, and the calculation goes on from there whenever it is run again.
"""

from __future__ import annotations

from pathlib import Path

STOP = "stop"
STOPPED_CODE = 75
"""Exit code of a child process that stopped gently (EX_TEMPFAIL of sysexits.h)."""


class Stopped(BaseException):
    """The calculation was told to stop and has kept what it needs to go on.

    No ``Exception``, so that nothing between the code and the one who told it takes it for a failure.
    """


def ask_to_stop(folder: Path) -> None:
    """Tell the calculation that runs in a folder to stop."""
    (folder / STOP).touch()


def stop_wanted(folder: Path) -> bool:
    """Return whether the calculation in a folder has been told to stop."""
    return (folder / STOP).exists()


def forget_stop(folder: Path) -> None:
    """Take the wish to stop back, before a calculation is run again."""
    (folder / STOP).unlink(missing_ok=True)
