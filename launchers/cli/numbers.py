"""Numbers in words: how long something takes, how long ago it was, what it cost."""

from __future__ import annotations

from datetime import datetime


def counted(count: int, what: str) -> str:
    """Return so many of something: "1 job", "2 jobs"."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def spell(seconds: float | None) -> str:
    """Return a time in the largest units that matter, "–" where it is not known."""
    if seconds is None:
        return "–"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{seconds / 86400:.1f} days"


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return f"{spell(max(0.0, seconds))} ago"


def hours(value: float) -> str:
    """Return core-hours with as many digits as matter."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def core_time(seconds: float) -> str:
    """Return what something cost: in core-hours, what is short in core-seconds."""
    if seconds >= 360:
        return f"{hours(seconds / 3600)} core-h"
    return f"{seconds:.0f} core-s" if seconds >= 10 else f"{seconds:.2g} core-s"


def moment(when: datetime | str | None) -> str:
    """Return a moment in this computer's time, to the second; "" where it is not known."""
    if not when:
        return ""
    known = datetime.fromisoformat(when) if isinstance(when, str) else when
    return known.astimezone().strftime("%Y-%m-%d %H:%M:%S")
