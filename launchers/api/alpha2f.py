"""α²F of a file or folder as it is asked for: unit, smearing, isotopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.structures.errors import InputError


def read_source(
    source: Path, unit: str | None, smearing_Ry: float | None, masses: Sequence[str], *, insist: bool = False
) -> Reading:
    """Return α²F of a file or folder, with other masses and at another smearing where they are asked for."""
    reading = _with_isotopes(source, unit, masses) if masses else _read(source, unit, insist)
    return reading if smearing_Ry is None else _at_smearing(reading, smearing_Ry)


def _read(source: Path, unit: str | None, insist: bool = False) -> Reading:
    from megabar.analysis.superconductivity.readers import read_alpha2f

    return read_alpha2f(source, unit, insist=insist)


def check_nothing_more(source: Path, *asked: object) -> None:
    """Raise InputError where something is asked of a file without α²F that needs it."""
    if any(each for each in asked):
        raise InputError(
            f"{source}: it holds λ and ω_log only; a unit, --mu-ref-mev, --smearing, --mass and --figure need α²F "
            "(alpha2F.dat beside it, or the folder with the per-q files)"
        )


def _with_isotopes(source: Path, unit: str | None, masses: Sequence[str]) -> Reading:
    from megabar.analysis.superconductivity.elph import reading
    from megabar.analysis.superconductivity.isotopes import isotope_reading
    from megabar.analysis.superconductivity.readers.espresso_elph import gather

    if not source.is_dir():
        raise InputError(
            f"--mass needs the force constants: {source} is no folder with the per-q files of ph.x "
            "(elph.inp_lambda.*, dyn*)"
        )
    wanted = dict(mass_asked(text) for text in masses)
    _read(source, unit)  # tells a wrong unit
    data = gather(source)
    return isotope_reading(data, reading(data), wanted)


def mass_asked(text: str) -> tuple[str, float]:
    """Return element and mass (u) of ``H=2.014``."""
    species, _, value = text.partition("=")
    try:
        return species.strip(), float(value)
    except ValueError:
        raise InputError(f"--mass is {text!r}; it takes an element and a mass in u, as in H=2.014") from None


def _at_smearing(reading: Reading, smearing_Ry: float) -> Reading:
    there = [each.smearing_Ry for each in reading.variants]
    known = [each for each in there if each is not None]
    if not known:
        raise InputError(f"{reading.path}: it holds no smearings of the double delta, so --smearing says nothing")
    near = min(known, key=lambda each: abs(each - smearing_Ry))
    if abs(near - smearing_Ry) > 1e-6:
        raise InputError(f"--smearing is {smearing_Ry:g} Ry; {reading.path} has {', '.join(f'{s:g}' for s in known)}")
    return replace(reading, chosen=there.index(near), why="asked for", around=())
