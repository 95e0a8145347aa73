"""Readers of α²F(ω) and λ, one module a code; `read_alpha2f` finds out which one a file is for."""

from __future__ import annotations

from pathlib import Path

from megabar.analysis.superconductivity.readers.espresso import LambdaRow
from megabar.analysis.superconductivity.readers.espresso_q import NAME as COUPLING
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.structures.errors import InputError


def read_alpha2f(path: str | Path, unit: str | None = None, *, insist: bool = False) -> Reading:
    """Read α²F from a file of any code, or from a folder with the per-q files of ph.x; the content tells which.

    unit: of the frequencies, for plain columns; for the files of a code, which have theirs, it may be left out and must
    not differ. insist: take plain columns for α²F also where they look like another spectrum. Every reader holds
    λ = 2∫α²F/ω dω against what the file says.
    Raises InputError for what cannot be read, is in another unit than asked for, or disagrees with itself.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir() or COUPLING.search(path.name):
        return _per_q(path if path.is_dir() else path.parent, unit)
    if _is_binary(path):
        from megabar.analysis.superconductivity.readers.abinit import read_abinit_netcdf

        return read_abinit_netcdf(path, unit)
    return _text(path, unit, insist)


def read_lambda_only(path: str | Path) -> tuple[LambdaRow, ...] | None:
    """Return λ, ω_log and N(E_F) of a lambda.dat or lambda.out of lambda.x that has no alpha2F.dat beside it.

    None for any other file.
    """
    from megabar.analysis.superconductivity.readers import espresso
    from megabar.analysis.superconductivity.readers.text import read_text

    path = Path(path)
    if not path.is_file() or _is_binary(path) or (path.parent / "alpha2F.dat").is_file():
        return None
    text = read_text(path)
    if espresso.is_lambda_out(text):
        return espresso.read_lambda_out(path)
    return espresso.read_lambda_dat(path) if espresso.is_lambda_dat(text) else None


def _per_q(folder: Path, unit: str | None) -> Reading:
    from megabar.analysis.superconductivity.elph import reading
    from megabar.analysis.superconductivity.readers.espresso_elph import gather
    from megabar.analysis.superconductivity.readers.reading import own_unit

    own_unit(str(folder), "ph.x", "Ry", unit)
    return reading(gather(folder))


def _is_binary(path: Path) -> bool:
    from megabar.analysis.superconductivity.readers.abinit import CLASSIC, HDF5

    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return path.suffix == ".nc" or start.startswith((CLASSIC, HDF5))


def _text(path: Path, unit: str | None, insist: bool = False) -> Reading:
    """Read a text file by what stands in it; a table of numbers alone is taken for plain columns."""
    from megabar.analysis.superconductivity.readers import abinit, elk, epw, espresso
    from megabar.analysis.superconductivity.readers.plain import read_plain
    from megabar.analysis.superconductivity.readers.text import read_text

    text = read_text(path)
    if espresso.is_matdyn_lambda(text):
        return espresso.read_a2f_dos_all(path, unit)
    beside = _table_beside(path, text)
    if beside is not None:
        return _text(beside, unit)
    for known, reader in (
        (espresso.is_alpha2f_dat(text), espresso.read_alpha2f_dat),
        (espresso.is_a2f_dos(text), espresso.read_a2f_dos),
        (abinit.is_abinit_text(text), abinit.read_abinit_text),
        (path.name.upper() == elk.NAME, elk.read_elk),
        (epw.is_epw(text), epw.read_epw),
    ):
        if known:
            return reader(path, unit)
    return read_plain(path, unit, insist=insist)


def _table_beside(path: Path, text: str) -> Path | None:
    """Return where α²F is of a file that holds λ only; InputError where that is not there."""
    from megabar.analysis.superconductivity.readers import elk, espresso

    name = None
    if espresso.is_lambda_dat(text) or espresso.is_lambda_out(text):
        name = "alpha2F.dat"
    elif path.name.upper() in elk.LAMBDA_FILES:
        name = elk.NAME
    if name is None:
        return None
    if not (path.parent / name).is_file():
        raise InputError(f"{path}: it holds λ, but no α²F; {name}, which has it, is not beside it")
    return path.parent / name
