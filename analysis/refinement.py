"""Where a study should compute next: volumes between computed ones, further steps of a ladder, uncovered windows.

Pure logic on enthalpy curves and distances above the hull: coarse ladders in the windows where phases are known,
then volumes only where the uncertainty matters for the hull. Errors and margins are in eV/atom, pressures in GPa.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
End = Literal["low", "high"]
ENDS: tuple[End, End] = ("low", "high")

# A typical compression law where nothing better is known: K = K_typical + 4 P (Murnaghan with K' = 4).
_TYPICAL_K_GPa, _TYPICAL_K_PRIME = 50.0, 4.0
# Rounding of distances computed elsewhere.
_ON_HULL_eV = 1e-7
LEAST_CHANGE = 0.2
"""Part of the resolution by which a phase must change its place over the next step to be followed."""
# Noise that a curve finds in itself is believed from this many points on; with fewer it may be interpolation error.
_POINTS_TO_KNOW_NOISE = 6


@dataclass(frozen=True)
class VolumeToAdd:
    """A volume worth computing in the middle (in ln V) of a ladder interval.

    above_A3, below_A3: the computed neighbours; pressure_GPa: about where it lies; uncertainty_eV: the largest σ(H)
    in the interval where it matters; reason: one clause for the report.
    """

    phase: str
    volume_A3: float
    above_A3: float
    below_A3: float
    pressure_GPa: float
    uncertainty_eV: float
    reason: str


@dataclass(frozen=True)
class EndToExtend:
    """A ladder that must go on: the phase competes at the end of its computed window.

    from_A3: the last computed volume there; volume_A3: the next of the ladder; pressure_GPa: of the end reached.
    """

    phase: str
    end: End
    from_A3: float
    volume_A3: float
    pressure_GPa: float
    reason: str


@dataclass(frozen=True)
class Gap:
    """An end of an asked window that a curve does not reach, and the volume (Å³/atom) guessed to lie at that end."""

    end: End
    known_to_GPa: float
    asked_GPa: float
    volume_A3: float


def volumes_to_add(
    curves: Sequence[EnthalpyCurve],
    distance_above_hull: ArrayLike,
    pressures_GPa: ArrayLike,
    target_eV: float = 1e-3,
    near_eV: float = 5e-3,
    sigmas: float = 2.0,
    crossing_error_GPa: float | None = None,
    windows: Mapping[str, tuple[float, float]] | None = None,
    smallest_step: float = 0.02,
) -> list[VolumeToAdd]:
    """Return the intervals of the ladders that deserve a volume in their middle, the most uncertain first.

    distance_above_hull: shape (n_phases, n_pressures), eV/atom, 0 on the hull, nan where the phase has no data.
    A phase matters where it lies within ``near_eV`` plus ``sigmas`` uncertainties (its own and that of the phases on
    the hull) of the hull; there σ must not exceed ``target_eV``. With ``crossing_error_GPa``, σ(H) of the phases on
    the hull or crossing it must also not move a crossing by more than that. ``windows`` limits phases to pressures
    (GPa); intervals shorter than ``smallest_step`` in ln V are never halved.
    Raises InputError where the shapes disagree.
    """
    p, distance = _grid(curves, distance_above_hull, pressures_GPa)
    sigma = np.array([curve.uncertainty(p) for curve in curves]).reshape(distance.shape)
    hull_sigma = _hull_sigma(distance, sigma)
    matters = distance <= near_eV + sigmas * np.hypot(sigma, hull_sigma)
    allowed = np.full(distance.shape, target_eV)
    why = np.full(distance.shape, "its uncertainty matters for the hull", dtype=object)
    if crossing_error_GPa is not None:
        tight = _crossing_tolerance(distance, p, crossing_error_GPa)
        why[tight < allowed] = "its uncertainty moves a transition pressure"
        allowed = np.minimum(allowed, tight)
    found = []
    for i, curve in enumerate(curves):
        low, high = (windows or {}).get(curve.phase, (-np.inf, np.inf))
        usable = matters[i] & (p >= low) & (p <= high)
        for j, covered in _intervals(curve, p, smallest_step):
            here = np.flatnonzero(usable & covered)
            if here.size == 0:
                continue
            worst = here[int(np.argmax(sigma[i, here] / allowed[i, here]))]
            peak = max(_peak_sigma(curve, j, p[here], low, high), float(sigma[i, worst]))
            exceeded = peak > target_eV or sigma[i, worst] > allowed[i, worst]
            if exceeded and peak > _noise(curve, j):
                found.append(_middle(curve, j, peak, str(why[i, worst])))
    return sorted(found, key=lambda item: -item.uncertainty_eV)


def ends_to_extend(
    curves: Sequence[EnthalpyCurve],
    distance_above_hull: ArrayLike,
    pressures_GPa: ArrayLike,
    from_GPa: float,
    to_GPa: float,
    near_eV: float = 5e-3,
    sigmas: float = 2.0,
    step: float = 0.2,
) -> list[EndToExtend]:
    """Return the ends of ladders, inside the study's pressures, where the phase still competes for the hull.

    A phase is computed only where it is known; when at the end of that window it is on the hull, or within
    ``near_eV`` plus ``sigmas`` uncertainties of it, the ladder goes on by ``step`` in ln V. So it does when no
    pressure of the grid lies in the window, as then nothing is known. Distances as in `volumes_to_add`.
    """
    p, distance = _grid(curves, distance_above_hull, pressures_GPa)
    sigma = np.array([curve.uncertainty(p) for curve in curves]).reshape(distance.shape)
    hull_sigma = _hull_sigma(distance, sigma)
    found = []
    for i, curve in enumerate(curves):
        known = np.flatnonzero(~np.isnan(distance[i]))
        for end in ENDS:
            at = curve.from_GPa if end == "low" else curve.to_GPa
            if (end == "low" and at <= from_GPa) or (end == "high" and at >= to_GPa):
                continue
            reason = "no pressure of the grid lies in its computed window"
            if known.size:
                k = known[0] if end == "low" else known[-1]
                beyond = _distance_at_end(distance[i, known], p[known], end, at)
                if beyond > near_eV + sigmas * np.hypot(sigma[i, k], hull_sigma[k]):
                    continue
                reason = f"{1e3 * beyond:.1f} meV/atom above the hull at {at:.0f} GPa, where its window ends"
            last = float(curve.volumes_A3[0 if end == "low" else -1])
            volume = last * float(np.exp(step if end == "low" else -step))
            found.append(EndToExtend(curve.phase, end, last, volume, at, reason))
    return found


def matters_beyond(
    curve: EnthalpyCurve, polymorphs: Sequence[EnthalpyCurve], end: End, resolution_eV: float, step: float = 0.2
) -> bool:
    """Return whether a phase that is close to the hull at an end of its data may matter beyond it.

    It does where none of the other phases of its composition (``polymorphs``) is known there, and where it is lower
    than all of them by the resolution (eV/atom). Within the resolution what is ahead decides, over the next step of
    ln V: it matters where it falls against the lowest of them, or is about to cross it. Where it stays level or rises
    nothing would be learnt: it is another one's twin (cI16 sodium relaxes into bcc), or has had its day.
    """
    at = float(curve.pressures_GPa[0] if end == "low" else curve.pressures_GPa[-1])
    known = [(float(h), float(v)) for h, v in ((o.enthalpy(at), o.volume(at)) for o in polymorphs) if np.isfinite(h)]
    if not known:
        return True
    lowest, volume = min(known)
    margin = float(curve.enthalpy(at)) - lowest
    if margin < -resolution_eV:
        return True
    change = (float(curve.volume(at)) - volume) * GPa * _pressure_of_step(curve, end, step)
    least = LEAST_CHANGE * resolution_eV
    return change < -least or (margin < -least and margin + change > 0.0)


def _pressure_of_step(curve: EnthalpyCurve, end: End, step: float) -> float:
    """Return by how much (GPa) a step of ln V beyond an end moves the pressure; negative at the low end."""
    volumes, pressures = curve.volumes_A3, curve.pressures_GPa
    modulus = _TYPICAL_K_GPa + _TYPICAL_K_PRIME * max(float(pressures[0 if end == "low" else -1]), 0.0)
    if len(volumes) > 1:
        one, other = (0, 1) if end == "low" else (-2, -1)
        secant = float((pressures[other] - pressures[one]) / np.log(volumes[one] / volumes[other]))
        modulus = secant if secant > 0.0 else modulus
    return -modulus * step if end == "low" else modulus * step


def coverage(curve: EnthalpyCurve, from_GPa: float, to_GPa: float) -> tuple[Gap, ...]:
    """Return the ends of the window (GPa) that the curve does not reach, each with a guess of the volume there.

    The guess is by a Vinet fit from three points on, else by a compression law with K' = 4. Empty: all covered.
    Raises InputError where the window is empty.
    """
    if not from_GPa <= to_GPa:
        raise InputError(f"a pressure window goes from low to high, found {from_GPa:g} to {to_GPa:g} GPa")
    gaps = []
    if curve.from_GPa > from_GPa:
        gaps.append(Gap("low", curve.from_GPa, from_GPa, guess_volume(curve, from_GPa)))
    if curve.to_GPa < to_GPa:
        gaps.append(Gap("high", curve.to_GPa, to_GPa, guess_volume(curve, to_GPa)))
    return tuple(gaps)


def guess_volume(curve: EnthalpyCurve, pressure_GPa: float, bulk_modulus_GPa: float | None = None) -> float:
    """Guess the volume (Å³/atom) at a pressure: the curve's own inside, beyond it by extrapolation (see `coverage`).

    bulk_modulus_GPa: of the phase at its end point, where it is known; with two points it follows from them.
    """
    inside = float(curve.volume(pressure_GPa))
    if np.isfinite(inside):
        return inside
    low = pressure_GPa < curve.from_GPa
    volumes, pressures = curve.volumes_A3, curve.pressures_GPa
    if len(volumes) > 2:
        try:
            fitted = curve.eos("vinet").volume(pressure_GPa)
        except InputError:
            fitted = float("nan")
        # An extrapolation must at least go the right way.
        if np.isfinite(fitted) and (fitted > volumes[0] if low else fitted < volumes[-1]):
            return fitted
    v, p = (volumes[0], pressures[0]) if low else (volumes[-1], pressures[-1])
    modulus = bulk_modulus_GPa or _TYPICAL_K_GPa + _TYPICAL_K_PRIME * max(float(p), 0.0)
    if bulk_modulus_GPa is None and len(volumes) > 1:
        one, other = (0, 1) if low else (-2, -1)
        secant = (pressures[other] - pressures[one]) / np.log(volumes[one] / volumes[other])
        # The secant is K in the middle of the interval; K follows the pressure with slope K'.
        secant += _TYPICAL_K_PRIME * (p - 0.5 * (pressures[one] + pressures[other]))
        modulus = max(float(secant), 0.1 * modulus)
    return murnaghan_volume(float(v), float(p), modulus, pressure_GPa)


def murnaghan_volume(volume_A3: float, pressure_GPa: float, bulk_modulus_GPa: float, wanted_GPa: float) -> float:
    """Volume (Å³/atom) at ``wanted_GPa`` from a point and its bulk modulus by K = K₁ + 4 (P − P₁).

    F. D. Murnaghan, PNAS 30, 244 (1944), doi:10.1073/pnas.30.9.244. On expansion at most to 1.5 times the volume.
    """
    ratio = 1.0 + _TYPICAL_K_PRIME * (wanted_GPa - pressure_GPa) / bulk_modulus_GPa
    return volume_A3 * float(max(ratio, 1.5**-_TYPICAL_K_PRIME) ** (-1.0 / _TYPICAL_K_PRIME))


def _grid(curves: Sequence[EnthalpyCurve], distance: ArrayLike, pressures: ArrayLike) -> tuple[Array, Array]:
    p, d = np.asarray(pressures, dtype=float), np.asarray(distance, dtype=float)
    if p.ndim != 1 or d.shape != (len(curves), len(p)) or (np.diff(p) <= 0.0).any():
        raise InputError(
            f"distances above the hull have the shape {d.shape}, expected {(len(curves), p.size)}: one row for each "
            "phase, one column for each of the ascending pressures"
        )
    return p, d


def _distance_at_end(distance: Array, p: Array, end: End, at_GPa: float) -> float:
    """Distance above the hull at the end of a window that lies between grid pressures; never more than on the grid."""
    if end == "low":
        distance, p = distance[::-1], p[::-1]
    if len(p) < 2:
        return float(distance[-1])
    slope = (distance[-1] - distance[-2]) / (p[-1] - p[-2])
    return max(0.0, min(float(distance[-1]), float(distance[-1] + slope * (at_GPa - p[-1]))))


def _hull_sigma(distance: Array, sigma: Array) -> Array:
    """Largest σ(H) of the phases on the hull, at each pressure."""
    on_hull = (np.nan_to_num(distance, nan=np.inf) <= _ON_HULL_eV) & np.isfinite(sigma)
    result: Array = np.where(on_hull, np.nan_to_num(sigma), 0.0).max(axis=0, initial=0.0)
    return result


def _crossing_tolerance(distance: Array, p: Array, error_GPa: float) -> Array:
    """σ(H) (eV) that moves a crossing by ``error_GPa``, at the grid pressures beside crossings; elsewhere infinite.

    A phase crosses where it leaves the hull between two pressures; |d distance/dP| beyond is ΔV of the reaction.
    All phases that are on the hull on either side take part in the reaction, as far as is known here.
    """
    tolerance = np.full(distance.shape, np.inf)
    d = np.nan_to_num(distance, nan=np.inf)
    on = d <= _ON_HULL_eV
    for i, k in zip(*np.nonzero(on[:, 1:] != on[:, :-1]), strict=True):
        off, beyond = (k + 1, k + 2) if on[i, k] else (k, k - 1)
        if not 0 <= beyond < len(p):
            beyond, off = off, (k if on[i, k] else k + 1)
        slope = abs((d[i, beyond] - d[i, off]) / (p[beyond] - p[off]))
        if not np.isfinite(slope):
            continue
        part = on[:, k] | on[:, k + 1]
        for column in (k, k + 1):
            tolerance[part, column] = np.minimum(tolerance[part, column], slope * error_GPa)
    return tolerance


def _intervals(curve: EnthalpyCurve, p: Array, smallest_step: float) -> list[tuple[int, NDArray[np.bool_]]]:
    """Indices of the intervals that may be halved, and the grid pressures that fall in each (the nearest, if none)."""
    volumes, ends, result = curve.volumes_A3, curve.pressures_GPa, []
    for j in range(len(volumes) - 1):
        if np.log(volumes[j] / volumes[j + 1]) < smallest_step:
            continue
        low, high = sorted((ends[j], ends[j + 1]))
        covered = (p >= low) & (p <= high)
        if not covered.any() and p.size and p[0] <= high and p[-1] >= low:
            covered[int(np.argmin(np.abs(p - 0.5 * (low + high))))] = True
        result.append((j, covered))
    return result


def _noise(curve: EnthalpyCurve, j: int) -> float:
    """Noise (eV) of the calculations at both ends of an interval: below it, halving the interval does not help."""
    given = max(point.energy_error_eV for point in curve.points[j : j + 2])
    return float(np.hypot(given, curve.noise_eV if len(curve.points) >= _POINTS_TO_KNOW_NOISE else 0.0))


def _peak_sigma(curve: EnthalpyCurve, j: int, near: Array, low: float, high: float) -> float:
    """Largest σ(H) within the interval near the grid pressures that matter: a coarse grid may miss the peak."""
    start, end = sorted((curve.pressures_GPa[j], curve.pressures_GPa[j + 1]))
    fine = np.linspace(max(start, low), min(end, high), 9)
    reach = (end - start) / 4.0
    fine = fine[(fine >= near.min() - reach) & (fine <= near.max() + reach)]
    sigma = curve.uncertainty(fine)
    return float(np.nanmax(sigma)) if np.isfinite(sigma).any() else 0.0


def _middle(curve: EnthalpyCurve, j: int, sigma: float, reason: str) -> VolumeToAdd:
    above, below = (float(v) for v in curve.volumes_A3[j : j + 2])
    pressure = float(np.mean(curve.pressures_GPa[j : j + 2]))
    return VolumeToAdd(curve.phase, float(np.sqrt(above * below)), above, below, pressure, sigma, reason)
