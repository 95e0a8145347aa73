"""GPAW: what it raises when it fails (names of exceptions and their words, version 26.7), and what is done about it.

Which changes help: GPAW's documentation on convergence (gpaw.readthedocs.io, "Converging the SCF"), and measured here.
"""

from __future__ import annotations

import math
from typing import Any

from megabar.workflows.mending.handler import Handler, PathSettings

CODE = ("gpaw",)

CAUSES = (
    ("TooFewBandsError", "too-few-bands"),
    ("Too few bands", "too-few-bands"),
    ("AtomsTooClose", "atoms-too-close"),
    ("Atoms are too close", "atoms-too-close"),
    ("LinAlgError", "diagonalization-failed"),
    ("did not converge to a solution", "diagonalization-failed"),
    ("not positive definite", "overlap-not-positive"),
    ("ReuseWaveFunctionsError", "grid-changed"),
    ("could not be broadcast together", "grid-changed"),
    ("could not broadcast input array", "grid-changed"),
    ("not as symmetric as your crystal", "symmetry-error"),
    ("SymmetryBrokenError", "symmetry-error"),
    ("Broken symmetry", "symmetry-error"),
    ("SymmetryAnalysisBug", "symmetry-error"),
    ("not a group", "symmetry-error"),
    ("are NaN", "not-a-number"),
    ("infs or NaNs", "not-a-number"),
    ("MemoryError", "out-of-memory"),
    ("Unable to allocate", "out-of-memory"),
    ("Cannot allocate memory", "out-of-memory"),
    ("oom-kill", "out-of-memory"),
    ("Out Of Memory", "out-of-memory"),
    ("No space left on device", "disk-full"),
    ("Disk quota exceeded", "disk-full"),
    ("not enough slots available", "mpi-failed"),
    ("unable to launch", "mpi-failed"),
    ("Unable to create step", "mpi-failed"),
    ("Fatal error in PMPI_", "mpi-failed"),
    ("ORTE has lost communication", "mpi-failed"),
    ("KohnShamConvergenceError", "scf-not-converged"),
)
"""Words of an exception ("name: what it says") or of a dead process, and their cause; the first ones count."""

DEFAULTS: dict[str, Any] = {"mixer": None, "eigensolver": None, "nbands": None, "symmetry": "on", "start": "atoms"}
"""Path settings that a run begins with, besides ``maxiter``, which a study's settings give; None: GPAW's own choice.

``start``: ``atoms``, ``before`` (the wavefunctions of the geometry before) or ``stopped`` (those kept on disk).
"""

DIAGONALISATION = ("diagonalization-failed", "overlap-not-positive")
SELF_CONSISTENCY = ("scf-slow", "scf-not-converged", "charge-sloshing")
MIXERS = (
    {"name": "pulay", "beta": 0.05, "nmaxold": 5, "weight": 50.0},
    {"name": "pulay", "beta": 0.02, "nmaxold": 5, "weight": 100.0},
)
EIGENSOLVERS = ({"name": "davidson", "niter": 4}, {"name": "ppcg"}, {"name": "rmm-diis"})
LONGEST = 600


def _again(path: PathSettings) -> dict[str, Any] | None:
    return None if path.get("again") else {"again": 1}


def _afresh(path: PathSettings) -> dict[str, Any] | None:
    return None if path["start"] == "atoms" else {"start": "atoms"}


def _more_iterations(path: PathSettings) -> dict[str, Any] | None:
    return {"maxiter": 3 * path["maxiter"]} if 3 * path["maxiter"] <= LONGEST else None


def _gentler(path: PathSettings) -> dict[str, Any] | None:
    steps = max(path["maxiter"], 200)
    return next(({"mixer": mixer, "maxiter": steps} for mixer in _after(path["mixer"], MIXERS)), None)


def _other_eigensolver(path: PathSettings) -> dict[str, Any] | None:
    return next(({"eigensolver": each} for each in _after(path["eigensolver"], EIGENSOLVERS)), None)


def _after(present: Any, ladder: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Return what comes after the present entry of a ladder, all of it where the present one is not on it."""
    return ladder[ladder.index(present) + 1 :] if present in ladder else ladder


def _more_bands(path: PathSettings) -> dict[str, Any] | None:
    bands, electrons = path.get("bands"), path.get("electrons")
    if not bands or not electrons or bands > 1.5 * electrons + 10:
        return None
    least = math.ceil(max(0.6 * electrons, 0.5 * electrons + 4))
    return {"nbands": max(least, math.ceil(1.3 * bands) + 2)}


def _without_symmetry(path: PathSettings) -> dict[str, Any] | None:
    return {"symmetry": "off"} if path["symmetry"] == "on" else None


def _less_memory(path: PathSettings) -> dict[str, Any] | None:
    small = {"name": "davidson", "niter": 2, "max_buffer_mem": 20 * 1024**2}
    return {"eigensolver": small} if path["eigensolver"] != small else None


HANDLERS = (
    Handler(
        "run again",
        CODE,
        ("mpi-failed", "incomplete-output"),
        "nothing: the machine may have hiccuped (under a launcher)",
        _again,
    ),
    Handler(
        "started afresh",
        CODE,
        (
            "restart-damaged",
            "grid-changed",
            *SELF_CONSISTENCY,
            *DIAGONALISATION,
            "not-a-number",
            "out-of-memory",
            "error",
        ),
        "wavefunctions of the geometry before, or of the run that was stopped, are let go; atoms start",
        _afresh,
    ),
    Handler("more iterations", CODE, ("scf-slow",), "three times as many steps", _more_iterations),
    Handler(
        "gentler mixing",
        CODE,
        (*SELF_CONSISTENCY, "not-a-number"),
        "Pulay mixing with beta 0.05, then 0.02, long waves damped more, at least 200 steps",
        _gentler,
    ),
    Handler(
        "another eigensolver",
        CODE,
        DIAGONALISATION,
        "Davidson with more steps, then PPCG, then RMM-DIIS",
        _other_eigensolver,
    ),
    Handler("more bands", CODE, ("too-few-bands",), "a third more bands, up to three times", _more_bands),
    Handler(
        "without symmetry",
        CODE,
        ("symmetry-error",),
        "the same grid of k-points, not reduced by the operations of the crystal",
        _without_symmetry,
    ),
    Handler("smaller work arrays", CODE, ("out-of-memory",), "buffers of 20 instead of 200 MB", _less_memory),
)
