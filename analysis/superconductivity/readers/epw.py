"""α²F of EPW: ``prefix.a2f``, ``.a2f_iso``, ``.a2f_proj`` and, from the phonon self-energy, ``.a2f.NN.T``.

Formats, from EPW's sources (supercond.f90, eliashberg.f90, spectral.f90 of versions 4 to 6), frequencies in meV:

- ``.a2f``: a heading ``w[meV] a2f and integrated 2*a2f/w for N smearing values`` (in EPW 5.0 to 5.3 ``w[meV] a2f for
  N …``, in EPW 4 none), then ω, α²F at N phonon smearings and, in new versions, the cumulative λ at each; at the end
  ``Integrated el-ph coupling`` and ``Phonon smearing (meV)`` with N numbers each, ``Summed el-ph coupling``.
- ``.a2f.01.0.050`` and the like: the same without heading and cumulative λ.
- ``.a2f_proj``, and ``.a2f_iso`` of EPW 4: ω, α²F at the first smearing, α²F by mode; at the end ``lambda_int = …
  lambda_sum = …``. ``.a2f_iso`` of EPW 5: ω and α²F only.

The smearings are those of the phonons' δ(ω − ω_qν): the first, the smallest, is the one that EPW itself goes on with.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from megabar.analysis.superconductivity.checks import check_lambda
from megabar.analysis.superconductivity.readers.reading import Reading, own_unit, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, numbers, read_text, rows
from megabar.structures.errors import InputError

_HEADING = re.compile(r"w\[meV\]\s+a2f")
_SUMMED = re.compile(rf"(?:Summed el-ph coupling|lambda_sum =)\s+({NUMBER})")
_INTEGRATED = re.compile(rf"lambda_int =\s+({NUMBER})")
_DOS = re.compile(rf"DOS \(eV\)\s+({NUMBER})")
_SUM_AND_INTEGRAL = 0.05


def is_epw(text: str) -> bool:
    """Whether a text is a file of EPW."""
    return bool(_HEADING.search(text[:200])) or "Integrated el-ph coupling" in text or "lambda_int =" in text


def read_epw(path: Path, unit: str | None = None) -> Reading:
    """Read an α²F of EPW, one variant a phonon smearing; each is held against the λ at the end of the file."""
    own = own_unit(str(path), "EPW", "meV", unit)
    if ".a2f_tr" in path.name:
        raise InputError(f"{path}: this is EPW's α²F of transport, not that of pairing; give the .a2f beside it")
    text = read_text(path)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    table = rows("\n".join(line for line in lines if numbers(line) is not None), path)
    integrated, smearings = _after(text, "Integrated el-ph coupling"), _after(text, "Phonon smearing")
    by_mode = _INTEGRATED.search(text)
    if by_mode:
        integrated, smearings = [float(by_mode.group(1))], []
    count = len(integrated) or 1
    if table.shape[1] < 1 + count:
        raise InputError(
            f"{path}: {count} λ at its end, but only {table.shape[1] - 1} columns of α²F: the file is damaged"
        )
    density = _DOS.search(text)
    found = tuple(
        variant(
            table[:, 0],
            table[:, 1 + i],
            str(path),
            f"phonon smearing {smearings[i]:g} meV" if i < len(smearings) else "α²F",
            own,
            dos_per_eV=float(density.group(1)) if density else None,
        )
        for i in range(count)
    )
    for one, stated in zip(found, integrated, strict=False):
        check_lambda(one.spectrum.lambda_, stated, f"{path} ({one.label})")
    if table.shape[1] == 1 + 2 * count:
        _check_cumulative(table[:, 1 + count :], integrated, path)
    notes = () if integrated else ("the file does not state λ, so nothing could be held against 2∫α²F/ω dω",)
    return Reading(
        str(path), "EPW", found, 0, "the smallest phonon smearing" if count > 1 else "", notes + _sum(text, integrated)
    )


def _after(text: str, heading: str) -> list[float]:
    """Return the numbers of the line below a heading, or none."""
    lines = text.splitlines()
    for place, line in enumerate(lines[:-1]):
        if heading in line:
            return numbers(lines[place + 1].replace("#", " ")) or []
    return []


def _check_cumulative(columns: np.ndarray, integrated: list[float], path: Path) -> None:
    """The last cumulative λ of each smearing is the integrated one."""
    for last, stated in zip(columns[-1], integrated, strict=False):
        check_lambda(float(last), stated, f"{path} (last row of the cumulative λ)")


def _sum(text: str, integrated: list[float]) -> tuple[str, ...]:
    """Say it where the sum over modes, which knows no smearing, differs from the integral."""
    match = _SUMMED.search(text)
    if not match or not integrated or abs(float(match.group(1)) - integrated[0]) <= _SUM_AND_INTEGRAL * integrated[0]:
        return ()
    return (
        f"EPW's sum over modes gives λ = {float(match.group(1)):.4g}, its integral over α²F {integrated[0]:.4g}: "
        "the phonon smearing or the frequency grid is too coarse",
    )
