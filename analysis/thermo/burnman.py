"""A thermal equation of state as BurnMan takes it: a Python file with the mineral, a JSON file with the covariance.

R. Myhill et al., J. Open Source Softw. 8, 5389 (2023), doi:10.21105/joss.05389.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import J, _Nav, mol
from numpy.typing import NDArray

from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.stixrude import NAMES, REFERENCE_K, ThermalEos, deviations, fit_thermal_eos
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.composition import parse_formula
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
OFF = ("volume_off_at_most", "bulk_modulus_off_at_most")
"""Relative, over the rows of the answer."""
UNITS = {"F_0": "J/mol", "V_0": "m^3/mol", "K_0": "Pa", "Debye_0": "K"}
_M3_PER_A3 = 1e-30 * _Nav


def burnman_files(
    table: HelmholtzTable, name: str, formula: str | None = None, gibbs: GibbsTable | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the texts of the files by their endings (.py, .json), and what is to be said of the fit.

    gibbs: V and K_T at some pressures and temperatures; how far the fit is from them is told, and written.
    formula: of the phase, as ``MgSiO3``: the mineral is then per formula unit and has a mass; without, per cell and of
    no mass, so that BurnMan knows no density. Raises InputError where the form cannot be fitted, or for a formula whose
    atoms are not those of the cell.
    """
    fit = fit_thermal_eos(table)
    off = (np.nan, np.nan) if gibbs is None else deviations(fit, gibbs)
    units = 1 if formula is None else _formula_units(formula, fit.atoms)
    factors = np.array([J**-1 * mol / units, _M3_PER_A3 / units, 1e9, 1.0, 1.0, 1.0, 1.0])
    values, covariance = fit.values * factors, fit.covariance * np.outer(factors, factors)
    parameters: dict[str, Any] = {"name": name, "equation_of_state": "slb3", "T_0": REFERENCE_K}
    parameters |= {key: float(value) for key, value in zip(NAMES, values, strict=True)}
    parameters |= {"n": fit.atoms // units, **_composition(formula)}
    document = {
        "parameters": parameters,
        "covariance": {"names": list(NAMES), "units": UNITS, "matrix": covariance.tolist()},
        "fitted": {
            "misfit_eV": fit.misfit_eV, "volume_from_A3": fit.from_A3, "volume_to_A3": fit.to_A3, "to_K": fit.to_K,
            "atoms": fit.atoms, "formula_units": units,
            **{name: value for name, value in zip(OFF, off, strict=True) if np.isfinite(value)},
        },
    }  # fmt: skip
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return {".py": _module(document, fit, formula), ".json": text + "\n"}, _said(document, covariance)


def _formula_units(formula: str, atoms: int) -> int:
    count = sum(parse_formula(formula).values())
    if atoms % count:
        raise InputError(f"--formula is {formula}, of {count} atoms, and the cell has {atoms}: not so many of them")
    return atoms // int(count)


def _composition(formula: str | None) -> dict[str, Any]:
    if formula is None:
        return {}
    counts = {element: int(count) for element, count in parse_formula(formula).items()}
    grams = sum(count * float(atomic_masses[atomic_numbers[element]]) for element, count in counts.items())
    return {"formula": counts, "molar_mass": grams / 1000.0}


def _said(document: dict[str, Any], covariance: Array) -> dict[str, Any]:
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return {
        "parameters": {key: document["parameters"][key] for key in NAMES},
        "errors": {key: float(error) for key, error in zip(NAMES, errors, strict=True)},
        "misfit_eV": document["fitted"]["misfit_eV"],
        **{name: document["fitted"][name] for name in OFF if name in document["fitted"]},
    }


def _module(document: dict[str, Any], fit: ThermalEos, formula: str | None) -> str:
    """Return a Python module that BurnMan's users import; a mass must be given where the formula is not known."""
    parameters = dict(document["parameters"])
    per = f"mole of {formula}" if formula else f"mole of the cell of {fit.atoms} atoms, whose formula was not given"
    mass = "" if formula else "    # without a formula the mass (kg/mol) is not known: set it for densities\n"
    rows = ",\n".join(f"        {key!r}: {value!r}" for key, value in parameters.items())
    rows += (
        ",\n" + (mass.replace("    #", "        #", 1) + "        'molar_mass': 1.0," if not formula else "").rstrip()
    )
    matrix = ",\n".join(f"    {row!r}" for row in document["covariance"]["matrix"])
    return f'''"""{parameters["name"]}: thermal equation of state for BurnMan, per {per}, SI units.

Stixrude & Lithgow-Bertelloni (2005), third order, fitted by megabar to F(V,T) from {fit.from_A3:.3f} to {fit.to_A3:.3f}
cubic angstrom of the cell and up to {fit.to_K:g} K; root mean square misfit {1000 * fit.misfit_eV:.3f} meV a cell.
Shear moduli are not known from it.
"""

from burnman import Mineral


def mineral():
    """Return the mineral."""
    return Mineral(dict(PARAMETERS))


PARAMETERS = {{
{rows.replace("        ", "    ").rstrip()}
}}
FITTED = {list(NAMES)!r}
"""The parameters that COVARIANCE is of."""
COVARIANCE = [
{matrix},
]
'''
