"""α²F of ABINIT: ``_A2F.nc`` and ``_A2FW`` of its electron-phonon driver, ``_A2F`` of anaddb's older one.

From ABINIT's m_phgamma.F90 (a2fw_init, a2fw_write) and mka2f.F90; frequencies in hartree, on a grid that begins at the
lowest phonon, perhaps below 0:

- ``_A2F.nc``: ``a2f_mesh_X``, ``a2f_values_X``, ``a2f_lambdaw_X`` with X = qintp (interpolated) and qcoarse (q-points
  of the DFPT grid); values by spin and mode, mode 0 their sum. The values are Σ λ_qν |ω_qν| δ(ω − ω_qν): twice the
  usual α²F, and λ(ω) is integrated as ∫a2f/|ω| dω. So 2∫a2f/ω is twice the stored λ, and the values are halved here.
- ``_A2FW``: the same as text, columns ω, a2f, λ(ω).
- ``_A2F``: ω and α²F with the usual factor; λ stands in the output file only.

Whether to halve is decided by the λ that the file holds, not by its name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from megabar.analysis.superconductivity.checks import LAMBDA_DIGITS
from megabar.analysis.superconductivity.readers.reading import (
    Array,
    Reading,
    Variant,
    of_stable_modes,
    own_unit,
    variant,
)
from megabar.analysis.superconductivity.readers.text import read_text, rows
from megabar.structures.errors import InputError

CLASSIC, HDF5 = b"CDF", b"\x89HDF"
_SAMPLINGS = {"qintp": "interpolated in q", "qcoarse": "q-points of the DFPT grid"}
_FACTORS = (2.0, 1.0)


def is_abinit_text(text: str) -> bool:
    """Whether a text is an α²F of ABINIT."""
    return "ABINIT package" in text[:400] and "a2f" in text[:400].lower()


def read_abinit_text(path: Path, unit: str | None = None) -> Reading:
    """Read ``_A2FW`` (with λ(ω), against which it is held) or ``_A2F``."""
    own = own_unit(str(path), "ABINIT", "Ha", unit)
    text = read_text(path)
    if len(re.findall(r"DOS at Fermi level for spin\s+\d", text)) > 1:
        raise InputError(_two_spins(path))
    table = rows("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")), path)
    cumulative = table[:, 2] if table.shape[1] > 2 else None
    found = _variant(table[:, 0], table[:, 1], cumulative, str(path), "α²F", own)
    notes = (
        () if cumulative is not None else ("the file does not state λ, so nothing could be held against 2∫α²F/ω dω",)
    )
    return Reading(str(path), "ABINIT", (found,), notes=notes)


def read_abinit_netcdf(path: Path, unit: str | None = None) -> Reading:
    """Read ``_A2F.nc``, one variant a sampling of q; the interpolated one is meant where one is asked for."""
    own = own_unit(str(path), "ABINIT", "Ha", unit)
    arrays = _arrays(path)
    found = []
    for sampling, label in _SAMPLINGS.items():
        names = [f"a2f_{kind}_{sampling}" for kind in ("mesh", "values", "lambdaw")]
        if not all(name in arrays for name in names):
            continue
        mesh, values, cumulative = (arrays[name] for name in names)
        if values.shape[0] != 1:
            raise InputError(_two_spins(path))
        found.append(_variant(mesh, values[0, 0], cumulative[0, 0], f"{path} ({label})", label, own))
    if not found:
        raise InputError(
            f"{path}: it holds no a2f_values_qintp or a2f_values_qcoarse; is it an A2F.nc of ABINIT's eph_task 1?"
        )
    return Reading(str(path), "ABINIT", tuple(found), 0, found[0].label)


def _two_spins(path: Path) -> str:
    return (
        f"{path}: it holds two spin channels; the equations for singlet pairs need the α²F of a metal without "
        "magnetism (nsppol 1)"
    )


def _variant(mesh: Array, values: Array, cumulative: Array | None, source: str, label: str, unit: str) -> Variant:
    """Return the spectrum with the usual factor, which the cumulative λ tells."""
    factor = 1.0 if cumulative is None else _factor(mesh, values, float(cumulative[-1]), source)
    omega, alpha2f, said = of_stable_modes(mesh, values / factor, source, unit)
    return variant(omega, alpha2f, source, label, unit, notes=said)


def _factor(mesh: Array, values: Array, stated: float, source: str) -> float:
    """Return by how much the values exceed the usual α²F; InputError where no factor brings them to the stated λ."""
    inverse = np.divide(values, np.abs(mesh), out=np.zeros_like(values), where=np.abs(mesh) > 1e-7)
    twice = float(np.sum((inverse[1:] + inverse[:-1]) * np.diff(mesh)))
    for factor in _FACTORS:
        if abs(twice / factor - stated) <= LAMBDA_DIGITS * abs(stated):
            return factor
    raise InputError(
        f"{source}: 2∫α²F/ω dω is {twice / 2:.4g} (with ABINIT's factor), but the file says λ = {stated:.4g}; "
        "it is damaged or of another kind than taken for: nothing is computed from it"
    )


def _arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a netCDF file whose names begin with a2f, of either format."""
    try:
        start = path.read_bytes()[:8]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        return _classic(path) if start.startswith(CLASSIC) else _hdf5(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: not a whole netCDF file ({error}); was the calculation interrupted?") from None


def _classic(path: Path) -> dict[str, Array]:
    from scipy.io import netcdf_file

    with netcdf_file(path, "r", mmap=False) as file:
        return {name: _array(each[:]) for name, each in file.variables.items() if name.startswith("a2f")}


def _hdf5(path: Path) -> dict[str, Array]:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: _array(file[name][()]) for name in file if name.startswith("a2f")}


def _array(values: Any) -> Array:
    return np.asarray(values, float).copy()
