"""The input of the package qha: static energies and the frequencies of q-points with weights at several volumes.

Volumes in bohr³, energies in Ry, frequencies in cm⁻¹, as qha takes them; pressures, which it does not use, in kbar or
GPa.
T. Qin, Q. Zhang, R. M. Wentzcovitch & K. Umemoto, Comput. Phys. Commun. 237, 199 (2019), doi:10.1016/j.cpc.2018.11.003.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.units import Bohr, GPa, Rydberg, _c
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.thermo.harmonic import harmonic
from megabar.analysis.thermo.readers.reading import ThermalReading, text_of, without_imaginary
from megabar.analysis.thermo.table import HelmholtzTable, helmholtz_table
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
THZ_PER_CM = 100.0 * _c * 1e-12
_COUNTS = re.compile(r"^\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\d+)", re.MULTILINE)
_FLOAT = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?)"
_VOLUME = re.compile(rf"^\s*P\s*=\s*{_FLOAT}\s*V\s*=\s*{_FLOAT}\s*E\s*=\s*{_FLOAT}", re.MULTILINE | re.IGNORECASE)
_ACOUSTIC_cm = 40.0
"""How imaginary the three lowest modes at Γ may come out, without a sum rule."""
USUAL_K = np.arange(0.0, 2001.0, 50.0)


@dataclass(frozen=True, eq=False)
class QhaInput:
    """As it stands in the file: GPa or kbar, bohr³, Ry; q in units of the cell; cm⁻¹; weights as they are.

    pressures, volumes, energies: shape (n,). q_points: (q, 3). frequencies: (n, q, modes). weights: (q,).
    """

    path: Path
    pressures: Array
    volumes: Array
    energies: Array
    q_points: Array
    frequencies: Array
    weights: Array
    formula_units: int

    @property
    def atoms(self) -> int:
        """Atoms of the cell: a third of the modes."""
        return int(self.frequencies.shape[2]) // 3


def is_qha_input(text: str) -> bool:
    """Whether a text has the lines ``P= V= E=`` of qha's input."""
    return _VOLUME.search(text) is not None


def read_qha_input(path: Path, temperatures_K: ArrayLike | None = None) -> ThermalReading:
    """Return F(V,T) of an input of qha at temperatures (K; without: every 50 K up to 2000 K).

    Raises InputError where the file contradicts itself.
    """
    found = parse_qha_input(path)
    table, shares = table_of(found, USUAL_K if temperatures_K is None else temperatures_K)
    names = [f"{path.name} at {volume * Bohr**3:.2f} Å³" for volume in np.sort(found.volumes)]
    table, notes = without_imaginary(table, shares, names)
    return ThermalReading(str(path), "qha", table, notes=(*notes, *pressure_notes(found)), asked_K=USUAL_K)


def parse_qha_input(path: Path) -> QhaInput:
    """Read the numbers of the file and hold them against the counts in its heading."""
    text = text_of(path)
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    counts = _COUNTS.search(body)
    volumes = list(_VOLUME.finditer(body))
    if counts is None or not volumes or counts.start() > volumes[0].start():
        raise InputError(
            f"{path}: qha's input begins with the numbers of volumes, q-points, modes and formula units, and each "
            "volume with `P= … V= … E= …`"
        )
    n, q, modes, units = (int(each) for each in counts.groups())
    if len(volumes) != n:
        raise InputError(f"{path}: its heading says {n} volumes, and there are {len(volumes)} lines `P= V= E=`")
    end = re.search(r"^.*weight.*$", body[volumes[-1].end() :], re.MULTILINE | re.IGNORECASE)
    if end is None:
        raise InputError(f"{path}: the weights of the q-points are missing; they stand last, after a line `weight`")
    stop = volumes[-1].end() + end.start()
    ends = [*(found.start() for found in volumes[1:]), stop]
    blocks = [_block(path, body[found.end() : at], q, modes, found[2]) for found, at in zip(volumes, ends, strict=True)]
    weights = _weights(path, body[volumes[-1].end() + end.end() :], q, blocks[0][:, :3])
    head = np.array(
        [[float(value) for value in re.sub("[Dd]", "e", " ".join(each.groups())).split()] for each in volumes]
    )
    if modes % 3 or units < 1:
        raise InputError(f"{path}: its heading says {modes} modes and {units} formula units; modes are three an atom")
    frequencies = np.stack([block[:, 3:] for block in blocks])
    return QhaInput(path, head[:, 0], head[:, 1], head[:, 2], blocks[0][:, :3], frequencies, weights, units)


def table_of(found: QhaInput, temperatures_K: ArrayLike) -> tuple[HelmholtzTable, Array]:
    """Return F(V,T), and the share of modes that are imaginary at each of its volumes."""
    order = np.argsort(found.volumes)
    if found.volumes.min() <= 0.0 or (np.diff(found.volumes[order]) <= 0.0).any():
        raise InputError(f"{found.path}: its volumes are not all different and above zero")
    nu = found.frequencies[order]
    thermal = harmonic(nu * THZ_PER_CM, found.weights, temperatures_K)
    table = helmholtz_table(
        found.volumes[order] * Bohr**3,
        found.energies[order] * Rydberg,
        np.atleast_1d(np.asarray(temperatures_K, dtype=float)),
        thermal.free_energy_eV,
        thermal.entropy_eV_per_K,
        thermal.heat_capacity_eV_per_K,
        atoms=found.atoms,
    )
    return table, _imaginary(found, nu)


def pressure_notes(found: QhaInput) -> list[str]:
    """Hold the pressures of the file against −dE/dV: in other units than Ry and bohr³ they would not agree.

    Raises InputError where they are proportional to it by neither 1 (GPa) nor 10 (kbar).
    """
    if len(found.volumes) < 5 or np.ptp(found.pressures) == 0.0:
        return []
    v = found.volumes
    # E as a cubic of V^(−2/3), as Birch–Murnaghan has it; V scaled so that the powers are alike
    x = (v / v.mean()) ** (-2.0 / 3.0)
    slope = np.polynomial.Polynomial.fit(x, found.energies, 3).deriv()(x)
    computed = slope * 2.0 / 3.0 * x / v * Rydberg / Bohr**3 / GPa
    alike = np.corrcoef(computed, found.pressures)[0, 1]
    ratio = float(found.pressures @ computed / (computed @ computed))
    if min(abs(ratio - 1.0), abs(ratio / 10.0 - 1.0)) < 0.15:
        return []
    if alike > 0.995:
        raise InputError(
            f"{found.path}: its pressures are {ratio:.3g} times −dE/dV of its energies and volumes in Ry and bohr³, "
            "the units of qha: others seem to be meant"
        )
    return ["the pressures in the file are not −dE/dV of its energies; they are not used"]


def _block(path: Path, text: str, q: int, modes: int, volume: str) -> Array:
    try:
        values = np.array(text.replace("D", "e").split(), dtype=float)
    except ValueError:
        raise InputError(f"{path}: at V = {volume} bohr³ stands something that is no number") from None
    if values.size != q * (3 + modes):
        raise InputError(
            f"{path}: at V = {volume} bohr³ there are {values.size} numbers; {q} q-points with {modes} frequencies "
            f"each are {q * (3 + modes)}, coordinates included"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path}: at V = {volume} bohr³ some numbers are not finite")
    return values.reshape(q, 3 + modes)


def _weights(path: Path, text: str, q: int, q_points: Array) -> Array:
    try:
        rows = [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    except ValueError:
        raise InputError(f"{path}: among the weights stands something that is no number") from None
    if len(rows) != q or any(len(row) != len(rows[0]) or len(row) not in (1, 4) for row in rows):
        raise InputError(
            f"{path}: {q} q-points need as many lines of weights, a weight last in each; there are {len(rows)}"
        )
    values = np.array(rows)
    if values[:, -1].min() < 0.0 or values[:, -1].sum() <= 0.0:
        raise InputError(f"{path}: the weights of the q-points must not be below zero")
    if values.shape[1] == 4:
        off = np.abs(values[:, :3] - q_points).max(1)
        if off.max() > 1e-3:
            i = int(off.argmax())
            raise InputError(
                f"{path}: weight {i + 1} is of q = {_triple(values[i, :3])}, and the frequencies there are of "
                f"{_triple(q_points[i])}: both must be in the same order"
            )
    return values[:, -1]


def _triple(values: Array) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _imaginary(found: QhaInput, nu: Array) -> Array:
    """Share of the modes below zero at each volume; the three at Γ may be slightly so."""
    below = nu < 0.0
    gamma = np.abs(found.q_points - np.round(found.q_points)).max(1) < 1e-6
    lowest = np.argsort(nu[:, gamma], axis=2)[:, :, :3]
    small = np.take_along_axis(nu[:, gamma], lowest, 2) > -_ACOUSTIC_cm
    at_gamma = below[:, gamma]
    np.put_along_axis(at_gamma, lowest, np.take_along_axis(at_gamma, lowest, 2) & ~small, 2)
    below[:, gamma] = at_gamma
    w = found.weights / found.weights.sum()
    return np.asarray((below.mean(2) * w).sum(1))
