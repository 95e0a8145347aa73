"""What pw.x says at its end: whether it finished and converged, and what else is in its output and XML file.

ASE reads energies from interrupted and unconverged runs as if nothing had happened, so this comes first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase.units import Ha

from megabar.workflows.codes.interface import CalculationFailed

_ERROR_BOX = re.compile(r"%{10,}\s*\n(.*?)\n\s*%{10,}", re.DOTALL)
_ERROR_LINE = re.compile(r"Error in routine.*\n?.*")
_CAUSES = (
    ("S matrix not positive definite", "overlap-not-positive"),
    ("problems computing cholesky", "diagonalization-failed"),
    ("too many bands are not converged", "diagonalization-failed"),
    ("eigenvectors failed to converge", "diagonalization-failed"),
    ("some nodes have no k-points", "too-many-processes"),
    ("charge is wrong", "wrong-charge"),
    ("not enough space allocated", "out-of-memory"),
    ("Cannot allocate memory", "out-of-memory"),
    ("allocate", "out-of-memory"),
    ("No space left on device", "disk-full"),
    ("read_upf", "pseudopotential-unreadable"),
    ("readpp", "pseudopotential-unreadable"),
    ("read_namelists", "input-refused"),
    ("lone vector", "symmetry-error"),
)


def check_output(folder: Path, returncode: int) -> None:
    """Raise CalculationFailed unless the output in a folder shows a finished, converged self-consistent run.

    returncode: of the process; negative for the signal that ended it, above 128 where a launcher passed it on.
    """
    output = _text(folder / "espresso.pwo")
    said = output + "\n" + _text(folder / "espresso.err") + "\n" + _text(folder / "CRASH")
    error = error_message(said)
    if error:
        raise CalculationFailed(_cause(error), error)
    if "convergence NOT achieved" in output:
        raise CalculationFailed("scf-not-converged", _line_with(output, "convergence NOT achieved"))
    signal = -returncode if returncode < 0 else returncode - 128 if 128 < returncode < 160 else 0
    if signal:
        raise CalculationFailed("killed", f"pw.x was ended by signal {signal}; last output: {_last_line(said)}")
    if "Maximum CPU time exceeded" in output:
        raise CalculationFailed("walltime", _line_with(output, "Maximum CPU time exceeded"))
    if returncode != 0:
        raise CalculationFailed(_cause(said) if _cause(said) != "error" else "error", _last_line(said))
    if "JOB DONE" not in output:
        raise CalculationFailed("incomplete-output", f"there is no JOB DONE; last output: {_last_line(output)}")
    for wanted in ("!    total energy", "Total force =", "total   stress", "convergence has been achieved"):
        if wanted not in output:
            raise CalculationFailed("incomplete-output", f"the output has no {wanted.strip('! =')!r}")


def error_message(text: str) -> str:
    """Return what pw.x wrote in its error box, in one line, empty where there is none."""
    box = _ERROR_BOX.search(text)
    match = box.group(1) if box else (_ERROR_LINE.search(text) or [""])[0]
    return " ".join(match.split())


def _cause(error: str) -> str:
    return next((cause for words, cause in _CAUSES if words in error), "error")


def output_facts(folder: Path) -> dict[str, Any]:
    """Return what a finished run says besides energy, forces and stress.

    ``version``; ``scf_steps``; ``fermi_eV``; ``band_gap_eV`` on the k-points of the run (0 for metals);
    ``total_magnetization_muB`` where spin-polarised.
    """
    output = _text(folder / "espresso.pwo")
    facts: dict[str, Any] = {"version": _found(r"Program PWSCF v\.(\S+)", output)}
    steps = _found(r"convergence has been achieved in\s+(\d+)", output)
    fermi = _found(r"the Fermi energy is\s+(-?[\d.]+)", output)
    moment = _found(r"total magnetization\s+=\s+(-?[\d.]+)", output)
    symmetries = _found(r"(\d+) Sym\. Ops\.", output)
    if steps:
        facts["scf_steps"] = int(steps)
    if fermi:
        facts["fermi_eV"] = float(fermi)
    if moment:
        facts["total_magnetization_muB"] = float(moment)
    if symmetries:
        facts["symmetry_operations"] = int(symmetries)
    gap = band_gap(folder / "out" / "pwscf.save" / "data-file-schema.xml")
    if gap is not None:
        facts["band_gap_eV"] = gap
    return facts


def band_gap(path: Path) -> float | None:
    """Return the gap (eV) between highest occupied and lowest empty level on the k-points of a run, 0 for metals.

    None where the XML file of pw.x is missing, has no empty band, or is spin-polarised.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    bands = root.find("output/band_structure")
    if bands is None or (bands.findtext("lsda") or "").strip() == "true":
        return None
    occupied = round(float(bands.findtext("nelec") or "nan")) / 2
    levels = np.array([[float(x) for x in (each.text or "").split()] for each in bands.iter("eigenvalues")]) * Ha
    if occupied != int(occupied):
        return 0.0
    if levels.ndim != 2 or levels.shape[1] <= occupied:
        return None
    gap = levels[:, int(occupied)].min() - levels[:, int(occupied) - 1].max()
    return round(max(0.0, float(gap)), 4)


def _found(pattern: str, text: str) -> str | None:
    matches = re.findall(pattern, text)
    return matches[-1] if matches else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _line_with(text: str, words: str) -> str:
    return next((line.strip() for line in text.splitlines() if words in line), words)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "(none)")
