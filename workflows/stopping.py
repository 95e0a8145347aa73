"""How a running calculation is told to stop gently: at the end of a job's wall time, or because it was cancelled.

Whoever runs the calculation leaves a file in its folder; the code's calculator looks for it between its
self-consistent steps (or hands it on in the code's own way), keeps what is needed to go on, and raises ``Stopped``.
A stop is no failure: no result is written, and the calculation goes on from there whenever it is run again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    avoided: calculations that this worker leaves to others, until when (``time.monotonic()``) and why. left: key of
    the one that it has just left. refused: how many folders in a row could not be used.
    idle: whether the last look for work found none.
    claimed: whether a claim on a calculation may not have been given back.
    planning: whether a study is worked out now, which ``interrupt`` may break off at any place.
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
    avoided: dict[str, tuple[float, str]] = field(default_factory=dict)
    left: str | None = None
    refused: int = 0
    idle: bool = False
    planning: bool = False
    claimed: bool = False

    @property
    def stopping(self) -> bool:
        """Whether the calculation has to stop now."""
        cancelled = self.running is not None and self.running == self.unwanted
        return self.stop or cancelled or time.monotonic() > self.ends - self.patience_s

    @property
    def complaint(self) -> str | None:
        """What keeps this worker from working: the machine or, where it finds nothing else to do, what it leaves."""
        if self.trouble is not None or self.running is not None or not self.idle:
            return self.trouble
        return next((said for _, said in self.avoided.values()), None)

    def leave(self, key: str, said: str, seconds: float) -> None:
        """Leave a calculation to other workers for so long."""
        self.left = key
        self.avoided[key] = (time.monotonic() + seconds, said)

    def to_avoid(self) -> list[str]:
        """Return the calculations that are left to others now."""
        now = time.monotonic()
        self.avoided = {key: each for key, each in self.avoided.items() if each[0] > now}
        return list(self.avoided)

    def interrupt(self) -> None:
        """Stop at once, also in mid-planning: for handlers of signals, which run in the thread that plans."""
        self.stop = True
        if self.planning:
            raise Stopped

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let ``interrupt`` break off the block, which must hold nothing open; raises Stopped where it has to stop."""
        if self.stopping:
            raise Stopped
        try:
            self.planning = True
            yield
        finally:
            self.planning = False

    def reset(self) -> None:
        """Forget what the last calculation left."""
        self.running = self.trouble = self.unfinished = self.unwanted = self.left = None
