"""Ctrl-C: always heard, answered at once, and a second one is more urgent. Standard library only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

CODE = 130
STOPPED = "megabar: stopped; the same command goes on from here"
IMPORTING = "<frozen importlib._bootstrap>"
SHOW_CURSOR = "\x1b[?25h"


def _write(text: str) -> None:
    """Write a line to standard error past Python's buffers, which the interrupted code may be filling."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode("ascii", "replace"))


@dataclass
class _Hearing:
    """What was heard, and what an end waits for: sentences, the innermost last, with how they are said."""

    count: int = 0
    waits: list[tuple[str, Callable[[str], None]]] = field(default_factory=list)


_hearing = _Hearing()


def listen() -> None:
    """Hear SIGINT from now on, also where a script's ``&`` or ``trap`` left it ignored for this process."""
    signal.signal(signal.SIGINT, _on_interrupt)


@contextmanager
def waiting_for(what: str, say: Callable[[str], None] = _write) -> Iterator[None]:
    """Have a first Ctrl-C within the block say what its end waits for, before it interrupts.

    say: prints a line; called wherever the interrupt falls.
    """
    _hearing.waits.append((what, say))
    try:
        yield
    finally:
        _hearing.waits.pop()


def answer() -> None:
    """Say what an end waits for; the second time leave at once: nothing needs more than a kill -9 would leave."""
    _hearing.count += 1
    if _hearing.count > 1:
        leave()
    if _hearing.waits:
        what, say = _hearing.waits[-1]
        say(f"megabar: Ctrl-C was heard: {what}; a second one ends at once")


def leave() -> None:
    """End now, whatever goes on."""
    _write((SHOW_CURSOR if os.isatty(2) else "") + STOPPED)
    os._exit(CODE)


def _on_interrupt(_number: int, frame: FrameType | None) -> None:
    answer()
    if _imports(frame):  # a half-made module would be told as a fault of its own
        leave()
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False
