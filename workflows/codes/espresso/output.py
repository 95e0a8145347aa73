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
from megabar.workflows.files import text_of_file
from megabar.workflows.mending.espresso import CAUSES
from megabar.workflows.mending.symptoms import cause_of, scf_cause

XML = Path("out") / "pwscf.save" / "data-file-schema.xml"
_ERROR_BOX = re.compile(r"%{10,}\s*\n(.*?)\n\s*%{10,}", re.DOTALL)
_ERROR_LINE = re.compile(r"Error in routine.*\n?.*")
_NOT_NUMBERS = re.compile(
    r"^(?:!.*total energy|\s*Total force|.*total\s+stress|\s*the Fermi energy is).*(?:NaN|Infinity|\*{3}).*$",
    re.MULTILINE | re.IGNORECASE,
)
"""Lines of the answer in which pw.x wrote no number; what it wrote on the way there does not matter."""
_LAST_LINES = 25
LARGEST_OCCUPATION = 0.005
"""Occupation of the highest band above which bands are lacking (that of aiida-quantumespresso; sodium with five bands
for its nine electrons is 1.2 meV too high, and with six, the highest filled by 0.008, 0.1 µeV)."""


def check_output(folder: Path, returncode: int) -> None:
    """Raise CalculationFailed unless the output in a folder shows a finished, converged self-consistent run.

    returncode: of the process; negative for the signal that ended it, above 128 where a launcher passed it on.
    """
    output = text_of_file(folder / "espresso.pwo")
    errors = text_of_file(folder / "espresso.err") + "\n" + text_of_file(folder / "CRASH")
    said = output + "\n" + errors
    error = error_message(said)
    if error:
        raise CalculationFailed(cause_of(error, CAUSES) or cause_of(errors, CAUSES) or "error", error)
    if "convergence NOT achieved" in output:
        raise CalculationFailed(_scf_cause(output), _line_with(output, "convergence NOT achieved"))
    # Early in the output pw.x only remarks on some of what its errors are about.
    last = "\n".join(output.splitlines()[-_LAST_LINES:]) + "\n" + errors
    signal = -returncode if returncode < 0 else returncode - 128 if 128 < returncode < 160 else 0
    if signal:
        cause = cause_of(last, CAUSES)
        if cause == "out-of-memory":  # the last line may be a shell's, and tell of the signal only
            raise CalculationFailed(cause, f"pw.x was ended by signal {signal}: {_first_words(last, cause)}")
        raise CalculationFailed("killed", f"pw.x was ended by signal {signal}; last output: {_last_line(said)}")
    if returncode != 0:
        cause = cause_of(last, CAUSES)
        raise CalculationFailed(cause or "error", _first_words(errors, cause) or _last_line(said))
    if "JOB DONE" not in output:
        raise CalculationFailed("incomplete-output", f"there is no JOB DONE; last output: {_last_line(output)}")
    for wanted in ("!    total energy", "Total force =", "total   stress", "convergence has been achieved"):
        if wanted not in output:
            raise CalculationFailed("incomplete-output", f"the output has no {wanted.strip('! =')!r}")
    broken = _NOT_NUMBERS.search(output)
    if broken:
        raise CalculationFailed("not-a-number", f"pw.x wrote {' '.join(broken.group().split())!r}")
    occupation = highest_occupation(folder / XML)
    if occupation is not None and occupation > LARGEST_OCCUPATION:
        raise CalculationFailed(
            "too-few-bands", f"the highest of {number_of_bands(folder)} bands is filled by {occupation:.3f}"
        )


def stopped_by_itself(folder: Path) -> bool:
    """Return whether pw.x ended because it was told to, or its own time was over, and wrote what it needs to go on."""
    output = text_of_file(folder / "espresso.pwo")
    told = any(words in output for words in ("Program stopped by user request", "Maximum CPU time exceeded"))
    return told and "JOB DONE" in output and not error_message(output)


def iterations(folder: Path) -> int:
    """Return the number of the last self-consistent iteration that a run finished."""
    return max(0, int(_found(r"iteration #\s*(\d+)\s+ecut", text_of_file(folder / "espresso.pwo")) or 0) - 1)


def number_of_bands(folder: Path) -> int | None:
    """Return the number of bands of a run, None where it did not come so far as to say it."""
    found = _found(r"number of Kohn-Sham states=\s*(\d+)", text_of_file(folder / "espresso.pwo"))
    return int(found) if found else None


def highest_occupation(path: Path) -> float | None:
    """Return the largest occupation of the highest band over all k-points, None where no XML file of pw.x tells it.

    Methfessel-Paxton occupations may be negative, hence without its sign.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    highest = [(each.text or "").split()[-1:] for each in root.iter("occupations") if each.get("size")]
    return max((abs(float(each[0])) for each in highest if each), default=None)


def _scf_cause(output: str) -> str:
    """Return why the self-consistency of an output did not converge."""
    accuracies = re.findall(r"estimated scf accuracy\s*<\s*(\S+) Ry", output)
    threshold = _found(r"convergence threshold\s*=\s*(\S+)", output)
    return scf_cause([_number(each) for each in accuracies], _number(threshold or "nan"))


def _number(word: str) -> float:
    try:
        return float(word.replace("D", "E"))
    except ValueError:
        return float("nan")


def error_message(text: str) -> str:
    """Return what pw.x wrote in its error box, in one line, empty where there is none."""
    box = _ERROR_BOX.search(text)
    match = box.group(1) if box else (_ERROR_LINE.search(text) or [""])[0]
    return " ".join(match.split())


def output_facts(folder: Path) -> dict[str, Any]:
    """Return what a finished run says besides energy, forces and stress.

    ``version``; ``scf_steps``; ``fermi_eV``; ``band_gap_eV`` on the k-points of the run (0 for metals);
    ``total_magnetization_muB`` where spin-polarised.
    """
    output = text_of_file(folder / "espresso.pwo")
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
    gap = band_gap(folder / XML)
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


def _line_with(text: str, words: str) -> str:
    return next((line.strip() for line in text.splitlines() if words in line), words)


def _first_words(text: str, cause: str | None) -> str:
    """Return the first line of a text that tells of a cause."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if cause and cause_of(line, CAUSES) == cause), "")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "(none)")
