"""The part of the smeared total energy that Elk leaves out: its entropy term is zero but for Fermi-Dirac smearing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from ase.io.elk import parse_elk_eigval, parse_elk_kpoints
from numpy.typing import NDArray

from megabar.workflows.codes.interface import CalculationFailed

SPIN = 2


def methfessel_paxton_term(
    eigenvalues_eV: NDArray[np.float64], weights: NDArray[np.float64], fermi_eV: float, width_eV: float
) -> float:
    """Return the generalised entropy term -TS (eV) of first-order Methfessel-Paxton smearing, unpolarised.

    It makes the total energy stationary in the occupations: with x = (E_F - e) / width, each state adds
    width (2 x^2 - 1) exp(-x^2) / (4 sqrt(pi)). Methfessel & Paxton, Phys. Rev. B 40, 3616 (1989),
    doi:10.1103/PhysRevB.40.3616; order 1 of A_n H_2n / 2.

    eigenvalues_eV: (k-points, bands); weights: (k-points,), of sum 1.
    """
    x = (fermi_eV - eigenvalues_eV) / width_eV
    terms = width_eV * (2 * x**2 - 1) * np.exp(-(x**2)) / (4 * math.sqrt(math.pi))
    return float(SPIN * (weights @ terms.sum(axis=1)))


def entropy_term(folder: Path, fermi_eV: float, width_eV: float) -> float:
    """Return the Methfessel-Paxton term (eV) from ``EIGVAL.OUT`` and ``KPOINTS.OUT`` of a finished Elk run."""
    try:
        with (folder / "EIGVAL.OUT").open() as stream:
            eigenvalues = dict(parse_elk_eigval(stream))["eigenvalues"][0]
        with (folder / "KPOINTS.OUT").open() as stream:
            weights = dict(parse_elk_kpoints(stream))["kpoint_weights"]
    except (OSError, AssertionError, ValueError, IndexError, StopIteration, RuntimeError) as error:
        raise CalculationFailed("incomplete-output", f"Elk's eigenvalues cannot be read: {error}") from None
    return methfessel_paxton_term(eigenvalues, weights, fermi_eV, width_eV)
