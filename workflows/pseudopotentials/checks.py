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
PHASE_LIMIT = 0.3
"""A ghost state shifts the phase by pi; the pseudo-atoms that we keep stay below 0.1 in this window."""
OVERLAP_FLOOR = 0.12
"""Smallest eigenvalue of the ultrasoft overlap; below 0 pw.x stops, near 0 it converges to nonsense."""

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
    path = folder / f"{element}.upf"
    floor = overlap_floor(path.read_text()) if read_upf(path).kind == "US" else 1.0
    if floor < OVERLAP_FLOOR:
        raise SetupError(f"{where}: its overlap has the eigenvalue {floor:.2f}, it should be above {OVERLAP_FLOOR}")


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


def overlap_floor(text: str) -> float:
    """Return the smallest eigenvalue of 1 + sum q_ij |beta_i><beta_j| of an ultrasoft atom, from its UPF text.

    It must be positive (Vanderbilt, Phys. Rev. B 41, 7892 (1990), doi:10.1103/PhysRevB.41.7892, eq. 14). Outside
    the span of the projectors it is 1, and inside its eigenvalues are those of 1 + B^1/2 q B^1/2 with
    B_ij = <beta_i|beta_j>.
    """
    spacing = _numbers(text, "PP_RAB")
    count = int(re.findall(r'number_of_proj="\s*(\d+)"', text)[0])
    momenta = np.array([int(each) for each in re.findall(r'<PP_BETA\.\d+[^>]*?angular_momentum="\s*(\d)"', text)])
    projectors = np.array([_numbers(text, f"PP_BETA.{index + 1}")[: len(spacing)] for index in range(count)])
    products = (projectors * spacing) @ projectors.T * (momenta[:, None] == momenta)
    values, vectors = np.linalg.eigh(products)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    charges = _numbers(text, "PP_Q").reshape(count, count)
    return float(np.linalg.eigvalsh(np.eye(count) + root @ charges @ root).min())


def _numbers(text: str, tag: str) -> NDArray[np.float64]:
    match = re.search(rf"<{re.escape(tag)}(?: [^>]*)?>(.*?)</{re.escape(tag)}>", text, re.DOTALL)
    if match is None:
        raise SetupError(f"ld1.x wrote a UPF file without {tag}")
    return np.array(match.group(1).split(), dtype=np.float64)
