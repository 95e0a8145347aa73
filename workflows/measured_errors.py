"""How far a protocol's numerics move the energy of a transition, as measured.

The rows of measured_errors.json are made by ``benchmarks/protocol_errors.py``: ΔE of a transition at fixed structures
by a code and protocol, less that by its next harder protocol (k-points, smearing, cutoff), and less that by an
all-electron code on the same k-points (atomic data). The standard error of a protocol is the root of the summed mean
squares of the steps that lead from it to the hardest, and of the atomic data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("measured_errors.json")
LADDER, JUDGES = ("fast", "moderate", "precise"), ("elk",)
"""The protocols from the coarsest to the hardest, and the all-electron codes that judge atomic data."""
FEWEST = 2
"""Transitions that must have been measured before their root mean square is believed."""


@dataclass(frozen=True)
class ProtocolError:
    """The standard error (eV/atom) of ΔH that a protocol's numerics make, and how it is known.

    measured: False where the code itself was not measured: then it is the largest of the codes that were.
    """

    error_eV: float
    transitions: int
    measured: bool
    source: str


def protocol_error(code: str, protocol: str, elements: Collection[str]) -> ProtocolError | None:
    """Return the error of a transition between phases of some elements, by a code and protocol.

    The error belongs to the elements more than to the structures: at one protocol sodium's transitions are right within
    2 meV/atom and those of oxides at 500 GPa within 30. So it follows from the measured transitions that share an
    element, where there are ``FEWEST`` of them, else from all of the code; where that has too few, from the code with
    the largest. None where no code has any.
    """
    rows = _rows()
    own = [each for each in rows if each["code"] == code]
    near = [each for each in own if set(each["elements"]) & set(elements)]
    for chosen, what in ((near, f"transitions with {', '.join(sorted(elements))}"), (own, "transitions of all kinds")):
        found = _root_mean_square(chosen, protocol)
        if found is not None:
            error, count = found
            return ProtocolError(error / 1000, count, True, f"root mean square over {count} {what}")
    others = {each["code"] for each in rows} - {code}
    known = {
        other: found
        for other in others
        if (found := _root_mean_square([each for each in rows if each["code"] == other], protocol))
    }
    if not known:
        return None
    worst = max(known, key=lambda other: known[other][0])
    error, count = known[worst]
    return ProtocolError(error / 1000, count, False, f"{code} was not measured: that of {worst}, the largest known")


def _root_mean_square(rows: Sequence[Mapping[str, Any]], protocol: str) -> tuple[float, int] | None:
    """Return the error (meV/atom) by some rows of one code, and from how many transitions; None: too few."""
    steps = {name: [each for each in rows if each["against"] == name] for name in (*LADDER[1:], *JUDGES)}
    known = [name for name in LADDER[1:] if len(steps[name]) >= FEWEST]
    above = [name for name in known if LADDER.index(name) > LADDER.index(protocol)]
    if not known or min(len(steps[name]) for name in JUDGES) < FEWEST:
        return None
    if above:
        parts, count = [_rms(steps[name]) for name in above], len(steps[above[0]])
    else:
        # Of the hardest that was measured half of what its step moved is left at most, of a harder one half of that.
        harder = LADDER.index(protocol) - LADDER.index(known[-1]) + 1
        parts, count = [_rms(steps[known[-1]]) / 2**harder], len(steps[known[-1]])
    return math.hypot(*parts, *(_rms(steps[name]) for name in JUDGES)), count


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
