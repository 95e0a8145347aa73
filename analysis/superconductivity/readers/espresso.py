"""α²F and λ of Quantum ESPRESSO's post-processing: ``alpha2F.dat``, ``lambda.dat`` (lambda.x), ``a2F.dosN`` (matdyn.x).

Formats, from lambda.f90 and matdyn.f90 (a2Fdos) of PHonon:

- ``alpha2F.dat``: a heading ``# E(THz)`` with the smearings (Ry), then ω/2π in THz and α²F at each, ten to a line.
- ``lambda.dat``: smearing (Ry), λ as the sum over modes, λ as the integral, ω_log (K), N(E_F) per spin, Ry and cell.
- ``a2F.dosN``: ω in Ry, α²F, α²F by mode; at the end ``lambda = … Delta = …``. The smearing number N stands, with
  its value in Ry, in the file ``lambda`` beside it. Modes with negative ω² are left out by matdyn.x itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from megabar.analysis.superconductivity.checks import LOBES, check_lambda
from megabar.analysis.superconductivity.readers.reading import Reading, Variant, of_stable_modes, own_unit, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, numbers, read_text, rows
from megabar.analysis.superconductivity.smearing import choose
from megabar.analysis.superconductivity.units import MEV_PER_RY
from megabar.structures.errors import InputError

CODE = "Quantum ESPRESSO"
_HEADING = "# E(THz)"
_FOOTER = re.compile(rf"lambda\s*=\s*({NUMBER})\s+Delta", re.IGNORECASE)
_BROADENING = re.compile(rf"Broadening\s+({NUMBER})\s+lambda\s+({NUMBER})\s+dos\(Ef\)\s*({NUMBER})")
_NO_NUMBER = (
    "λ is not a number at {smearing:g} Ry: lambda.x fails so where Γ has modes below 0; "
    "give the folder with the per-q files (elph.inp_lambda.*, dyn*) instead"
)


@dataclass(frozen=True)
class LambdaRow:
    """A line of lambda.dat. lambda_: sum over modes; lambda_integral: 2∫α²F/ω; dos_per_Ry: per spin and cell."""

    smearing_Ry: float
    lambda_: float
    lambda_integral: float
    omega_log_K: float
    dos_per_Ry: float


def is_alpha2f_dat(text: str) -> bool:
    """Whether a text is alpha2F.dat of lambda.x."""
    return text.lstrip().startswith(_HEADING)


def is_lambda_dat(text: str) -> bool:
    """Whether a text is lambda.dat of lambda.x."""
    return re.match(r"\s*# degauss\s+lambda\s+int alpha2F", text) is not None


def is_a2f_dos(text: str) -> bool:
    """Whether a text is a2F.dosN of matdyn.x."""
    return "Eliashberg function a2F" in text[:200]


def is_matdyn_lambda(text: str) -> bool:
    """Whether a text is the file ``lambda`` of matdyn.x."""
    return "Electron-phonon coupling constant, lambda" in text[:200] and _BROADENING.search(text) is not None


def read_lambda_dat(path: Path) -> tuple[LambdaRow, ...]:
    """Read lambda.dat; InputError where it is no such file, λ is no number or N(E_F) is 0."""
    table = rows(read_text(path), path, 5)
    found = tuple(LambdaRow(*(float(value) for value in row[:5])) for row in table)
    for row in found:
        if not (isfinite(row.lambda_) and isfinite(row.omega_log_K)):
            raise InputError(f"{path}: {_NO_NUMBER.format(smearing=row.smearing_Ry)}")
        if row.dos_per_Ry <= 0:
            raise InputError(
                f"{path}: N(E_F) is {row.dos_per_Ry:g} at {row.smearing_Ry:g} Ry: no states at the Fermi level, an "
                "insulator has no α²F"
            )
    return found


def read_alpha2f_dat(path: Path, unit: str | None = None) -> Reading:
    """Read alpha2F.dat, one variant a smearing; each is held against lambda.dat of the same folder where it is."""
    own = own_unit(str(path), "lambda.x", "THz", unit)
    smearings, table = _columns(path)
    beside = path.parent / "lambda.dat"
    stated = read_lambda_dat(beside) if beside.is_file() else ()
    if stated and len(stated) != len(smearings):
        raise InputError(
            f"{path}: {len(smearings)} smearings, but {beside} has {len(stated)}: they are of different runs"
        )
    found = []
    for place, smearing in enumerate(smearings):
        dos = stated[place].dos_per_Ry / MEV_PER_RY * 1e3 if stated else None
        source = f"{path} (smearing {smearing:g} Ry)"
        one = variant(
            table[:, 0],
            table[:, 1 + place],
            source,
            f"{smearing:.3f} Ry",
            own,
            smearing_Ry=smearing,
            dos_per_eV=dos,
            most_negative=LOBES,
        )
        if stated:
            check_lambda(one.spectrum.lambda_, stated[place].lambda_, f"{source} with {beside.name}")
        found.append(one)
    notes = () if stated else ("there is no lambda.dat beside it to hold λ against",)
    return _with_choice(path, tuple(found), notes)


def _columns(path: Path) -> tuple[list[float], np.ndarray]:
    """Return the smearings and the table; lambda.x breaks both after ten columns."""
    lines = read_text(path).splitlines()
    headings = [line for line in lines if line.lstrip().startswith("#")]
    smearings = [float(word) for line in headings for word in re.findall(NUMBER, line.split(")", 1)[-1])]
    values: list[float] = []
    for count, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        row = numbers(line)
        if row is None:
            raise InputError(f"{path}: line {count}: {line.strip()[:60]!r} is no row of numbers")
        values += row
    width = len(smearings) + 1
    if not smearings or not values or len(values) % width:
        raise InputError(
            f"{path}: {len(values)} numbers do not make rows of a frequency and {len(smearings)} values: is the "
            "file cut off?"
        )
    return smearings, np.array(values, float).reshape(-1, width)


def read_a2f_dos(path: Path, unit: str | None = None) -> Reading:
    """Read a2F.dosN: this and those of the other smearings beside it, each held against the λ at its end."""
    own = own_unit(str(path), "matdyn.x", "Ry", unit)
    numbered = re.fullmatch(r"(.*?)(\d+)", path.name)
    known = _broadenings(path.parent)
    if numbered is None or not known:
        return Reading(str(path), CODE, (_of_dos(path, own, None, None),))
    found: list[Variant] = []
    chosen = 0
    for number, (smearing, dos) in enumerate(known, start=1):
        each = path.parent / f"{numbered.group(1)}{number}"
        if each.is_file():
            chosen = len(found) if number == int(numbered.group(2)) else chosen
            found.append(_of_dos(each, own, smearing, dos))
    why = f"the file asked for; {found[chosen].label}"
    return Reading(str(path), CODE, tuple(found), chosen, why)


def _of_dos(path: Path, unit: str, smearing_Ry: float | None, dos_per_Ry: float | None) -> Variant:
    text = read_text(path)
    stated = _FOOTER.search(text)
    if stated is None:
        raise InputError(f"{path}: it does not end with the line `lambda = … Delta = …`: matdyn.x was interrupted")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#") and "lambda" not in line]
    table = rows("\n".join(lines), path)
    omega, alpha2f, said = of_stable_modes(table[:, 0], table[:, 1], str(path), unit)
    if table[0, 0] < 0:
        said += (
            f"the phonons of this calculation go down to {table[0, 0] * MEV_PER_RY:.3g} meV; matdyn.x leaves imaginary "
            "ones out of α²F (the per-q files tell what they would have carried)",
        )
    label = f"{smearing_Ry:.3f} Ry" if smearing_Ry else path.name
    dos = dos_per_Ry / MEV_PER_RY * 1e3 if dos_per_Ry else None
    one = variant(omega, alpha2f, str(path), label, unit, smearing_Ry=smearing_Ry, dos_per_eV=dos, notes=said)
    check_lambda(one.spectrum.lambda_, float(stated.group(1)), str(path))
    return one


def _broadenings(folder: Path) -> list[tuple[float, float]]:
    """Return smearing (Ry) and N(E_F) of each number of matdyn.x's file ``lambda``, or nothing where there is none."""
    beside = folder / "lambda"
    if not beside.is_file():
        return []
    found = [(float(smearing), float(dos)) for smearing, _, dos in _BROADENING.findall(read_text(beside))]
    for smearing, dos in found:
        if dos <= 0:
            raise InputError(f"{beside}: N(E_F) is {dos:g} at {smearing:g} Ry: an insulator has no α²F and no Tc")
    return found


def _with_choice(path: Path, found: tuple[Variant, ...], notes: tuple[str, ...]) -> Reading:
    """Choose the smearing at which λ depends least on it."""
    pairs = [(each.smearing_Ry or 0.0, each.spectrum.lambda_) for each in found]
    choice = choose([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return Reading(str(path), CODE, found, choice.place, choice.why, notes + choice.notes, choice.around)
