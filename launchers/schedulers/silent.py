"""What schedulers say of times and limits that cannot be asked for them: nothing."""

from __future__ import annotations

from megabar.launchers.schedulers.interface import Limits


def time_left(identifier: str) -> list[str]:
    """Return nothing: it cannot be asked, and a job of ours knows it by itself."""
    return []


def seconds_left(said: str) -> int | None:
    """Return None."""
    return None


def partition(name: str | None) -> list[str]:
    """Return nothing: sites write their limits in too many ways."""
    return []


def limits(said: str) -> Limits:
    """Return that nothing is known."""
    return Limits()
