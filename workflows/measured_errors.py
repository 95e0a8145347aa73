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


def protocol_error(code: str, protocol: str, elements: Collection[str], judged: bool = False) -> ProtocolError | None:
    """Return the error of a transition between phases of some elements, by a code and protocol.

    The error belongs to the elements more than to the structures: at one protocol sodium's transitions are right within
    2 meV/atom and those of oxides at 500 GPa within 30. So it follows from the measured transitions that have no other
    elements, where there are ``FEWEST`` of them; with fewer, from these, from all of the code, or from what another
    code has for these elements, whichever is largest: k-points and smearing err alike in all codes, and one that was
    measured for simple metals knows nothing of oxides. A code without any has the largest error of the others.
    elements: those of the study. judged: the atomic data were compared with a judge's for the transition itself, so
    that their part is left out. None where no code has any.
    """
    judges = () if judged else JUDGES
    near = _of_elements(code, protocol, elements, judges)
    if near is not None:
        return near
    found = _of_code(code, protocol, elements, judges)
    others = {str(each["code"]) for each in _rows()} - {code}
    pairs = [(other, _of_elements(other, protocol, elements, judges)) for other in others]
    if found is None:
        # Neither what is like it nor all together says enough of another code: the larger of both.
        pairs += [(other, _of_code(other, protocol, asked, judges)) for other in others for asked in (elements, ())]
    known = [(other, error) for other, error in pairs if error is not None]
    if not known:
        return found
    worst, error = max(known, key=lambda each: each[1].error_eV)
    if found is None:
        source = f"{code} was not measured: that of {worst}, the largest known"
    elif error.error_eV > found.error_eV:
        source = f"{error.source} by {worst}; {code} has fewer"
    else:
        return found
    return ProtocolError(error.error_eV, error.transitions, False, source)


def _of_elements(code: str, protocol: str, elements: Collection[str], judges: Sequence[str]) -> ProtocolError | None:
    """Return the error by a code's rows of some elements, None where it has too few."""
    shared = _root_mean_square(_near(code, elements), protocol, judges, FEWEST)
    if shared is None:
        return None
    like = f"transitions with {', '.join(sorted(elements))}"
    return ProtocolError(shared[0] / 1000, shared[1], True, f"root mean square over {shared[1]} {like}")


def _of_code(code: str, protocol: str, elements: Collection[str], judges: Sequence[str]) -> ProtocolError | None:
    """Return the error by all rows of a code or by the one of some elements, None where it has too few."""
    own = [each for each in _rows() if each["code"] == code]
    whole = _root_mean_square(own, protocol, judges, FEWEST)
    if whole is None:
        return None
    single = _root_mean_square(_near(code, elements), protocol, judges, 1)
    if single is not None and single[0] > whole[0]:
        like = f"transitions with {', '.join(sorted(elements))}"
        return ProtocolError(single[0] / 1000, single[1], True, f"of the one measured of the {like}")
    return ProtocolError(whole[0] / 1000, whole[1], True, f"root mean square over {whole[1]} transitions of all kinds")


def _near(code: str, elements: Collection[str]) -> list[Mapping[str, Any]]:
    return [each for each in _rows() if each["code"] == code and set(each["elements"]) <= set(elements)]


def _root_mean_square(
    rows: Sequence[Mapping[str, Any]], protocol: str, judges: Sequence[str], fewest: int
) -> tuple[float, int] | None:
    """Return the error (meV/atom) by some rows of one code, and from how many transitions; None: too few.

    Where no step above a protocol was measured, half of what the step to the hardest one moved is taken to be left, of
    a harder one half of that. A step between that has too few rows leaves the whole unknown.
    """
    steps = {name: [each for each in rows if each["against"] == name] for name in (*LADDER[1:], *JUDGES)}
    known = [name for name in LADDER[1:] if len(steps[name]) >= fewest]
    if not known or any(len(steps[name]) < fewest for name in judges):
        return None
    above = LADDER[LADDER.index(protocol) + 1 : LADDER.index(known[-1]) + 1]
    if any(name not in known for name in above):
        return None
    if above:
        parts, count = [_rms(steps[name]) for name in above], len(steps[above[0]])
    else:
        harder = LADDER.index(protocol) - LADDER.index(known[-1]) + 1
        parts, count = [_rms(steps[known[-1]]) / 2**harder], len(steps[known[-1]])
    return math.hypot(*parts, *(_rms(steps[name]) for name in judges)), count


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
