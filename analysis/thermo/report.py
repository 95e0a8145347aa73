"""What `megabar thermo` says of a phase: rows over pressure and temperature, per cell as given and per atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import GPa, kJ, mol
from numpy.typing import NDArray

from megabar.analysis import eos
from megabar.analysis.thermo.debye import debye_temperature_from_entropy
from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.isotherms import Isotherms, equation, fit_isotherms, smooth_polynomial
from megabar.analysis.thermo.quasiharmonic import lowest_energy, minimise
from megabar.analysis.thermo.readers.reading import ThermalReading
from megabar.analysis.thermo.table import static_table
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
EV_PER_J_PER_MOL = kJ / mol / 1000.0
MOST_ROWS = 300
"""Temperatures of a file that are told where none are asked for; of more, every second, fifth, tenth, …"""
_LIMIT_POINTS = 80
_ROOM = (0.2, 0.5)
"""How far below and above the volumes V0 of the static lattice is looked for, in ln V."""
_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class ThermoAnswer:
    """G(P,T) of a reading, by an equation of state, and the temperatures (K) from which the approximation is in doubt.

    doubt_K: shape (p,), nan where there is none.
    """

    reading: ThermalReading
    kind: eos.Kind
    gibbs: GibbsTable
    isotherms: Isotherms
    doubt_K: Array


def thermo_answer(
    reading: ThermalReading,
    pressures_GPa: Sequence[float] = (),
    temperatures_K: Sequence[float] = (),
    kind: str = "vinet",
) -> ThermoAnswer:
    """Return G(P,T) of what was read.

    pressures_GPa, temperatures_K: without, those that the files ask for, else 0 GPa and the temperatures of the files.
    Raises InputError where no pressure is between the volumes, or a temperature is beyond the files.
    """
    name = equation(kind)
    table = reading.table
    asked = temperatures_K if len(temperatures_K) else _temperatures(reading)
    pressures = np.unique(pressures_GPa) if len(pressures_GPa) else _pressures(reading)
    table = table.at_temperatures(asked)
    whole, without = fit_isotherms(table, name)
    gibbs = minimise(whole, without, pressures, table.temperatures_K, table.atoms)
    _check_reached(reading, gibbs, whole)
    return ThermoAnswer(reading, name, gibbs, whole, _doubts(reading, name, pressures))


def thermo_document(answer: ThermoAnswer) -> dict[str, Any]:
    """Return the document of ``megabar thermo --json``: what was read, the static fit, rows, notes."""
    reading, gibbs = answer.reading, answer.gibbs
    table = reading.table
    return {
        "file": reading.path,
        "files": reading.files,
        "code": reading.code,
        "equation_of_state": answer.kind,
        "atoms": table.atoms,
        "volumes": len(table.volumes_A3),
        "volume_from_A3": float(table.volumes_A3[0]),
        "volume_to_A3": float(table.volumes_A3[-1]),
        "electrons_at_temperature": table.electronic is not None,
        "static": _static(answer),
        "doubtful_above_K": {f"{p:g}": _number(t) for p, t in zip(gibbs.pressures_GPa, answer.doubt_K, strict=True)},
        "rows": [row for i in range(len(gibbs.pressures_GPa)) for row in _rows(answer, i)],
        "notes": _notes(answer),
    }


def pressure_range(isotherms: Isotherms) -> tuple[Array, Array]:
    """Return the pressures (GPa) of the largest and of the smallest volume at each temperature, shape (m,)."""
    x = np.array([isotherms.ends[1], isotherms.ends[0]])[None, :]
    pressure = -isotherms.helmholtz(x)[1] / np.exp(x) / GPa
    return pressure[:, 0], pressure[:, 1]


def _temperatures(reading: ThermalReading) -> Array:
    if reading.asked_K is not None:
        return reading.asked_K
    known = reading.table.temperatures_K
    step = next(each for each in (1, 2, 5, 10, 20, 50, 100, len(known)) if len(known) <= MOST_ROWS * each)
    return known[::step]


def _pressures(reading: ThermalReading) -> Array:
    return np.array([0.0]) if reading.pressures_GPa is None else reading.pressures_GPa


def _check_reached(reading: ThermalReading, gibbs: GibbsTable, isotherms: Isotherms) -> None:
    if (gibbs.beyond == 2).all():
        raise InputError(f"{reading.path}: no equation of state fits these free energies; are they of one phase?")
    if (gibbs.beyond != 0).all():
        asked = ", ".join(f"{p:g}" for p in gibbs.pressures_GPa)
        raise InputError(f"{reading.path}: its volumes do not bracket {asked} GPa; {_served(isotherms, gibbs)}")


def _served(isotherms: Isotherms, gibbs: GibbsTable) -> str:
    """Which pressures the volumes bracket."""
    (low, high), t = pressure_range(isotherms), gibbs.temperatures_K
    text = f"they serve {low[0]:.2f} to {high[0]:.2f} GPa at {t[0]:g} K"
    return text if len(t) == 1 else f"{text} and {low[-1]:.2f} to {high[-1]:.2f} GPa at {t[-1]:g} K"


def _static(answer: ThermoAnswer) -> dict[str, Any] | None:
    """The equation of state of the static energies alone: its minimum, wherever it is; None where there is none."""
    table = answer.reading.table
    assert table.static_eV is not None  # files have them
    static, _ = fit_isotherms(static_table(table), answer.kind, errors=False)
    minimum = lowest_energy(static, *_ROOM)
    if minimum is None:
        return None
    x = np.array([[minimum, minimum + _STEP, minimum - _STEP]])
    energy, slope, curvature = static.helmholtz(x)
    bulk = ((curvature - slope) / np.exp(x) / GPa)[0]
    at_volumes = static.helmholtz(np.log(table.volumes_A3)[None, :])[0][0]
    return {
        "volume_A3": float(np.exp(minimum)),
        "energy_eV": float(energy[0, 0]),
        "bulk_modulus_GPa": float(bulk[0]),
        "bulk_modulus_derivative": float(-np.log(bulk[1] / bulk[2]) / (2.0 * _STEP)),
        "misfit_eV": float(np.sqrt(np.mean((at_volumes - table.static_eV) ** 2))),
    }


def _rows(answer: ThermoAnswer, i: int) -> list[dict[str, Any]]:
    g = answer.gibbs
    molar = {
        "entropy_J_per_mol_K": g.entropy_eV_per_K[i] / EV_PER_J_PER_MOL,
        "heat_capacity_J_per_mol_K": g.heat_capacity_p_eV_per_K[i] / EV_PER_J_PER_MOL,
        "heat_capacity_v_J_per_mol_K": g.heat_capacity_v_eV_per_K[i] / EV_PER_J_PER_MOL,
    }
    columns: dict[str, Array] = {
        "volume_A3": g.volume_A3[i],
        "volume_error_A3": g.volume_error_A3[i],
        "gibbs_eV": g.gibbs_eV[i],
        "gibbs_error_eV": g.gibbs_error_eV[i],
        "thermal_expansion_per_K": g.thermal_expansion_per_K[i],
        "bulk_modulus_GPa": g.bulk_modulus_GPa[i],
        "adiabatic_bulk_modulus_GPa": g.adiabatic_bulk_modulus_GPa[i],
        **molar,
        "gruneisen": g.gruneisen[i],
    }
    if g.atoms is not None:
        columns["debye_temperature_K"] = _debye(answer, i)
        for name in ("volume_A3", "gibbs_eV", "gibbs_error_eV"):
            columns[f"{name}_per_atom"] = columns[name] / g.atoms
        for name, values in molar.items():
            columns[name.replace("_per_mol_K", "_per_mol_atoms_K")] = values / g.atoms
    rows = []
    for j, t in enumerate(g.temperatures_K):
        row: dict[str, Any] = {"pressure_GPa": float(g.pressures_GPa[i]), "temperature_K": float(t)}
        row |= {name: _number(values[j]) for name, values in columns.items()}
        if g.beyond[i, j]:
            row["missing"] = _why(answer, int(g.beyond[i, j]))
        rows.append(row)
    return rows


def _debye(answer: ThermoAnswer, i: int) -> Array:
    """θ of the Debye solid that has the entropy of the vibrations: it tells θ at all temperatures, C_V only below θ."""
    table, g = answer.reading.table.at_temperatures(answer.gibbs.temperatures_K), answer.gibbs
    assert table.atoms is not None
    x = np.log(table.volumes_A3)
    coefficients = smooth_polynomial(x, table.vibrational.entropy_eV_per_K)
    powers = (np.log(g.volume_A3[i]) - x.mean())[:, None] ** np.arange(coefficients.shape[1])
    return debye_temperature_from_entropy((coefficients * powers).sum(1), g.temperatures_K, table.atoms)


def _why(answer: ThermoAnswer, code: int) -> str:
    volumes = answer.reading.table.volumes_A3
    if code == 1:
        return f"needs volumes larger than {volumes[-1]:.3f} Å³"
    return f"needs volumes smaller than {volumes[0]:.3f} Å³" if code == -1 else "no equation of state fits"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _doubts(reading: ThermalReading, kind: eos.Kind, pressures: Array) -> Array:
    """Return where α(T) turns from bending down to bending up for good: beyond, anharmonicity cannot be left out.

    P. Carrier, R. Wentzcovitch & J. Tsuchiya, Phys. Rev. B 76, 064116 (2007), doi:10.1103/PhysRevB.76.064116.
    """
    known = reading.table.temperatures_K
    nothing = np.full(len(pressures), np.nan)
    if len(known) < 15:
        return nothing
    t = np.linspace(known[0], known[-1], min(len(known), _LIMIT_POINTS))
    table = reading.table.at_temperatures(t)
    # errors are not wanted here: one fit a temperature
    whole, _ = fit_isotherms(table, kind, errors=False)
    alpha = minimise(whole, None, pressures, t).thermal_expansion_per_K
    return np.array([bends_up_K(t, row) for row in alpha])


def bends_up_K(t: Array, alpha: Array) -> float:
    """Return the temperature (K) from which α(T) bends upwards for good, nan where it does not; both of shape (m,)."""
    inside = np.isfinite(alpha)
    t, alpha = t[inside], alpha[inside]
    if len(t) < 10:
        return float("nan")
    bend = np.gradient(np.gradient(alpha, t), t)[2:-2]
    down = np.flatnonzero(bend < 0.0)
    if not down.size or down[-1] >= len(bend) - 3:
        return float("nan")
    return float(t[2:-2][down[-1] + 1])


def _notes(answer: ThermoAnswer) -> list[str]:
    reading, g = answer.reading, answer.gibbs
    notes = list(reading.notes)
    missing = np.count_nonzero(g.beyond)
    if missing:
        notes.append(
            f"{missing} of {g.beyond.size} rows have no number: their volume is not between those of the files, and "
            "nothing is extrapolated"
        )
    nowhere = [f"{p:g}" for p, row in zip(g.pressures_GPa, g.beyond, strict=True) if row.all()]
    if nowhere:
        notes.append(f"no temperature has a number at {', '.join(nowhere)} GPa: {_served(answer.isotherms, g)}")
    for p, limit in zip(g.pressures_GPa, answer.doubt_K, strict=True):
        if np.isfinite(limit) and g.temperatures_K[-1] > limit:
            notes.append(
                f"at {p:g} GPa the thermal expansion bends upwards above {limit:.0f} K, a sign that the quasi-harmonic "
                "approximation ends there"
            )
    if np.isnan(g.gibbs_error_eV[g.beyond == 0]).all():
        notes.append("there are no more volumes than parameters, so that no error can be told")
    if g.atoms is None:
        notes.append("the files do not say how many atoms the cell has: nothing is told per atom")
    return notes
