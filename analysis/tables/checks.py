"""Whether the points of a phase can be what they are said to be: H(P) is concave, and its slope is the volume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.units import GPa

from megabar.analysis.curve import Array
from megabar.analysis.tables.fit import LEAST_POINTS, Fit, fit, outlier, smoothed
from megabar.analysis.tables.points import Points
from megabar.analysis.tables.scale import Secants, bounds, in_words, looks_like, secants, suspicious
from megabar.structures.errors import InputError

SCATTER_eV = 0.008
"""How far points may lie off a smooth curve where no uncertainty is given: four times a noise of 2 meV/atom."""
OFF_eV = 0.010
"""A point that is off by less is noise, not a mistake."""
KINK_eV = 0.100
"""Where volumes fall all the same, a point that is off by less may be a change of structure within the phase."""
ROUNDING_eV = 1e-5
"""A volume that grows by less than this over a step is one that stays the same."""
GAIN, LEAST_NOISE_eV = 4.0, 5e-5
"""Log-likelihood that noise must gain over none, and its least size, where the shape alone does not tell it."""


def check_enthalpies(path: Path, points: Points) -> tuple[Points, list[str]]:
    """Return the points of H(P), smooth where they scatter, and what was done; InputError where they are wrong."""
    if len(points.pressures) < 2:
        return points, []
    allowed = float(np.max(_allowed(points)))
    notes = _check_scale(path, points, allowed)
    if len(points.pressures) < LEAST_POINTS:
        found, said = _few(path, points, allowed)
    else:
        fitted = fit(points.pressures, points.enthalpies)
        notes += _check_outlier(path, points, fitted, allowed)
        found, said = _without_scatter(path, points, fitted, allowed)
    _check_volumes(path, found, allowed)
    return found, [*notes, *said]


def check_differences(path: Path, points: Points) -> tuple[Points, list[str]]:
    """The same for enthalpies relative to others, whose slope is a difference of volumes and may bend either way."""
    if len(points.pressures) < 2 or not np.any(points.enthalpies):
        return points, []
    allowed = float(np.max(_allowed(points)))
    _check_volume_differences(path, points, allowed)
    if len(points.pressures) < LEAST_POINTS:
        return points, []
    least = np.full(len(points.pressures), max(KINK_eV, allowed))
    found = fit(points.pressures, points.enthalpies)
    off = outlier(points.pressures, points.enthalpies, found, least)
    if off is not None:
        raise InputError(_told_outlier(path, points, *off))
    if found.gain < GAIN or not LEAST_NOISE_eV < found.noise_eV < allowed:
        return points, []
    values = smoothed(points.pressures, points.enthalpies, found, falling=False)
    return _replaced(points, values)


def _allowed(points: Points) -> Array:
    """Return how far each point may lie off a smooth curve (eV), by its own uncertainty where that is given."""
    given = np.nan_to_num(points.uncertainties, nan=0.0)
    return np.maximum(4 * given, max(SCATTER_eV, 2 * points.rounding_eV))


def _check_scale(path: Path, points: Points, allowed: float) -> list[str]:
    """Refuse numbers that as a whole cannot be eV per atom and GPa; say where they are unusual."""
    found = secants(points.counts, points.pressures, points.enthalpies)
    low, high = bounds(found)
    beyond = np.where(found.volumes < low, low - found.volumes, np.maximum(found.volumes - high, 0.0))
    wrong = beyond * found.step * GPa > 0.1 * allowed
    middle = float(np.average(found.volumes, weights=found.step))
    if found.step[wrong].sum() > 0.5 * found.step.sum() and (beyond * found.step).sum() * GPa > allowed:
        like = looks_like(points.counts, found, points.written, _convex(points) > allowed)
        ends = points.pressures[[0, -1]].tolist()
        raise InputError(
            f"{path}: lines {min(points.lines)} to {max(points.lines)}: phase {points.phase} {in_words(ends)} would "
            f"have the slope dH/dP = {middle:.3g} Å³/atom, which is its volume; its elements have about "
            f"{np.average(found.expected, weights=found.step):.3g}: {like}"
        )
    if suspicious(found):
        like = looks_like(points.counts, found, points.written, convex=False)
        return [
            f"{points.phase} has volumes of {found.ratio:.2g} times those of its elements, which is unusual: check its "
            f"units ({like})"
        ]
    return []


def _check_outlier(path: Path, points: Points, fitted: Fit, allowed: float) -> list[str]:
    off = outlier(points.pressures, points.enthalpies, fitted, np.full(len(points.pressures), max(OFF_eV, allowed)))
    if off is None:
        return []
    if _convex(points) <= allowed and abs(off[1]) < KINK_eV:
        at, by = off
        return [
            f"{points.phase} at {points.pressures[at]:g} GPa lies {1000 * by:+.0f} meV/atom off what its other points "
            "predict: a change of its structure, or a mistake"
        ]
    raise InputError(_told_outlier(path, points, *off))


def _told_outlier(path: Path, points: Points, at: int, by: float) -> str:
    volumes = np.diff(points.enthalpies) / np.diff(points.pressures) / GPa
    return (
        f"{path}: line {points.lines[at]}: phase {points.phase} at {points.pressures[at]:g} GPa is {by:+.3f} eV/atom "
        f"off what its other points predict (the slope dH/dP would be {volumes[at - 1]:.3g} Å³/atom below and "
        f"{volumes[at]:.3g} above that pressure); mend that row or leave it out"
    )


def _bends(points: Points) -> Array:
    """Return by how much each point between others lies below the line through its neighbours (eV), shape (n − 2,)."""
    p, h = points.pressures, points.enthalpies
    share = (p[1:-1] - p[:-2]) / (p[2:] - p[:-2])
    below: Array = h[:-2] + share * (h[2:] - h[:-2]) - h[1:-1]
    return below


def _convex(points: Points) -> float:
    """Return by how much H(P) lies below its least concave majorant at most (eV)."""
    p, h = points.pressures, points.enthalpies
    chain: list[int] = []
    for i in range(len(p)):
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            if (h[b] - h[a]) * (p[i] - p[a]) >= (h[i] - h[a]) * (p[b] - p[a]):
                break
            chain.pop()
        chain.append(i)
    return float(np.max(np.interp(p, p[chain], h[chain]) - h))


def _without_scatter(path: Path, points: Points, found: Fit, allowed: float) -> tuple[Points, list[str]]:
    """Return points whose volume falls with pressure, moved by no more than they may scatter."""
    if np.max(_bends(points)) < ROUNDING_eV and (found.gain < GAIN or found.noise_eV < LEAST_NOISE_eV):
        return points, []
    values = smoothed(points.pressures, points.enthalpies, found, falling=True)
    if np.max(np.abs(points.enthalpies - values)) > allowed:
        raise InputError(_told_convex(path, points))
    return _replaced(points, values)


def _replaced(points: Points, values: Array) -> tuple[Points, list[str]]:
    """Return the points on a smooth curve, and what is said of that."""
    scatter = 1000 * float(np.sqrt(np.mean((points.enthalpies - values) ** 2) * len(values) / (len(values) - 2)))
    closest = int(np.argmin(np.diff(points.pressures)))
    apart = np.diff(points.pressures)[closest]
    close = f"; those at {points.pressures[closest]:g} and {points.pressures[closest + 1]:g} GPa are too close for it"
    return replace(points, enthalpies=values), [
        f"{points.phase}: its points scatter by {scatter:.2g} meV/atom about a smooth H(P), which is taken instead"
        + (close if apart < 0.2 * np.median(np.diff(points.pressures)) else "")
    ]


def _few(path: Path, points: Points, allowed: float) -> tuple[Points, list[str]]:
    """Return few points with those averaged that are too close to each other for a volume."""
    notes = []
    while len(points.pressures) > 2 and np.max(_bends(points)) > ROUNDING_eV:
        at = int(np.argmax(_bends(points)))
        if _bends(points)[at] > allowed:
            raise InputError(_told_convex(path, points))
        steps = np.diff(points.pressures)
        first = at if steps[at] <= steps[at + 1] else at + 1
        pair = [first, first + 1]
        notes.append(
            f"{points.phase}: its points at {points.pressures[pair[0]]:g} and {points.pressures[pair[1]]:g} GPa are "
            f"too close for a scatter of {1000 * _bends(points)[at]:.2g} meV/atom: their mean is taken"
        )
        points = replace(
            points,
            pressures=_merged(points.pressures, first),
            enthalpies=_merged(points.enthalpies, first),
            uncertainties=_merged(points.uncertainties, first),
            lines=points.lines[: first + 1] + points.lines[first + 2 :],
        )
    return points, notes


def _merged(values: Array, first: int) -> Array:
    return np.concatenate([values[:first], [values[first : first + 2].mean()], values[first + 2 :]])


def _told_convex(path: Path, points: Points) -> str:
    at = int(np.argmax(_bends(points)))
    p = points.pressures[at : at + 3].tolist()
    found: Secants = secants(points.counts, points.pressures, points.enthalpies)
    one, two = found.volumes[at : at + 2].tolist()
    like = looks_like(points.counts, found, points.written, convex=True)
    like = f"; {like}" if "energies" in like or "sign" in like else ""
    return (
        f"{path}: line {points.lines[at + 1]}: phase {points.phase}: the slope dH/dP, which is its volume, would be "
        f"{one:.3g} Å³/atom {in_words(p[:2])} but {two:.3g} {in_words(p[1:])}; a volume does not grow with pressure"
        f"{like or '; one of these rows is wrong, or they are not of one phase'}"
    )


def _check_volumes(path: Path, points: Points, allowed: float) -> None:
    """Refuse a stretch whose volume cannot be right, by more than scatter explains."""
    found = secants(points.counts, points.pressures, points.enthalpies)
    low, high = bounds(found)
    beyond = np.maximum(low - found.volumes, found.volumes - high) * found.step * GPa
    at = int(np.argmax(beyond))
    if beyond[at] > allowed:
        raise InputError(
            f"{path}: line {points.lines[at + 1]}: phase {points.phase} {_step(points, at)} would "
            f"have the slope dH/dP = {found.volumes[at]:.3g} Å³/atom, which is its volume; between "
            f"{low[at]:.3g} and {high[at]:.3g} can be right there: mend the rows at these pressures or leave them out"
        )


def _step(points: Points, at: int) -> str:
    return in_words(points.pressures[[at, at + 1]].tolist())


def _check_volume_differences(path: Path, points: Points, allowed: float) -> None:
    """Refuse differences that are larger than the volumes themselves."""
    found = secants(points.counts, points.pressures, points.enthalpies)
    beyond = (np.abs(found.volumes) - bounds(found)[1]) * found.step * GPa
    at = int(np.argmax(beyond))
    if beyond[at] > allowed:
        raise InputError(
            f"{path}: line {points.lines[at + 1]}: phase {points.phase} {_step(points, at)} would "
            f"differ from its elements by {found.volumes[at]:+.3g} Å³/atom, more than their own volume of about "
            f"{found.expected[at]:.3g}: mend the rows at these pressures, or their units"
        )
