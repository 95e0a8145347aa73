"""Checks of what ld1.x made: it ends with success also where the pseudo-atom is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import SetupError
from megabar.workflows.pseudopotentials.upf import read_upf

EIGENVALUE_RY = 2e-3
PHASE_WINDOW_RY = (-0.5, 1.0)
PHASE_LIMIT = 0.8
"""A ghost state shifts the phase by pi; good pseudo-atoms stay below about 0.3 in this window."""

_LEVEL = re.compile(r"^\s+\d+ \d+\s+\d[A-Z].*\(\s*-?[\d.]+\)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)\s*$", re.MULTILINE)
_TROUBLE = ("Error in routine", "not positive", "warning", "Warning", "WARNING", "ghost", "Errors in")


def check_generation(element: str, folder: Path) -> None:
    """Raise SetupError where ld1.x failed in a folder: error, levels off, ghost state, unreadable UPF file."""
    output = (folder / "ld1.out").read_text(errors="replace")
    where = f"ld1.x made no usable pseudopotential for {element}"
    for line in output.splitlines():
        if any(word in line for word in _TROUBLE):
            raise SetupError(f"{where}: {line.strip()}")
    if "End of pseudopotential test" not in output or not (folder / f"{element}.upf").is_file():
        raise SetupError(f"{where}: its output ends early")
    deviations = [abs(float(row[2])) for row in _LEVEL.findall(output.partition("Testing the pseudo")[2])]
    if not deviations or max(deviations) > EIGENVALUE_RY:
        raise SetupError(f"{where}: its levels are off by {max(deviations, default=np.nan):.4f} Ry")
    shift = max(phase_deviation(folder))
    if shift > PHASE_LIMIT:
        raise SetupError(f"{where}: its scattering phase is off by {shift:.2f}, a sign of a ghost state")
    read_upf(folder / f"{element}.upf")


def phase_deviation(folder: Path) -> list[float]:
    """Return, for each angular momentum, the largest difference of the scattering phases (radians).

    The phase is the arctangent of the logarithmic derivative at ``rlderiv``, known up to multiples of pi. It turns by
    pi at every bound state (and ghost state), and its slope with energy is the charge inside (Friedel sum rule), so
    agreement over a window of energies is transferability. Below the window deep levels turn it faster than the
    energies are spaced; there the levels themselves are compared.
    """
    true, pseudo = (np.loadtxt(folder / name) for name in ("ld1.dlog", "ld1ps.dlog"))
    inside = (true[:, 0] >= PHASE_WINDOW_RY[0]) & (true[:, 0] <= PHASE_WINDOW_RY[1])
    worst = []
    for column in range(1, true.shape[1]):
        difference = _phase(true[inside, column]) - _phase(pseudo[inside, column])
        worst.append(float(np.abs(difference - np.pi * np.round(difference[0] / np.pi)).max()))
    return worst


def _phase(derivative: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.unwrap(2 * np.arctan(derivative)) / 2)
