"""The tables of a report as files: curves in the format that ``megabar hull`` reads, every calculation, the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.tables.curve import TabulatedCurve
from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.kinds.stability.report.tables import CalculationRow
from megabar.workflows.report.cells import csv_text
from megabar.workflows.report.documents import document_json
from megabar.workflows.report.provenance import cpu_seconds

_APART_GPA = 0.02
_LEVELS = 33
ENTHALPY_COLUMNS = ("phase", "formula", "pressure_GPa", "enthalpy_eV_per_atom", "uncertainty_eV_per_atom")
CALCULATION_COLUMNS = (
    "phase", "kind", "purpose", "state", "volume_A3_per_atom", "pressure_GPa", "energy_eV_per_atom", "space_group",
    "ionic_steps", "cpu_s", "key", "started_from", "code", "version", "settings", "cause", "detail", "mendings",
    "warnings",
)  # fmt: skip


def enthalpies_csv(answer: StabilityAnswer) -> str:
    """Return every curve at the pressures of the study, at its computed points, its ends and its transitions."""
    rows = []
    for curve in answer.curves:
        pressures = _pressures(answer, curve)
        enthalpy, _, sigma = curve.evaluate(pressures)
        for p, h, s in zip(pressures.tolist(), enthalpy.tolist(), sigma.tolist(), strict=True):
            if isfinite(h):
                rows.append((curve.phase, curve.formula, f"{p:.8g}", f"{h:.9f}", f"{s:.3g}" if isfinite(s) else ""))
    return csv_text(ENTHALPY_COLUMNS, rows)


def _pressures(answer: StabilityAnswer, curve: EnthalpyCurve) -> Any:
    """Return the pressures (GPa) of a curve's rows within the study; of those that nearly coincide the first kind."""
    asked, transitions = answer.plan.pressures_GPa, answer.stability.transitions if answer.stability else ()
    low, high = max(curve.from_GPa, asked[0]), min(curve.to_GPa, asked[-1])
    own = [t.pressure_GPa for t in transitions if curve.phase in t.reaction.phases]
    found: list[float] = []
    for kind in ([low, high], asked, own, curve.pressures_GPa, _between(curve, low, high)):
        for pressure in map(float, kind):
            if low <= pressure <= high and all(abs(pressure - p) > _APART_GPA for p in found):
                found.append(pressure)
    # Rounded as they are written, so that H belongs to the pressure in the file.
    written = np.array([float(f"{p:.8g}") for p in sorted(found)])
    return np.clip(written, curve.from_GPa, curve.to_GPa)


def _between(curve: EnthalpyCurve, low: float, high: float) -> Any:
    """Return pressures (GPa) at equal steps of ln V: without them H is lost between the first, far-off pressures."""
    if high <= low:
        return []
    span = high - low
    fine = low + span * np.linspace(0.0, 1.0, 400) ** 3
    volume = curve.volume(fine)
    fine, volume = fine[np.isfinite(volume)], np.log(volume[np.isfinite(volume)])
    levels = np.linspace(volume[0], volume[-1], _LEVELS)
    return np.interp(-levels, -volume, fine)


def table_csv(curves: Sequence[TabulatedCurve]) -> str:
    """Return the points of the curves of a table as they were understood: per atom, in GPa and eV."""
    rows = [
        (curve.phase, curve.formula, f"{p:.8g}", f"{h:.9f}", f"{s:.3g}" if isfinite(s) else "")
        for curve in curves
        for p, h, s in zip(
            curve.pressures_GPa.tolist(), curve.enthalpies_eV.tolist(), curve.uncertainties_eV.tolist(), strict=True
        )
    ]
    return csv_text(ENTHALPY_COLUMNS, rows)


def calculations_csv(rows: Sequence[CalculationRow]) -> str:
    """Return every calculation with its key, settings and result."""
    return csv_text(CALCULATION_COLUMNS, [_calculation(row) for row in rows])


def _calculation(row: CalculationRow) -> tuple[Any, ...]:
    record = row.record
    common = (row.rung.phase, row.rung.kind, row.rung.purpose, row.state)
    origin = (
        row.rung.key,
        " ".join(row.rung.starts),
        row.code,
        row.version,
        json.dumps(dict(row.settings), sort_keys=True),
    )
    if record is None:
        return (*common, f"{row.volume_A3:.6f}", *[""] * 5, *origin, *[""] * 4)
    volume = record.volume_A3_per_atom if record.volume_A3_per_atom is not None else row.volume_A3
    return (
        *common,
        _number(volume, 6),
        _number(record.pressure_GPa, 4),
        _number(record.energy_eV_per_atom, 8),
        record.space_group or "",
        "" if record.ionic_steps is None else record.ionic_steps,
        _number(cpu_seconds(record), 2),
        *origin,
        record.cause or "",
        record.detail or "",
        "; ".join(record.mendings),
        "; ".join(record.warnings),
    )


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None or not isfinite(value) else f"{value:.{decimals}f}"


def answer_json(answer: StabilityAnswer) -> str:
    """Return the answer as JSON; what is not a number is null there."""
    return document_json(answer.json())
