"""What ph.x says at its end, and the files that it writes for one q-point."""

from __future__ import annotations

from pathlib import Path

from megabar.workflows.codes.espresso.output import error_message
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.files import text_of_file
from megabar.workflows.mending.phonons import CAUSES
from megabar.workflows.mending.symptoms import cause_of

_LAST_LINES = 25
_GIVEN_UP = "No convergence has been achieved"
_FIELDS, _TENSOR = "End of electric fields calculation", "Dielectric constant in cartesian axis"


def stopped_by_itself(output: Path, code: int) -> bool:
    """Return whether ph.x ended because it was told to, and wrote what it needs to go on."""
    text = text_of_file(output)
    return code > 0 and "JOB DONE" in text and not _given_up(text) and not error_message(text)


def _given_up(text: str) -> bool:
    """Return whether a response did not converge; of that to fields ph.x says nothing, but goes without its result."""
    return _GIVEN_UP in text or (_FIELDS in text and _TENSOR not in text)


def check_phonon(folder: Path, name: str, code: int, number: int) -> None:
    """Raise CalculationFailed unless ph.x finished and converged. name: of the run."""
    output = text_of_file(folder / f"{name}.out")
    errors = text_of_file(folder / "CRASH") + "\n" + text_of_file(folder / "espresso.err")
    said = output + "\n" + errors
    if _given_up(output) or "convergence NOT achieved" in output:
        broken = "NaN" in "".join(line for line in output.splitlines() if "ddv_scf" in line)
        cause = "not-a-number" if broken else "phonon-not-converged"
        raise CalculationFailed(cause, f"ph.x did not converge at q-point {number}")
    error = error_message(said)
    if error:
        raise CalculationFailed(cause_of(error, CAUSES) or cause_of(errors, CAUSES) or "error", error)
    last = "\n".join(output.splitlines()[-_LAST_LINES:]) + "\n" + errors
    signal = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if signal:
        found = cause_of(last, CAUSES)
        cause = found if found in ("out-of-memory", "disk-full") else "killed"
        raise CalculationFailed(cause, f"ph.x was ended by signal {signal} at q-point {number}")
    if code != 0 or "JOB DONE" not in output:
        words = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "(none)")
        cause = cause_of(last, CAUSES) or "incomplete-output"
        raise CalculationFailed(cause, f"ph.x ended with code {code}; last output: {words}")


def phonon_files(folder: Path, number: int) -> dict[str, bytes]:
    """Return the files that ph.x wrote for one q-point, by name; raises CalculationFailed where one is missing."""
    coupling = _read([folder / "elph_dir" / f"elph.inp_lambda.{number}"])
    gamma = sorted((folder / "elph_dir").glob(f"a2Fq2r.*.{number}"))
    return {**dynamics_files(folder, number), **coupling, **{path.name: path.read_bytes() for path in gamma}}


def dynamics_files(folder: Path, number: int) -> dict[str, bytes]:
    """Return the dynamical matrices of one q-point and the list of all q, by the files' names.

    Raises CalculationFailed where one is missing.
    """
    return _read([folder / "dyn0", folder / f"dyn{number}"])


def _read(paths: list[Path]) -> dict[str, bytes]:
    for path in paths:
        if not path.is_file():
            raise CalculationFailed("incomplete-output", f"ph.x wrote no {path.name}")
    return {path.name: path.read_bytes() for path in paths}
