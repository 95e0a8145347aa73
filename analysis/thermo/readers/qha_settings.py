"""The settings.yaml of the package qha: one input, or those of several configurations with their degeneracies.

Configurations: Z = Σ g_i exp(−F_i/kT) at each volume, so that F, S and C_V of the mixture follow from theirs.
K. Umemoto et al., Chem. Phys. Lett. 499, 236 (2010), doi:10.1016/j.cplett.2010.09.065.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import Bohr, kB
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.thermo.readers.qha_input import USUAL_K, parse_qha_input, pressure_notes, table_of
from megabar.analysis.thermo.readers.reading import ThermalReading, text_of, without_imaginary
from megabar.analysis.thermo.table import HelmholtzTable, helmholtz_table
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
SINGLE, DIFFERENT = "single", "different phonon dos"
MOST_ROWS = 101
FAR = 0.1


def is_settings(text: str) -> bool:
    """Whether a text is a settings.yaml of qha."""
    return all(f"\n{key}:" in f"\n{text}" for key in ("calculation", "input"))


def read_qha_settings(path: Path, temperatures_K: ArrayLike | None = None) -> ThermalReading:
    """Return F(V,T) of the input or the inputs that a settings.yaml of qha names, at its temperatures (K) or at others.

    Raises InputError where a key is missing or wrong, or configurations do not have the same volumes.
    """
    content = _content(path)
    kind = str(content.get("calculation", SINGLE)).lower()
    asked = _steps(path, content, "T_MIN", "NT", "DT", "DT_SAMPLE")
    pressures = _steps(path, content, "P_MIN", "NTV", "DELTA_P", "DELTA_P_SAMPLE")
    wanted = asked if temperatures_K is None else temperatures_K
    temperatures = np.unique(np.asarray(USUAL_K if wanted is None else wanted, dtype=float))
    inputs = content["input"]
    if kind == SINGLE:
        inputs = {inputs: 1} if isinstance(inputs, str) else inputs
    elif kind != DIFFERENT:
        raise InputError(f"{path}: calculation is {kind!r}; {SINGLE!r} and {DIFFERENT!r} are read here")
    if not isinstance(inputs, dict) or not inputs:
        raise InputError(f"{path}: input is {inputs!r}; it names a file, or files with their degeneracies")
    weights = _degeneracies(path, inputs)
    files = [path.parent / str(name) for name in inputs]
    parsed = [parse_qha_input(each) for each in files]
    size = parsed[0].volumes.size
    for each in parsed[1:]:
        off = (
            np.abs(np.log(np.sort(each.volumes) / np.sort(parsed[0].volumes))).max()
            if each.volumes.size == size
            else 1.0
        )
        if off > FAR:
            raise InputError(f"{each.path}: its volumes are not those of {parsed[0].path.name}, one by one within 10%")
        if each.atoms != parsed[0].atoms:
            raise InputError(f"{each.path}: it has {each.atoms} atoms, and {parsed[0].path.name} {parsed[0].atoms}")
    both = [table_of(each, temperatures) for each in parsed]
    table = mixture([each[0] for each in both], weights)
    # A configuration with imaginary modes spoils the volume by its weight; the worst counts.
    shares = np.max([each[1] for each in both], axis=0)
    names = [f"{path.name} at {volume * Bohr**3:.2f} Å³" for volume in np.sort(parsed[0].volumes)]
    table, notes = without_imaginary(table, shares, names)
    more = [] if len(files) == 1 else [f"{len(files)} configurations, mixed by their partition functions"]
    notes = [*more, *notes, *pressure_notes(parsed[0])]
    return ThermalReading(str(path), "qha", table, 1 + len(files), tuple(notes), _thin(pressures), _thin(asked))


def mixture(tables: Sequence[HelmholtzTable], degeneracies: Sequence[float]) -> HelmholtzTable:
    """Return F of configurations that a crystal has all at once, by their partition functions at each volume.

    All on the same temperatures, with static energies; F of others is taken to the volumes of the first as a cubic of
    V^(−2/3), as qha does, where their volumes differ.
    """
    if len(tables) == 1:
        return tables[0]
    tables = [tables[0], *(_at_volumes(each, tables[0].volumes_A3) for each in tables[1:])]
    first, t = tables[0], tables[0].temperatures_K[:, None]
    free = np.stack([each.free_energy_eV for each in tables])
    entropy = np.stack([each.thermal.entropy_eV_per_K for each in tables])
    capacity = np.stack([each.thermal.heat_capacity_eV_per_K for each in tables])
    energy, lowest = free + t * entropy, free.min(0)
    warm = t > 0.0
    kt = kB * np.where(warm, t, 1e-6)
    g = np.asarray(degeneracies, dtype=float)[:, None, None]
    shares = g * np.exp(-np.minimum((free - lowest) / kt, 700.0))
    z = shares.sum(0)
    p = shares / z
    mean = (p * energy).sum(0)
    total = np.where(warm, lowest - kt * np.log(z), lowest)
    spread = (p * energy**2).sum(0) - mean**2
    s = np.where(warm, (mean - total) / np.where(warm, t, 1.0), 0.0)
    c = np.where(warm, (p * capacity).sum(0) + np.maximum(spread, 0.0) / (kt * np.where(warm, t, 1.0)), 0.0)
    static = np.min([each.static_eV for each in tables if each.static_eV is not None], axis=0)
    return helmholtz_table(first.volumes_A3, static, first.temperatures_K, total - static, s, c, atoms=first.atoms)


def _at_volumes(table: HelmholtzTable, volumes: Array) -> HelmholtzTable:
    if np.allclose(table.volumes_A3, volumes, rtol=1e-6) or table.static_eV is None:
        return table
    x, wanted = ((each / volumes.mean()) ** (-2.0 / 3.0) for each in (table.volumes_A3, volumes))
    order = min(3, len(volumes) - 1)
    taken = (np.linalg.pinv(np.vander(x - 1.0, order + 1)).T @ np.vander(wanted - 1.0, order + 1).T).T
    thermal = table.thermal
    parts = (thermal.free_energy_eV, thermal.entropy_eV_per_K, thermal.heat_capacity_eV_per_K)
    free, entropy, capacity = (part @ taken.T for part in parts)
    static = taken @ table.static_eV
    return helmholtz_table(volumes, static, table.temperatures_K, free, entropy, capacity, atoms=table.atoms)


def _content(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(text_of(path))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: this is no YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict) or "input" not in content:
        raise InputError(f"{path}: a settings.yaml of qha names its input")
    return content


def _steps(path: Path, content: dict[str, Any], first: str, count: str, step: str, sample: str) -> Array | None:
    """Return the values that qha writes out: every ``sample`` of ``count`` steps; None where there is no count."""
    if count not in content:
        return None
    try:
        start, many, by = float(content.get(first, 0.0)), int(content[count]), float(content.get(step, 1.0))
        every = max(1, round(float(content.get(sample, by)) / by))
    except (TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"{path}: {first}, {count}, {step}, {sample} must be numbers, steps above zero") from None
    if many < 1 or by <= 0.0:
        raise InputError(f"{path}: {count} is {many} and {step} {by:g}; both must be above zero")
    return np.asarray(start + by * np.arange(0.0, many, every))


def _degeneracies(path: Path, inputs: dict[str, Any]) -> list[float]:
    try:
        weights = [float(value) for value in inputs.values()]
    except (TypeError, ValueError):
        raise InputError(f"{path}: each configuration in input has its degeneracy, a number") from None
    if min(weights) <= 0.0:
        raise InputError(f"{path}: the degeneracy of a configuration must be above zero")
    return weights


def _thin(values: Array | None) -> Array | None:
    return None if values is None else values[:: max(1, -(-len(values) // MOST_ROWS))]
