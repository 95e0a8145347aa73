"""What `megabar hull` prints of a stability: one JSON document, or the rows of its tables."""

from __future__ import annotations

from typing import Any

from megabar.analysis.hull_points import HullPoint, hull_points, single_pressures
from megabar.analysis.stability import Stability, StableInterval


def stability_json(stability: Stability, at_GPa: float | None = None) -> dict[str, Any]:
    """Return the JSON document of ``megabar hull --json``: plain dictionaries, lists, numbers and strings.

    ``stable``: intervals with ``from_GPa``, ``to_GPa``, ``from_open``, ``to_open`` (true where a bound is the end of
    the data; ``open`` lists these bounds, as ``from`` and ``to``) and ``from_error_GPa``, ``to_error_GPa`` where known.
    ``transitions``: ``pressure_GPa``, ``error_GPa`` where known (all parts together), ``error_parts_GPa``, ``reaction``
    and more; ``resolved`` is false where the error leaves a phase no pressure, absent where that is not known.
    ``at_pressures``, where there are any: the hull at single pressures that no range contains, with ``stable`` and,
    by phase, ``formation_enthalpy_eV_per_atom`` and ``above_hull_eV_per_atom``. With a pressure,
    ``above_hull_eV_per_atom`` by phase there. ``notes``: sentences on what is missing.
    """
    document: dict[str, Any] = {
        "elements": list(stability.elements),
        "stable": [_interval(interval) for interval in stability.intervals],
        "transitions": [
            _known(
                pressure_GPa=transition.pressure_GPa,
                error_GPa=transition.error_GPa,
                error_parts_GPa=dict(transition.error_parts_GPa) or None,
                reaction=transition.reaction.text,
                reaction_of_phases=transition.reaction.phases_text,
                phases=list(transition.reaction.phases),
                delta_volume_A3_per_atom=transition.delta_volume,
                appears=list(transition.appears),
                disappears=list(transition.disappears),
                resolved=transition.resolved,
            )
            for transition in stability.transitions
        ],
    }
    alone = hull_points(stability.curves, single_pressures(stability.curves))
    if alone:
        document["at_pressures"] = [_point(each) for each in alone]
    notes = list(stability.notes)
    if at_GPa is not None:
        above = stability.above_hull(at_GPa)
        document["at_GPa"] = at_GPa
        document["above_hull_eV_per_atom"] = above
        notes += [_absent(stability, curve.phase, at_GPa) for curve in stability.curves if curve.phase not in above]
    document["notes"] = notes
    return document


def _point(point: HullPoint) -> dict[str, Any]:
    return {
        "pressure_GPa": point.pressure_GPa,
        "stable": list(point.stable),
        "formation_enthalpy_eV_per_atom": point.formation_eV,
        "above_hull_eV_per_atom": point.above_eV,
    }


def _interval(interval: StableInterval) -> dict[str, Any]:
    return _known(
        phase=interval.phase,
        formula=interval.formula,
        from_GPa=interval.from_GPa,
        to_GPa=interval.to_GPa,
        from_open=interval.from_open,
        to_open=interval.to_open,
        open=[name for name, is_open in (("from", interval.from_open), ("to", interval.to_open)) if is_open],
        from_error_GPa=interval.from_error_GPa,
        to_error_GPa=interval.to_error_GPa,
    )


def _known(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _absent(stability: Stability, phase: str, pressure: float) -> str:
    """Say why a phase has no height above the hull at a pressure."""
    [curve] = [curve for curve in stability.curves if curve.phase == phase]
    if not curve.from_GPa <= pressure <= curve.to_GPa:
        return (
            f"{phase} has no data at {pressure:g} GPa (known from {curve.from_GPa:g} to {curve.to_GPa:g} GPa) "
            "and is left out there"
        )
    return f"{phase} is left out at {pressure:g} GPa: one of its elements has no phase there"


def stable_rows(stability: Stability) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table of stable phases: phase, formula, from, to (GPa, with errors; open ends marked)."""
    return [
        (
            interval.phase,
            interval.formula,
            _bound(interval.from_GPa, interval.from_open, interval.from_error_GPa, "≤"),
            _bound(interval.to_GPa, interval.to_open, interval.to_error_GPa, "≥"),
        )
        for interval in stability.intervals
    ]


def transition_rows(stability: Stability) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table of transitions: pressure (GPa), reaction, the same by phases, ΔV (Å³/atom)."""
    return [
        (
            _bound(transition.pressure_GPa, False, transition.error_GPa, "")
            + (" (not resolved)" if transition.resolved is False else ""),
            transition.reaction.text,
            transition.reaction.phases_text,
            f"{transition.delta_volume:.3f}",
        )
        for transition in stability.transitions
    ]


def above_hull_rows(stability: Stability, at_GPa: float) -> list[tuple[str, str, str]]:
    """Return the rows of the table at one pressure: phase, formula, height above the hull (meV/atom), lowest first."""
    above = stability.above_hull(at_GPa)
    formula = {curve.phase: curve.formula for curve in stability.curves}
    ordered = sorted(above.items(), key=lambda pair: pair[1])
    return [(phase, formula[phase], f"{height * 1000:.1f}") for phase, height in ordered]


def _bound(pressure: float, is_open: bool, error: float | None, sign: str) -> str:
    if is_open:
        return f"{sign} {pressure:g} (open)"
    return f"{pressure:.1f}" if error is None else f"{pressure:.{_digits(error)}f} ± {error:.{_digits(error)}f}"


def _digits(error: float) -> int:
    """Return the decimals that an error deserves: two digits where it begins with 1, one otherwise, at most three."""
    text = f"{error:.1e}"
    if float(text) == 0:
        return 1
    first, exponent = text[0], int(text.split("e")[1])
    return min(3, max(0, -exponent + (1 if first == "1" else 0)))
