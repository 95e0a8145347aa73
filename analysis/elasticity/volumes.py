"""Elastic constants of a phase between the volumes where they were computed, as at a temperature its volume is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from megabar.analysis.elasticity.elasticity import Elasticity, elasticity_of
from megabar.analysis.elasticity.tensors import Array
from megabar.structures.errors import InputError

SAME = 1e-4
"""Volumes closer than this part are one."""


def at_volume(found: Sequence[Elasticity], volume_A3_per_atom: float) -> Elasticity:
    """Return the elastic constants of a phase at a volume, interpolated between those at its other volumes.

    Independent constants against ln V: a straight line between two volumes, a monotonic cubic through more. The volume
    of a temperature gives the quasi-static part of what the temperature does (Wang et al., J. Phys.: Condens. Matter
    22, 225404 (2010)); the pressure is that of the static lattice at this volume. Raises InputError beyond the volumes.
    """
    known = sorted(found, key=lambda each: each.volume_A3_per_atom)
    volumes = np.array([each.volume_A3_per_atom for each in known])
    near = np.abs(volumes / volume_A3_per_atom - 1) < SAME
    if near.any():
        return known[int(np.argmax(near))]
    if not known or not volumes[0] < volume_A3_per_atom < volumes[-1]:
        ends = f"{volumes[0]:.3f} to {volumes[-1]:.3f}" if known else "no volume"
        raise InputError(
            f"elastic constants are known at {ends} Å³/atom: {volume_A3_per_atom:.3f} Å³/atom is beyond, and they are "
            "not extrapolated"
        )
    rows = [np.append(each.stiffness.constants_GPa, each.stiffness.pressure_GPa) for each in known]
    *constants, pressure = _interpolated(np.log(volumes), np.array(rows), float(np.log(volume_A3_per_atom)))
    above = int(np.searchsorted(volumes, volume_A3_per_atom))
    worse = max(known[above - 1 : above + 1], key=lambda each: float(np.trace(each.stiffness.covariance_GPa2)))
    stiffness = replace(worse.stiffness, constants_GPa=np.array(constants), pressure_GPa=float(pressure))
    density = known[0].density * volumes[0] / volume_A3_per_atom
    return elasticity_of(stiffness, density, volume_A3_per_atom)


def _interpolated(x: Array, rows: Array, at: float) -> Array:
    """Return rows at a point between those of x, ascending."""
    if len(x) == 2:
        weight = (at - x[0]) / (x[1] - x[0])
        return np.asarray((1 - weight) * rows[0] + weight * rows[1])
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(x, rows)(at))
