"""Where, when and with what the calculations of a study ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from megabar.workflows.report.values import duration
from megabar.workflows.store import CalculationRecord


@dataclass(frozen=True)
class Provenance:
    """Where, when and with what a study's calculations ran."""

    hosts: tuple[str, ...]
    first: str
    last: str
    core_time: str
    peak_memory: str
    versions: tuple[str, ...]


def provenance(records: Sequence[CalculationRecord]) -> Provenance:
    """Return what the calculations say of where, when and with what they ran."""
    said = [record.provenance for record in records]
    times = sorted(str(each["started"]) for each in said if each.get("started"))
    memory = [float(each["peak_memory_MB"]) for each in said if each.get("peak_memory_MB")]
    versions = {
        f"{name} {number}"
        for each in said
        for name, number in {"python": each.get("python", ""), **each.get("packages", {})}.items()
        if number
    }
    return Provenance(
        hosts=tuple(sorted({str(each["host"]) for each in said if each.get("host")})),
        first=_moment(times[0]) if times else "–",
        last=_moment(times[-1]) if times else "–",
        core_time=duration(sum(cpu_seconds(record) or 0.0 for record in records)),
        peak_memory=f"{max(memory):.0f} MB" if memory else "–",
        versions=tuple(sorted(versions)),
    )


def _moment(text: str) -> str:
    """Return a moment as stored (ISO 8601, UTC) to the minute."""
    return f"{text[:16].replace('T', ' ')} UTC"


def cpu_seconds(record: CalculationRecord) -> float | None:
    """Return the core time of a calculation (s), None where it is not known."""
    value = record.provenance.get("cpu_s")
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
