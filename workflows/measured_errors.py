"""How far a protocol's numerics move the energy of a transition, as measured.

The rows of measured_errors.json are made by ``benchmarks/protocol_errors.py``: ΔE of a transition at fixed structures
by a code and protocol, less that by its next harder protocol (k-points, smearing, cutoff), and less that by an
all-electron code on the same k-points (atomic data). The standard error of a protocol is the root of the summed mean
squares of the steps that lead from it to the hardest, and of the atomic data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("measured_errors.json")
LADDER, JUDGES = ("fast", "moderate", "precise"), ("elk",)
"""The protocols from the coarsest to the hardest, and the all-electron codes that judge atomic data."""
FEWEST = 3
"""Transitions that must have been measured before a code's own root mean square is believed."""


@dataclass(frozen=True)
class ProtocolError:
    """The standard error (eV/atom) of ΔH that a protocol's numerics make, and how it is known.

    measured: False where the code itself was not measured: then it is the largest of the codes that were.
    """

    error_eV: float
    transitions: int
    measured: bool
    source: str


def protocol_error(code: str, protocol: str, polymorphs: bool) -> ProtocolError | None:
    """Return the error of a transition between polymorphs, or of a reaction, by a code and protocol.

    Where a code has fewer than ``FEWEST`` measured transitions the largest of the other codes' is taken. None where
    no code has any.
    """
    rows = _rows()
    own = _root_mean_square(rows, code, protocol, polymorphs)
    if own is not None:
        error, count = own
        return ProtocolError(error / 1000, count, True, f"root mean square over {count} transitions of {code}")
    others = {each["code"] for each in rows} - {code}
    known = {other: found for other in others if (found := _root_mean_square(rows, other, protocol, polymorphs))}
    if not known:
        return None
    worst = max(known, key=lambda other: known[other][0])
    error, count = known[worst]
    return ProtocolError(error / 1000, count, False, f"{code} was not measured: that of {worst}, the largest known")


def _root_mean_square(
    rows: Sequence[Mapping[str, Any]], code: str, protocol: str, polymorphs: bool
) -> tuple[float, int] | None:
    """Return the error (meV/atom) by a code's own rows and from how many transitions it follows; None: too few."""
    own = [each for each in rows if each["code"] == code and each["polymorphs"] == polymorphs]
    steps = {against: [each for each in own if each["against"] == against] for against in (*LADDER[1:], *JUDGES)}
    # What is left beyond the hardest protocol is at most half of what the last step moved.
    shares = dict.fromkeys(LADDER[LADDER.index(protocol) + 1 :], 1.0) or {LADDER[-1]: 0.5}
    first = next(iter(shares))
    if min(len(steps[name]) for name in (first, *JUDGES)) < FEWEST:
        return None
    parts = [share * _rms(steps[name]) for name, share in shares.items() if steps[name]]
    return math.hypot(*parts, *(_rms(steps[name]) for name in JUDGES)), len(steps[first])


def _rms(rows: Sequence[Mapping[str, Any]]) -> float:
    return math.sqrt(sum(float(each["difference_meV_per_atom"]) ** 2 for each in rows) / len(rows))


def rows_of(code: str) -> list[dict[str, Any]]:
    """Return the measured differences of a code (``difference_meV_per_atom``), as stored."""
    return [dict(each) for each in _rows() if each["code"] == code]


def remember(rows: Iterable[Mapping[str, Any]]) -> None:
    """Add measured differences to the file; one of the same transition, code, protocol and reference is replaced."""
    _rows.cache_clear()  # another process may have added some
    kept = {_identity(each): dict(each) for each in _rows()}
    kept |= {_identity(each): dict(each) for each in rows}
    text = ",\n".join(json.dumps(each, ensure_ascii=False) for each in kept.values())
    FILE.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    _rows.cache_clear()


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("transition", "pressure_GPa", "code", "protocol", "against"))


@cache
def _rows() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else ()
