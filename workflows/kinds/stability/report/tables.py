"""The tables of a report, as plain rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.parts.volumes.ladder import Ladder, Rung
from megabar.workflows.report.values import flat, measured
from megabar.workflows.store import CalculationRecord

_EXTRAPOLATED = 1.1


@dataclass(frozen=True)
class CalculationRow:
    """One calculation of a study with what came of it; ``record`` is None where it has not ended.

    volume_A3: asked for (Å³/atom).
    """

    rung: Rung
    volume_A3: float
    settings: Mapping[str, Any]
    code: str
    version: str
    record: CalculationRecord | None

    @property
    def state(self) -> str:
        """``done``, ``failed``, ``left`` (its phase) or ``open``."""
        return self.record.state if self.record else "open"


def calculation_rows(
    plan: StabilityPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> list[CalculationRow]:
    """Return every calculation that a study asked for, phase by phase, from the largest volume to the smallest."""
    order = {ladder.phase: number for number, ladder in enumerate(plan.ladders)}
    parsed = [rung for each in rungs if (rung := Rung.from_dict(each)).phase in order]
    parsed.sort(key=lambda rung: (order[rung.phase], rung.kind != "main", rung.index))
    rows = []
    for rung in parsed:
        ladder, judged = plan.ladder(rung.phase), rung.kind == "judge" and plan.judge is not None
        method = plan.judge if judged and plan.judge else plan.method
        settings = (ladder.judge_settings or {}) if judged else ladder.settings
        if rung.kind == "reference":
            settings = ladder.reference_settings or {}
        volume = ladder.volume(rung.index)
        rows.append(CalculationRow(rung, volume, settings, method.code, method.version, records.get(rung.key)))
    return rows


def settings_by_phase(ladders: Sequence[Ladder]) -> tuple[dict[str, str], list[str], dict[str, list[str]]]:
    """Return the settings that all phases share, the names of those that differ, and these by phase."""
    flattened = {ladder.phase: flat(ladder.settings) for ladder in ladders}
    names = list(dict.fromkeys(name for settings in flattened.values() for name in settings))
    own = [name for name in names if len({settings.get(name) for settings in flattened.values()}) > 1]
    if "kpoints" in names and "kpoints" not in own:
        own.insert(0, "kpoints")
    first = next(iter(flattened.values()), {})
    shared = {name: first[name] for name in names if name not in own and name != "functional"}
    by_phase = {phase: [settings.get(name, "–") for name in own] for phase, settings in flattened.items()}
    return shared, own, by_phase


@dataclass(frozen=True)
class PhaseRow:
    """What was computed of a phase, and its equation of state (texts; – where there is none)."""

    phase: str
    formula: str
    volumes: str
    range_A3: str
    window: str
    known: str
    space_groups: str
    v0: str
    k0: str
    k0_prime: str
    misfit: str
    pulay: str
    extrapolated: bool
    unstable: bool
    note: str


def phase_rows(answer: StabilityAnswer) -> list[PhaseRow]:
    """Return a row for each phase of a study."""
    rows = []
    for state in answer.states:
        ladder, curve = state.ladder, answer.curve(state.ladder.phase)
        groups = sorted({record.space_group for record in state.done.values() if record.space_group})
        ends = [record.state for record in state.ended.values()]
        without = ((ends.count("failed"), "failed"), (ends.count("left"), "left the phase"))
        v0, k0, k0_prime, misfit, extrapolated = _equation_of_state(curve)
        low, high = ladder.window_GPa
        rows.append(
            PhaseRow(
                phase=ladder.phase,
                formula=ladder.formula,
                volumes=f"{len(state.done)}" + "".join(f" (+{count} {how})" for count, how in without if count),
                range_A3=f"{curve.volumes_A3[0]:.2f} – {curve.volumes_A3[-1]:.2f}" if curve else "–",
                window=f"{low:.0f} – {high:.0f}" if high > low else f"{low:.0f}",
                known=f"{_round(curve.from_GPa)} – {_round(curve.to_GPa)}" if curve else "–",
                space_groups=", ".join(groups) or "–",
                v0=v0,
                k0=k0,
                k0_prime=k0_prime,
                misfit=misfit,
                pulay=_pulay(curve),
                extrapolated=extrapolated,
                unstable=bool(curve and curve.unstable_A3),
                note=ladder.note,
            )
        )
    return rows


def _round(value: float) -> str:
    return measured(value, decimals=0 if abs(value) >= 10 else 1)


def _equation_of_state(curve: EnthalpyCurve | None) -> tuple[str, str, str, str, bool]:
    """Return V0, K0, K0', the misfit (meV/atom) and whether V0 lies far outside the computed volumes."""
    nothing = ("–", "–", "–", "–", False)
    if curve is None or len(curve.points) < 3:
        return nothing
    try:
        fit = curve.eos()
    except (InputError, np.linalg.LinAlgError):
        return nothing
    if not all(map(isfinite, (fit.v0, fit.k0, fit.k0_prime))):
        return nothing
    variances = np.diag(fit.covariance)
    errors = [float(np.sqrt(v)) if isfinite(v) and v > 0 else None for v in variances[1:4]]
    values = (measured(v, e, d) for v, e, d in zip((fit.v0, fit.k0, fit.k0_prime), errors, (2, 1, 2), strict=True))
    v0, k0, k0_prime = values
    far = fit.v0 > _EXTRAPOLATED * float(curve.volumes_A3.max())
    return v0, k0, k0_prime, measured(1000 * fit.rms_eV), far


def _pulay(curve: EnthalpyCurve | None) -> str:
    """Return the Pulay pressure (GPa) at the middle of the computed volumes."""
    if curve is None or len(curve.points) < 3:
        return "–"
    volumes = curve.volumes_A3
    value, error = curve.pulay_pressure(float(np.sqrt(volumes[0] * volumes[-1])))
    return measured(value, error, 2)
