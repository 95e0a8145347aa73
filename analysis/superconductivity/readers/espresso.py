"""α²F and λ of Quantum ESPRESSO's post-processing: ``alpha2F.dat``, ``lambda.dat`` (lambda.x), ``a2F.dosN`` (matdyn.x).

Formats, from lambda.f90 and matdyn.f90 (a2Fdos) of PHonon:

- ``alpha2F.dat``: a heading ``# E(THz)`` (new versions: ``# E (THz)``) with the smearings (Ry), then ω/2π in THz and
  α²F at each, ten to a line (new versions: any number).
- ``lambda.dat``: smearing (Ry), λ as the sum over modes, λ as the integral, ω_log (K), N(E_F) per spin, Ry and cell.
  ``lambda.out``, what lambda.x prints: the same in sentences, and Tc.
- ``a2F.dosN``: ω in Ry, α²F, α²F by mode (in old versions on a second line); at the end ``lambda = … Delta = …``. The
  smearing number N stands, with its value in Ry, in the file ``lambda`` beside it. Modes with negative ω² are left out
  by matdyn.x itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TypeVar

import numpy as np

from megabar.analysis.superconductivity.checks import LOBES, ROUNDING, check_lambda
from megabar.analysis.superconductivity.readers.reading import Reading, Variant, of_stable_modes, own_unit, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, numbers, read_text, rows
from megabar.analysis.superconductivity.smearing import choose
from megabar.analysis.superconductivity.units import MEV_PER_RY
from megabar.structures.errors import InputError

CODE = "Quantum ESPRESSO"
_Place = TypeVar("_Place")
_DOS_NAME = "a2F.dos"
_HEADING = re.compile(rf"\s*#\s*E\s*\(THz\)\s+(?:{NUMBER})")
_PRINTED = re.compile(
    rf"lambda\s*=\s*({NUMBER})\s*\(\s*({NUMBER})\s*\)\s*<log w>\s*=\s*({NUMBER})\s*K\s*N\(Ef\)\s*=\s*({NUMBER})\s*"
    rf"at degauss\s*=\s*({NUMBER})"
)
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
    return _HEADING.match(text) is not None


def is_lambda_dat(text: str) -> bool:
    """Whether a text is lambda.dat of lambda.x."""
    return re.match(r"\s*# degauss\s+lambda\s+int alpha2F", text) is not None


def is_lambda_out(text: str) -> bool:
    """Whether a text is what lambda.x prints."""
    return _PRINTED.search(text) is not None


def is_a2f_dos(text: str) -> bool:
    """Whether a text is a2F.dosN of matdyn.x."""
    return "Eliashberg function a2F" in text[:200]


def is_matdyn_lambda(text: str) -> bool:
    """Whether a text is the file ``lambda`` of matdyn.x."""
    return "Electron-phonon coupling constant, lambda" in text[:200] and _BROADENING.search(text) is not None


def read_lambda_dat(path: Path) -> tuple[LambdaRow, ...]:
    """Read lambda.dat; InputError where it is no such file, λ is no number or N(E_F) is 0."""
    table = rows(read_text(path), path, 5)
    return _checked(path, tuple(LambdaRow(*(float(value) for value in row[:5])) for row in table))


def read_lambda_out(path: Path) -> tuple[LambdaRow, ...]:
    """Read what lambda.x prints, as `read_lambda_dat`."""
    found = [tuple(float(value) for value in row) for row in _PRINTED.findall(read_text(path))]
    return _checked(path, tuple(LambdaRow(row[4], *row[:4]) for row in found))


def _checked(path: Path, found: tuple[LambdaRow, ...]) -> tuple[LambdaRow, ...]:
    """Return the rows; InputError where λ is no number or N(E_F) is 0."""
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

    def one(place: int) -> Variant:
        smearing = smearings[place]
        dos = stated[place].dos_per_Ry / MEV_PER_RY * 1e3 if stated else None
        source = f"{path} (smearing {smearing:g} Ry)"
        omega, value, label = table[:, 0], table[:, 1 + place], f"{smearing:.3f} Ry"
        return variant(omega, value, source, label, own, smearing_Ry=smearing, dos_per_eV=dos, most_negative=LOBES)

    found, said = without_bad(range(len(smearings)), one)
    for each in found if stated else ():
        row = next(row for row, smearing in zip(stated, smearings, strict=True) if smearing == each.smearing_Ry)
        check_lambda(each.spectrum.lambda_, row.lambda_, f"{each.spectrum.source} with {beside.name}")
    notes = () if stated else ("there is no lambda.dat beside it to hold λ against",)
    return _with_choice(path, found, notes + said)


def without_bad(
    places: Iterable[_Place], read: Callable[[_Place], Variant]
) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """Return the variants of a file that can be read, and sentences on those that cannot.

    A small smearing may be spoilt where the others are good. Raises the InputError of the first where all are bad.
    """
    found, failed = [], []
    for place in places:
        try:
            found.append(read(place))
        except InputError as error:
            failed.append(error)
    if not found and failed:
        raise failed[0]
    return tuple(found), tuple(f"left out: {error}" for error in failed)


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
    """Read a2F.dosN: this and those of the other smearings beside it, each held against the λ at its end.

    Others that are damaged are left out, which is said.
    """
    own = own_unit(str(path), "matdyn.x", "Ry", unit)
    numbered = re.fullmatch(r"(.*?)(\d+)", path.name)
    known = _broadenings(path.parent / "lambda")
    asked = None if numbered is None else int(numbered.group(2))
    if numbered is None or asked is None or not 0 < asked <= len(known):
        return Reading(str(path), CODE, (_of_dos(path, own, None, None),))
    chosen = _of_dos(path, own, *known[asked - 1])
    others = [n for n in range(1, len(known) + 1) if n != asked]
    rest, said = _dos_files(path.parent / numbered.group(1), own, known, others)
    found = sorted((chosen, *rest), key=lambda each: each.smearing_Ry or 0.0)
    place = found.index(chosen)
    return Reading(str(path), CODE, tuple(found), place, f"the file asked for; {chosen.label}", said)


def read_a2f_dos_all(path: Path, unit: str | None = None) -> Reading:
    """Read the a2F.dosN beside the file ``lambda`` of matdyn.x; meant is where λ depends least on the smearing."""
    own = own_unit(str(path), "matdyn.x", "Ry", unit)
    known = _broadenings(path)
    if not any((path.parent / f"{_DOS_NAME}{n}").is_file() for n in range(1, len(known) + 1)):
        raise InputError(f"{path}: it holds λ, but no α²F; {_DOS_NAME}1, which has it, is not beside it")
    return _with_choice(path, *_dos_files(path.parent / _DOS_NAME, own, known, range(1, len(known) + 1)))


def _dos_files(
    begin: Path, unit: str, known: Sequence[tuple[float, float]], places: Iterable[int]
) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """Return α²F of the smearings with some numbers, and sentences on files that are damaged."""
    there = [n for n in places if begin.with_name(f"{begin.name}{n}").is_file()]
    return without_bad(there, lambda n: _of_dos(begin.with_name(f"{begin.name}{n}"), unit, *known[n - 1]))


def _of_dos(path: Path, unit: str, smearing_Ry: float | None, dos_per_Ry: float | None) -> Variant:
    text = read_text(path)
    stated = _FOOTER.search(text)
    if stated is None:
        raise InputError(f"{path}: it does not end with the line `lambda = … Delta = …`: matdyn.x was interrupted")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#") and "lambda" not in line]
    table = rows("\n".join(lines), path, wrapped=True)
    omega, alpha2f, said = of_stable_modes(table[:, 0], table[:, 1], str(path), unit)
    if table[0, 0] < -ROUNDING * table[-1, 0]:
        said += (
            f"the phonons of this calculation go down to {table[0, 0] * MEV_PER_RY:.3g} meV; matdyn.x leaves imaginary "
            "ones out of α²F (the per-q files tell what they would have carried)",
        )
    label = f"{smearing_Ry:.3f} Ry" if smearing_Ry else path.name
    dos = dos_per_Ry / MEV_PER_RY * 1e3 if dos_per_Ry else None
    one = variant(omega, alpha2f, str(path), label, unit, smearing_Ry=smearing_Ry, dos_per_eV=dos, notes=said)
    check_lambda(one.spectrum.lambda_, float(stated.group(1)), str(path))
    return one


def _broadenings(beside: Path) -> list[tuple[float, float]]:
    """Return smearing (Ry) and N(E_F) of each number of matdyn.x's file ``lambda``, or nothing where there is none."""
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
