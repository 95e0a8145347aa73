"""How a running calculation is told to stop gently: at the end of a job's wall time, or because it was cancelled.

Whoever runs the calculation leaves a file in its folder; the code's calculator looks for it between its
self-consistent steps (or hands it on in the code's own way), keeps what is needed to go on, and raises ``Stopped``.
A stop is no failure: no result is written, and the calculation goes on from there whenever it is run again.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
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


@dataclass
class Control:
    """What a worker wants of the calculation that it runs.

    ends: moment (``time.monotonic()``) at which it must have stopped, infinite where there is none.
    patience_s: how long a gentle stop may take before the calculation is killed.
    idle_s: a calculation that neither computes nor writes for so long hangs; only where all its processes run here.
    silent_s: one that writes nothing for so long hangs.
    stop: whether it has to stop at once. running: key of the calculation that runs now. trouble: what is wrong with
    the machine, found by the last calculation. unfinished: key of the calculation that was stopped or met trouble.
    unwanted: key of a calculation that nobody wants any more, which has to stop where it runs.
    """

    ends: float = math.inf
    patience_s: float = 120.0
    idle_s: float = 900.0
    silent_s: float = 12 * 3600.0
    stop: bool = False
    running: str | None = None
    trouble: str | None = None
    unfinished: str | None = None
    unwanted: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether the calculation has to stop now."""
        cancelled = self.running is not None and self.running == self.unwanted
        return self.stop or cancelled or time.monotonic() > self.ends - self.patience_s

    def reset(self) -> None:
        """Forget what the last calculation left."""
        self.running = self.trouble = self.unfinished = self.unwanted = None
