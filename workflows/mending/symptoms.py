"""Causes of failures, their symptoms in words, and how a cause is recognised from what a code says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

SYMPTOMS = {
    "scf-slow": "the self-consistency approaches its threshold, but not within the steps allowed",
    "scf-not-converged": "the self-consistency does not converge",
    "charge-sloshing": "charge sloshes: the error of the density rises as often as it falls",
    "phonon-not-converged": "the response to a displacement does not converge",
    "not-a-number": "a value is not finite",
    "wrong-charge": "the density integrates to a wrong number of electrons",
    "diagonalization-failed": "the diagonalisation of the Hamiltonian fails",
    "overlap-not-positive": "the overlap matrix is not positive definite",
    "too-few-bands": "the highest band is occupied, or there are fewer bands than electrons fill",
    "fermi-level": "the Fermi level is not found",
    "symmetry-error": "symmetry operations that do not fit the cell, the atoms or the k-points",
    "restart-damaged": "a file to go on from is not as it was left, or is refused",
    "grid-changed": "a density or wavefunctions of another grid or number of k-points: the cell has changed",
    "too-many-processes": "more processes or pools than k-points or grid planes",
    "mpi-failed": "MPI does not start, or loses a process",
    "out-of-memory": "memory is short",
    "disk-full": "files cannot be written: the disk is full",
    "killed": "the program is killed by a signal",
    "incomplete-output": "the program ends without a word",
    "cell-factor-too-small": "the cell shrinks during a run of pw.x beyond its cell_factor",
    "atoms-too-close": "atoms lie on top of each other",
    "cannot-start": "the program cannot be started",
    "input-refused": "the code refuses its input",
    "pseudopotential-unreadable": "the code cannot read a pseudopotential",
    "error": "an error that is not known here",
}
"""Cause: its symptom, as reports and docs/mending.md say it."""

RECOGNISED_ONLY = {
    "killed": "no property of the calculation: the worker starts it again, afresh, three times in all",
    "disk-full": "no property of the calculation: the worker waits until there is room (pw.x first tries with less)",
    "cell-factor-too-small": "cannot happen here: ASE relaxes at fixed volume, and each step is a run of its own",
    "atoms-too-close": "the structure is wrong",
    "cannot-start": "the configuration or the machine is wrong",
    "input-refused": "a mistake of ours, or another version of the code",
    "pseudopotential-unreadable": "the file is wrong",
}
"""Causes for which there is no mending, and why."""

LEAST_STEPS = 6
STEADY = 0.02
"""Decades by which a step of a slow but steady self-consistency reduces the error at least."""


def cause_of(text: str, table: Iterable[tuple[str, str]]) -> str | None:
    """Return the cause whose words come first in a table of (words, cause), None where the text has none of them."""
    return next((cause for words, cause in table if words in text), None)


def scf_cause(errors: Sequence[float], threshold: float) -> str:
    """Return why a self-consistency that was given up did not converge, from its errors step by step.

    errors: estimates of the same quantity as the threshold. It is slow where the second half falls steadily enough to
    reach the threshold within twice as many steps again, and sloshes where a third of its steps or more go up.
    """
    if any(math.isnan(each) for each in errors):
        return "not-a-number"
    known = [math.log10(each) for each in errors if 0 < each < math.inf]
    half = known[len(known) // 2 :]
    if len(known) < LEAST_STEPS:
        return "scf-not-converged"
    rising = sum(after > before for before, after in pairwise(half)) / (len(half) - 1)
    slope = (half[0] - half[-1]) / (len(half) - 1)
    if slope > STEADY and (half[-1] - math.log10(threshold)) / slope < 2 * len(known):
        return "scf-slow"
    return "charge-sloshing" if rising >= 1 / 3 else "scf-not-converged"
