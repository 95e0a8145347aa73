"""ph.x: what it says when it fails, and what is done about it.

The texts are those of its error messages (versions 6.7 and 7.x: PHonon/PH, LR_Modules), besides those that it shares
with pw.x. Nothing here changes thresholds, grids or smearings.
"""

from __future__ import annotations

from typing import Any

from megabar.workflows.mending.espresso import CAUSES as OF_PW
from megabar.workflows.mending.handler import Handler, PathSettings

NAME = "ph.x"
CODE = (NAME,)

CAUSES = (
    ("No convergence has been achieved", "phonon-not-converged"),
    ("|ddv_scf|^2 =        NaN", "not-a-number"),
    ("from broyden", "phonon-not-converged"),
    ("wrong representation", "symmetry-error"),
    ("unknown mode symmetry", "symmetry-error"),
    ("wrong classes", "symmetry-error"),
    ("q-mesh breaks symmetry", "symmetry-error"),
    ("no symmetry relates q", "symmetry-error"),
    ("FFT grid incompatible with symmetry", "symmetry-error"),
    ("Error in routine read_control_ph", "restart-damaged"),
    ("Error in routine read_status_ph", "restart-damaged"),
    ("Error in routine check_initial_status", "restart-damaged"),
    ("Error in routine phq_readin", "input-refused"),
    *((words, "phonon-not-converged" if "broyden" in words else cause) for words, cause in OF_PW),
    ("Fortran runtime error", "restart-damaged"),
)
"""Words of a run that failed, and the cause that they tell of; the first that are there count."""

DEFAULTS: dict[str, Any] = {
    "alpha_mix": 0.7,
    "nmix_ph": 4,
    "diagonalization": "david",
    "search_sym": True,
    "more_bands": 1.0,
    "start": "kept",
}
"""Path settings that a run begins with. ``start``: ``kept``: from what the run before left where that is whole, or
``afresh``."""


AFRESH = 2
"""Value of ``again`` once it was started afresh; ``start`` is taken back as soon as that is done, this is not."""


def _again(path: PathSettings) -> dict[str, Any] | None:
    return None if path.get("again") else {"again": 1}


def _afresh(path: PathSettings) -> dict[str, Any] | None:
    return None if path.get("again") == AFRESH else {"start": "afresh", "again": AFRESH}


def _gentler(path: PathSettings) -> dict[str, Any] | None:
    following = next((each for each in (0.3, 0.1) if each < path["alpha_mix"]), None)
    return None if following is None else {"alpha_mix": following, "nmix_ph": 5}


def _without_mode_symmetry(path: PathSettings) -> dict[str, Any] | None:
    return {"search_sym": False} if path["search_sym"] else None


def _conjugate_gradients(path: PathSettings) -> dict[str, Any] | None:
    return {"diagonalization": "cg"} if path["diagonalization"] != "cg" else None


def _more_bands(path: PathSettings) -> dict[str, Any] | None:
    factor = round(path["more_bands"] * 1.5, 2)
    return {"more_bands": factor} if factor < 3 else None


def _one_pool(path: PathSettings) -> dict[str, Any] | None:
    return {"pools": 1} if path["pools"] > 1 else None


def _fewer_processes(path: PathSettings) -> dict[str, Any] | None:
    return {"processes": path["processes"] // 2, "pools": 1} if (path["processes"] or 1) > 1 else None


HANDLERS = (
    Handler(
        "run again",
        CODE,
        ("mpi-failed", "incomplete-output"),
        "nothing: the machine may have hiccuped",
        _again,
    ),
    Handler(
        "gentler mixing",
        CODE,
        ("phonon-not-converged", "not-a-number"),
        "after 50 iterations: alpha_mix 0.3, then 0.1, with the longest history; representations that are done stay",
        _gentler,
    ),
    Handler(
        "without analysis of the modes",
        CODE,
        ("symmetry-error",),
        "search_sym: symmetry labels of the modes are not looked for",
        _without_mode_symmetry,
    ),
    Handler(
        "conjugate gradients",
        CODE,
        ("diagonalization-failed", "overlap-not-positive"),
        "diagonalization cg for the bands at k and k+q: slow and sure",
        _conjugate_gradients,
    ),
    Handler(
        "more bands",
        CODE,
        ("too-few-bands", "fermi-level"),
        "half as many bands again, up to 2.25 times; the ground state is computed anew beside the q-point",
        _more_bands,
    ),
    Handler("one pool", CODE, ("too-many-processes", "out-of-memory"), "-nk 1", _one_pool),
    Handler(
        "fewer processes",
        CODE,
        ("too-many-processes", "out-of-memory"),
        "half as many, again and again",
        _fewer_processes,
    ),
    Handler(
        "started afresh",
        CODE,
        (
            "restart-damaged",
            "grid-changed",
            "not-a-number",
            "wrong-charge",
            "charge-sloshing",
            "diagonalization-failed",
            "overlap-not-positive",
            "symmetry-error",
            "incomplete-output",
            "error",
        ),
        "all that ph.x left is removed; the ground state is copied again",
        _afresh,
    ),
)
