"""The input of phonopy-qha: e-v.dat, a thermal_properties.yaml for each volume, fe-v.dat for the electrons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.units import kB, kJ, mol
from numpy.typing import NDArray

from megabar.analysis.thermo.readers.reading import COMPRESSED, ThermalReading, numbers_in, text_of, without_imaginary
from megabar.analysis.thermo.table import helmholtz_table
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
EV_PER_KJ_PER_MOL = kJ / mol
MARK = "thermal_properties:"
_ROWS = re.compile(
    r"-\s*temperature:\s*(\S+)\s*\n\s*free_energy:\s*(\S+)\s*\n\s*entropy:\s*(\S+)\s*\n\s*heat_capacity:\s*(\S+)"
)
_UNITS = {"temperature": "K", "free_energy": "kJ/mol", "entropy": "J/K/mol", "heat_capacity": "J/K/mol"}
_OTHER_UNITS = re.compile(r"\b(bohr|a\.?u\.?|Ry|Rydberg|Ha|Hartree|nm)\b(?:\^?3|³)?", re.IGNORECASE)
GAMMA_MODES = 3
_ORDERED = 3.0
"""How many times smoother an order of the files must be than the one that is given, to be taken instead."""


@dataclass(frozen=True, eq=False)
class ThermalFile:
    """A thermal_properties.yaml: K, eV, eV/K. volume_A3: where it says one. missing: share of modes left out."""

    path: Path
    temperatures_K: Array
    free_energy_eV: Array
    entropy_eV_per_K: Array
    heat_capacity_eV_per_K: Array
    atoms: int | None
    volume_A3: float | None
    missing: float


def read_phonopy_qha(energies: Path, thermal: Sequence[Path], electronic: Path | None = None) -> ThermalReading:
    """Return F(V,T) of the input of phonopy-qha.

    energies: two columns, Å³ and eV of the cell. thermal: one file a volume; matched by the volumes that they state,
    else in the order given or, where that is much smoother, in the order of their numbers. electronic: fe-v.dat, a row
    a temperature, which takes the place of the static energies.
    Raises InputError where the files disagree with each other or with what phonopy writes.
    """
    volumes, static = _energies(energies)
    files = [read_thermal_properties(path) for path in thermal]
    if len(files) != len(volumes):
        raise InputError(
            f"{energies}: it has {len(volumes)} volumes, but {len(files)} files of thermal properties are given; "
            "one is needed for each volume"
        )
    _alike(files)
    files, notes = _in_order(files, volumes, energies)
    temperatures, electrons = files[0].temperatures_K, None
    if electronic is not None:
        electrons, said = _electronic(electronic, static, volumes, temperatures)
        temperatures, notes = temperatures[: len(electrons)], [*notes, *said]
    free, entropy, capacity = (
        np.stack([getattr(each, name)[: len(temperatures)] for each in files], 1)
        for name in ("free_energy_eV", "entropy_eV_per_K", "heat_capacity_eV_per_K")
    )
    table = helmholtz_table(volumes, static, temperatures, free, entropy, capacity, electrons, files[0].atoms)
    order = np.argsort(volumes)
    shares = np.array([each.missing for each in files])[order]
    table, left = without_imaginary(table, shares, [files[i].path.name for i in order])
    return ThermalReading(str(energies), "phonopy", table, 1 + len(files) + (electronic is not None), (*notes, *left))


def read_thermal_properties(path: Path) -> ThermalFile:
    """Read a thermal_properties.yaml, compressed or not.

    Raises InputError for other units, other files, or numbers that contradict each other.
    """
    text = text_of(path)
    head, mark, body = text.partition(MARK)
    if not mark:
        raise InputError(f"{path}: there is no `{MARK}` in it; phonopy -t writes such a file")
    content = _head(path, head)
    rows = np.array(_ROWS.findall(body), dtype=object)
    if len(rows) != body.count("temperature:") or len(rows) == 0:
        raise InputError(
            f"{path}: of {body.count('temperature:')} temperatures {len(rows)} have a free energy, an entropy and a "
            "heat capacity: the file is cut short or was changed"
        )
    try:
        t, free, entropy, capacity = rows.astype(float).T
    except ValueError:
        raise InputError(f"{path}: a temperature or what belongs to it is no number") from None
    atoms, volume = content.get("natom"), content.get("volume")
    found = ThermalFile(
        path, t, free * EV_PER_KJ_PER_MOL, entropy * EV_PER_KJ_PER_MOL / 1000.0,
        capacity * EV_PER_KJ_PER_MOL / 1000.0, None if atoms is None else int(atoms), volume, _missing(content),
    )  # fmt: skip
    _check(found, content)
    return found


def is_energies(text: str) -> bool:
    """Whether a text is two columns of numbers, as e-v.dat is."""
    rows = numbers_in(text)
    return bool(rows) and rows is not None and all(len(row) == 2 for row in rows)


def number_of(path: Path) -> int | None:
    """Return the number that a file's name ends with, signed: phonopy's examples have -5 to 5 after a hyphen."""
    name = path.stem if path.suffix in COMPRESSED else path.name
    found = re.search(r"-(-?\d+)$", name)
    return int(found[1]) if found else None


def _head(path: Path, head: str) -> dict[str, float]:
    """Return what stands before the table; units are held against those of phonopy."""
    content: dict[str, float] = {}
    for name, value in re.findall(r"^\s*(\w+):[ \t]*(\S+)", head, re.MULTILINE):
        if name in _UNITS:
            if value != _UNITS[name]:
                raise InputError(f"{path}: {name} is in {value}; phonopy writes {_UNITS[name]}")
            continue
        try:
            content[name] = float(value)
        except ValueError:
            continue
    return content


def _missing(content: dict[str, float]) -> float:
    """Share of the modes that are imaginary: those that phonopy left out, but for the acoustic ones at Γ."""
    every, used = content.get("num_modes"), content.get("num_integrated_modes")
    if not every or used is None:
        return 0.0
    return max(0.0, every - used - GAMMA_MODES) / every


def _check(file: ThermalFile, content: dict[str, float]) -> None:
    """Hold the numbers against each other: F(0) is the zero-point energy, S = −∂F/∂T, C_V at most 3k an atom."""
    t, free, entropy = file.temperatures_K, file.free_energy_eV, file.entropy_eV_per_K
    capacity = file.heat_capacity_eV_per_K
    if not all(np.isfinite(each).all() for each in (t, free, entropy, capacity)):
        raise InputError(f"{file.path}: some of its numbers are not finite")
    if (np.diff(t) <= 0.0).any() or t[0] < 0.0:
        raise InputError(f"{file.path}: its temperatures do not ascend from 0 K or above")
    at_zero, stated = free[0] / EV_PER_KJ_PER_MOL, content.get("zero_point_energy")
    if stated is not None and t[0] == 0.0 and abs(at_zero - stated) > 1e-3 + 1e-5 * abs(stated):
        raise InputError(
            f"{file.path}: the free energy at 0 K is {at_zero:.4f} kJ/mol, the zero-point energy {stated:.4f} kJ/mol"
        )
    # The mean of S over a step lies between its ends, but for what rounding does: a tenth is none.
    chord, low, high = -np.diff(free) / np.diff(t), entropy[:-1], entropy[1:]
    room = 1e-9 + 0.1 * np.abs(high - low)
    if ((chord < np.minimum(low, high) - room) | (chord > np.maximum(low, high) + room)).any():
        raise InputError(f"{file.path}: its entropies are not the slopes of its free energies, −∂F/∂T")
    if file.atoms is not None and capacity.max() > 3.0 * file.atoms * kB * 1.001:
        most, found = (each / EV_PER_KJ_PER_MOL * 1000.0 for each in (3.0 * file.atoms * kB, capacity.max()))
        raise InputError(
            f"{file.path}: it says {file.atoms} atoms, whose heat capacity is {most:.1f} J/K/mol at most, and has "
            f"{found:.1f}"
        )


def _energies(path: Path) -> tuple[Array, Array]:
    text = text_of(path)
    rows = numbers_in(text)
    if not rows or any(len(row) != 2 for row in rows):
        raise InputError(f"{path}: e-v.dat has two columns of numbers, the volume (Å³) and the energy (eV) of the cell")
    other = _OTHER_UNITS.search("\n".join(line for line in text.splitlines() if "#" in line))
    if other:
        raise InputError(f"{path}: its heading says {other[0]}; phonopy-qha takes Å³ and eV")
    volumes, energies = np.array(rows).T
    if volumes.min() <= 0.0:
        raise InputError(f"{path}: there is a volume of {volumes.min():g} Å³; the first column is the volume")
    if len(np.unique(volumes)) < len(volumes):
        raise InputError(f"{path}: a volume is there twice")
    return volumes, energies


def _alike(files: Sequence[ThermalFile]) -> None:
    first = files[0]
    for each in files[1:]:
        one, other = first.temperatures_K, each.temperatures_K
        if one.shape != other.shape or not np.allclose(one, other, rtol=0.0, atol=1e-4):
            raise InputError(
                f"{each.path}: it has {len(other)} temperatures from {other[0]:g} to {other[-1]:g} K, and "
                f"{first.path.name} {len(one)} from {one[0]:g} to {one[-1]:g} K; all must have the same"
            )
        if each.atoms != first.atoms:
            raise InputError(f"{each.path}: it is of {each.atoms} atoms, and {first.path.name} of {first.atoms}")


def _in_order(files: list[ThermalFile], volumes: Array, energies: Path) -> tuple[list[ThermalFile], list[str]]:
    """Return the files in the order of the volumes."""
    stated = [each.volume_A3 for each in files]
    if all(volume is not None for volume in stated):
        return _by_volume(files, np.array(stated, dtype=float), volumes, energies)
    notes, chosen = [], files
    numbers = [number_of(each.path) for each in files]
    if None not in numbers and len(set(numbers)) == len(numbers):
        by_number = sorted(range(len(files)), key=lambda i: numbers[i] or 0)
        other = [files[i] for i in by_number]
        if _roughness(other, volumes) * _ORDERED < _roughness(files, volumes):
            chosen = other
            notes.append(
                f"the files are taken in the order of their numbers, {chosen[0].path.name} to {chosen[-1].path.name}: "
                "as they are given, their free energies do not go smoothly over the volumes"
            )
    if _roughness(chosen, volumes) > 0.2:
        raise InputError(
            f"{energies}: the free energies of the vibrations jump from volume to volume: their files must be in the "
            "order of its lines"
        )
    zero_points = np.array([each.free_energy_eV[0] for each in chosen])
    if np.polyfit(np.log(volumes), zero_points, 1)[0] > 0.0:
        notes.append(
            "the free energy of the vibrations rises with the volume, which is rare: are the files in the order of "
            f"{energies.name}?"
        )
    return chosen, notes


def _by_volume(
    files: list[ThermalFile], stated: Array, volumes: Array, energies: Path
) -> tuple[list[ThermalFile], list[str]]:
    nearest = np.abs(np.log(stated[:, None] / volumes)).argmin(1)
    ratio = stated / volumes[nearest]
    if np.abs(ratio - 1.0).max() < 1e-3 and len(set(nearest)) == len(volumes):
        order = np.argsort(nearest)
        return [files[i] for i in order], []
    sorted_ratio = np.sort(stated) / np.sort(volumes)
    if np.ptp(sorted_ratio) < 2e-3 * sorted_ratio.mean():
        raise InputError(
            f"{files[0].path}: the volumes that these files state are {sorted_ratio.mean():.4g} times those of "
            f"{energies}; both must be of the same cell"
        )
    worst = int(np.abs(ratio - 1.0).argmax())
    raise InputError(
        f"{files[worst].path}: it is of {stated[worst]:.4f} Å³, a volume that {energies} does not have once"
    )


def _roughness(files: Sequence[ThermalFile], volumes: Array) -> float:
    """How much of the spread of the free energies at the highest temperature a parabola over ln V leaves."""
    x, y = np.log(volumes), np.array([each.free_energy_eV[-1] for each in files])
    if len(y) < 5 or np.ptp(y) == 0.0:
        return 0.0
    left = y - np.polyval(np.polyfit(x, y, 2), x)
    return float(np.sqrt((left**2).mean()) / y.std())


def _electronic(path: Path, static: Array, volumes: Array, temperatures: Array) -> tuple[Array, list[str]]:
    """Return F_el(V,T) − E(V), shape (m, n), at the temperatures of the vibrations, as far up as the file has them."""
    rows = numbers_in(text_of(path))
    if not rows or any(len(row) != len(volumes) + 1 for row in rows):
        raise InputError(
            f"{path}: fe-v.dat has a column of temperatures (K) and one of free energies (eV) for each of the "
            f"{len(volumes)} volumes"
        )
    t, free = np.array(rows)[:, 0], np.array(rows)[:, 1:]
    reached = temperatures[temperatures <= t.max() + 1e-3]
    off = np.abs(t[None, :] - reached[:, None])
    if len(reached) == 0 or off.min(1).max() > 1e-3:
        raise InputError(
            f"{path}: it does not have the temperatures of the vibrations, {temperatures[0]:g} K and so on"
        )
    at_zero = np.abs(free[np.argmin(t)] - static).max()
    if t.min() < 1.0 and at_zero > 1e-2:
        raise InputError(
            f"{path}: its free energies at 0 K are up to {at_zero:.4f} eV from the energies of e-v.dat; both must be "
            "of the same calculations"
        )
    cut = f"the free energies of the electrons end at {reached[-1]:g} K, and with them all else"
    return free[off.argmin(1)] - static, [cut] if len(reached) < len(temperatures) else []
