"""Quantum ESPRESSO: what pw.x says when it fails, and what is done about it.

The texts are those of its error messages (versions 6.7 and 7.x: PW/src, LAXlib, KS_Solvers, FFTXlib, Modules) and
of what prints beside it: gfortran's run-time library, Open MPI, MPICH, Slurm. Which changes help is long known: the
"Troubleshooting" of the PWscf User's Guide, and the handlers of aiida-quantumespresso (workflows/pw/base.py).
"""

from __future__ import annotations

import math
from typing import Any

from megabar.workflows.mending.handler import Handler, PathSettings

CODE = ("espresso",)

CAUSES = (
    ("S matrix not positive definite", "overlap-not-positive"),
    ("problems computing cholesky", "overlap-not-positive"),
    ("dpotrf", "overlap-not-positive"),
    ("zpotrf", "overlap-not-positive"),
    ("too many bands are not converged", "diagonalization-failed"),
    ("eigenvectors failed to converge", "diagonalization-failed"),
    ("incorrect eigenvectors", "diagonalization-failed"),
    ("zhegvd failed", "diagonalization-failed"),
    ("dsygvd failed", "diagonalization-failed"),
    ("qr(X, 0) failed", "diagonalization-failed"),
    ("psp <= 0", "diagonalization-failed"),
    ("norm <= 0", "diagonalization-failed"),
    ("sw <= 0", "diagonalization-failed"),
    ("DSYTRI", "charge-sloshing"),
    ("Error in routine broyden", "charge-sloshing"),
    ("negative dr2", "charge-sloshing"),
    ("too few bands", "too-few-bands"),
    ("Too few bands", "too-few-bands"),
    ("cannot bracket Ef", "fermi-level"),
    ("charge is wrong", "wrong-charge"),
    ("starting and expected charges differ", "wrong-charge"),
    ("not orthogonal operation", "symmetry-error"),
    ("is not orthogonal", "symmetry-error"),
    ("symmetry operation is non orthogonal", "symmetry-error"),
    ("Not a group", "symmetry-error"),
    ("lone vector", "symmetry-error"),
    ("Error in routine sym_rho", "symmetry-error"),
    ("Error in routine checkallsym", "symmetry-error"),
    ("invalid number of pools", "too-many-processes"),
    ("some nodes have no k-points", "too-many-processes"),
    ("pools with no k-points", "too-many-processes"),
    ("some processors have no", "too-many-processes"),
    ("some nodes have no", "too-many-processes"),
    ("number of band groups", "too-many-processes"),
    ("larger cell_factor", "cell-factor-too-small"),
    ("Error in routine check_atoms", "atoms-too-close"),
    ("overlapping atoms", "atoms-too-close"),
    ("No space left on device", "disk-full"),
    ("Disk quota exceeded", "disk-full"),
    ("error writing file", "disk-full"),
    ("cannot write record", "disk-full"),
    ("Error in routine write_", "disk-full"),
    ("Error in routine davcio", "restart-damaged"),
    ("Error in routine read_rhog", "restart-damaged"),
    ("Error in routine read_scf", "restart-damaged"),
    ("Error in routine read_wfc", "restart-damaged"),
    ("Error in routine read_xml_file", "restart-damaged"),
    ("Error in routine pw_readfile", "restart-damaged"),
    ("Error in routine potinit", "restart-damaged"),
    ("Error in routine wfcinit", "restart-damaged"),
    ("error reading file", "restart-damaged"),
    ("error opening", "restart-damaged"),
    ("dimensions do not match", "grid-changed"),
    ("inconsistent input dimensions", "grid-changed"),
    ("wrong number of k", "grid-changed"),
    ("Error in routine read_upf", "pseudopotential-unreadable"),
    ("Error in routine readpp", "pseudopotential-unreadable"),
    ("Error in routine read_namelists", "input-refused"),
    ("Error in routine read_cards", "input-refused"),
    ("Error in routine iosys", "input-refused"),
    ("Cannot allocate memory", "out-of-memory"),
    ("cannot allocate", "out-of-memory"),
    ("Error allocating", "out-of-memory"),
    ("Allocation would exceed memory limit", "out-of-memory"),
    ("insufficient virtual memory", "out-of-memory"),
    ("Out Of Memory", "out-of-memory"),
    ("oom-kill", "out-of-memory"),
    ("oom_kill", "out-of-memory"),
    ("std::bad_alloc", "out-of-memory"),
    ("as root", "cannot-start"),
    ("not enough slots available", "mpi-failed"),
    ("ORTE has lost communication", "mpi-failed"),
    ("ORTE was unable to reliably start", "mpi-failed"),
    ("unable to launch", "mpi-failed"),
    ("Unable to create step", "mpi-failed"),
    ("Fatal error in PMPI_", "mpi-failed"),
    ("Fatal error in internal_", "mpi-failed"),
    ("Local abort before MPI_INIT", "mpi-failed"),
    ("MPI_Init", "mpi-failed"),
    ("error in mpi_", "mpi-failed"),
    ("PMIX ERROR", "mpi-failed"),
    ("noticed that process rank", "killed"),
    ("BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "killed"),
    ("Program received signal SIG", "killed"),
)
"""Words of a run that failed, and the cause that they tell of; the first that are there count."""

DEFAULTS: dict[str, Any] = {
    "mixing_beta": 0.5,
    "mixing_mode": "plain",
    "mixing_ndim": 8,
    "electron_maxstep": 100,
    "diagonalization": "david",
    "startingwfc": "atomic+random",
    "disk_io": "low",
    "nosym": False,
    "start": "atoms",
}
"""Path settings that a run begins with. ``start``: ``atoms``, ``density`` or ``stopped`` (see espresso_restart)."""

DIAGONALISATION = ("diagonalization-failed", "overlap-not-positive", "not-a-number")
SELF_CONSISTENCY = ("scf-slow", "scf-not-converged", "charge-sloshing")


def _again(path: PathSettings) -> dict[str, Any] | None:
    return None if path.get("again") else {"again": 1}


def _afresh(path: PathSettings) -> dict[str, Any] | None:
    return None if path["start"] == "atoms" else {"start": "atoms"}


def _more_iterations(path: PathSettings) -> dict[str, Any] | None:
    steps = path["electron_maxstep"]
    return {"electron_maxstep": 3 * steps, "start": "density"} if steps < 300 else None


def _screened(path: PathSettings) -> dict[str, Any] | None:
    if path["mixing_mode"] == "plain":
        return {"mixing_mode": "TF", "mixing_beta": min(path["mixing_beta"], 0.3)}
    return None


def _gentler(path: PathSettings) -> dict[str, Any] | None:
    for beta, steps in ((0.15, 200), (0.05, 400)):
        if path["mixing_beta"] > beta:
            longest = max(steps, path["electron_maxstep"])
            return {
                "mixing_beta": beta,
                "mixing_mode": "local-TF",
                "mixing_ndim": 12,
                "electron_maxstep": longest,
                "start": "atoms",
            }
    return None


def _one_process_algebra(path: PathSettings) -> dict[str, Any] | None:
    return {"ndiag": 1} if path.get("processes") != 1 and path.get("ndiag") != 1 else None


def _random_wavefunctions(path: PathSettings) -> dict[str, Any] | None:
    return {"startingwfc": "random", "start": "atoms"} if path["startingwfc"] != "random" else None


def _conjugate_gradients(path: PathSettings) -> dict[str, Any] | None:
    if path["diagonalization"] == "cg":
        return None
    return {
        "diagonalization": "cg",
        "mixing_beta": min(path["mixing_beta"], 0.3),
        "electron_maxstep": max(path["electron_maxstep"], 150),
    }


def _more_bands(path: PathSettings) -> dict[str, Any] | None:
    bands, electrons = path.get("bands"), path.get("electrons")
    if not bands or not electrons or bands > 1.5 * electrons + 10:
        return None
    least = math.ceil(max(0.6 * electrons, 0.5 * electrons + 4))
    return {"nbnd": max(least, math.ceil(1.3 * bands) + 2)}


def _without_symmetry(path: PathSettings) -> dict[str, Any] | None:
    return {"nosym": True, "start": "atoms"} if not path["nosym"] else None


def _one_pool(path: PathSettings) -> dict[str, Any] | None:
    return {"pools": 1} if path.get("pools", 1) > 1 else None


def _fewer_processes(path: PathSettings) -> dict[str, Any] | None:
    processes = path.get("processes") or 1
    return {"processes": processes // 2} if processes > 1 else None


def _less_memory(path: PathSettings) -> dict[str, Any] | None:
    return {"mixing_ndim": 4, "diagonalization": "cg"} if path["mixing_ndim"] > 4 else None


def _less_on_disk(path: PathSettings) -> dict[str, Any] | None:
    return {"disk_io": "none", "start": "atoms"} if path["disk_io"] != "none" else None


HANDLERS = (
    Handler("run again", CODE, ("mpi-failed", "incomplete-output"), "nothing: the machine may have hiccuped", _again),
    Handler(
        "started afresh",
        CODE,
        (
            "restart-damaged",
            "grid-changed",
            "scf-not-converged",
            "charge-sloshing",
            *DIAGONALISATION,
            "wrong-charge",
            "fermi-level",
            "incomplete-output",
            "disk-full",
            "error",
        ),
        "files of the run before are removed; the density starts as that of the atoms",
        _afresh,
    ),
    Handler(
        "more iterations", CODE, ("scf-slow",), "three times as many steps, from the density reached", _more_iterations
    ),
    Handler("screened mixing", CODE, ("charge-sloshing",), "Thomas-Fermi screening in the mixing", _screened),
    Handler(
        "gentler mixing",
        CODE,
        (*SELF_CONSISTENCY, "not-a-number", "wrong-charge"),
        "mixing_beta 0.15, then 0.05, with local Thomas-Fermi screening, a longer history and more steps",
        _gentler,
    ),
    Handler(
        "linear algebra on one process",
        CODE,
        DIAGONALISATION,
        "-ndiag 1, where there are several",
        _one_process_algebra,
    ),
    Handler("random wavefunctions to start", CODE, DIAGONALISATION, "startingwfc", _random_wavefunctions),
    Handler("conjugate gradients", CODE, DIAGONALISATION, "diagonalization cg: slow and sure", _conjugate_gradients),
    Handler("more bands", CODE, ("too-few-bands", "fermi-level"), "a third more bands, up to three times", _more_bands),
    Handler(
        "without symmetry",
        CODE,
        ("symmetry-error",),
        "nosym: the same grid of k-points, not reduced by symmetry",
        _without_symmetry,
    ),
    Handler("one pool", CODE, ("too-many-processes", "out-of-memory"), "-nk 1", _one_pool),
    Handler("fewer processes", CODE, ("too-many-processes",), "half as many, again and again", _fewer_processes),
    Handler("smaller work arrays", CODE, ("out-of-memory",), "conjugate gradients, short mixing history", _less_memory),
    Handler("less on disk", CODE, ("disk-full",), "pw.x writes no files to go on from", _less_on_disk),
)
