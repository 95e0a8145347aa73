"""The structure of a phase at a pressure: its volume by the curve of the ladder, tried until it is near enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

import numpy as np

from megabar.analysis.enthalpy import EnthalpyCurve, enthalpy_curve
from megabar.structures.errors import InputError
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.ladder import FINEST, STEP, Ladder, Rung, chain_parents
from megabar.workflows.parts.volumes.phase_state import BRIDGED_LN_VOLUME, volume_point
from megabar.workflows.store import CalculationRecord

Records = Mapping[str, CalculationRecord]
MOST_TRIALS = 3
LEAST_GPA, SHARE = 0.3, 0.01
"""How near the pressure of a structure must come to the one asked for (GPa, or a share of it)."""


def curve_through(ladder: Ladder, keys: Iterable[str], records: Records) -> EnthalpyCurve | None:
    """Return the enthalpy curve of all volumes computed, None where there is none or it makes no sense."""
    done = [records[key] for key in keys if key in records and records[key].done]
    points = {each.volume_A3_per_atom: volume_point(each) for each in done if each.pressure_GPa is not None}
    try:
        return enthalpy_curve(ladder.phase, ladder.formula, list(points.values()), BRIDGED_LN_VOLUME)
    except InputError:
        return None


def settled(
    pressure_GPa: float, tried: Iterable[str], records: Records, curve: EnthalpyCurve | None = None
) -> CalculationRecord | None:
    """Return the structure that a pressure is computed at: near enough, or the nearest after all trials.

    tried: keys of the structures computed for it. curve: of the phase, whose Pulay stress is taken out of the
    pressures; with it the structure at its own volume is near enough, whatever the noise of its stress.
    """
    done = [records[key] for key in tried if key in records and records[key].done]
    known = [record for record in done if record.pressure_GPa is not None]
    if not known:
        return None
    best = min(known, key=lambda record: abs(pressure_of(record, curve) - pressure_GPa))
    enough = abs(pressure_of(best, curve) - pressure_GPa) <= max(LEAST_GPA, SHARE * abs(pressure_GPa))
    return best if enough or len(known) >= MOST_TRIALS or _at_the_volume(best, pressure_GPa, curve) else None


def pressure_of(record: CalculationRecord, curve: EnthalpyCurve | None) -> float:
    """Return the pressure (GPa) of a structure without the Pulay stress that its phase's curve knows of."""
    raw = record.pressure_GPa or 0.0
    if curve is None or record.volume_A3_per_atom is None:
        return raw
    return raw - curve.pulay_pressure(record.volume_A3_per_atom)[0]


def _at_the_volume(record: CalculationRecord, pressure_GPa: float, curve: EnthalpyCurve | None) -> bool:
    """Return whether a structure has the volume of the curve at a pressure, so that another trial would be the same."""
    if curve is None or record.volume_A3_per_atom is None:
        return False
    volume = float(np.asarray(curve.volume(pressure_GPa)))
    return bool(np.isfinite(volume) and abs(np.log(record.volume_A3_per_atom / volume)) < STEP / FINEST)


def trial(
    ladder: Ladder,
    method: Method,
    pressure_GPa: float,
    curve: EnthalpyCurve,
    done: Mapping[Fraction, CalculationRecord],
    tried: Collection[Fraction],
) -> Rung | None:
    """Return a structure at the volume that a curve has at a pressure; None where it has none, or too many failed.

    done: the volumes of the ladder that are there, to start from. tried: those computed for the pressure already.
    """
    volume = float(np.asarray(curve.volume(pressure_GPa)))
    if not np.isfinite(volume) or len(tried) >= MOST_TRIALS:
        return None
    index = ladder.index_at(volume)
    if index in tried:
        return None
    starts = tuple(done[each].key for each in chain_parents(index, done)) if ladder.relaxation else ()
    return Rung(ladder.phase, index, ladder.calculation(method, index, starts).key, starts, "structure")
