"""Curves, hulls and transitions as pandas frames and as pymatgen's entries: numbers with their units in the columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.curve import Curve
from megabar.analysis.hull_points import hull_points
from megabar.analysis.stability import Stability
from megabar.analysis.superconductivity.spectral import SpectralFunction
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.entries.computed_entries import ComputedEntry

    from megabar.analysis.tables import Table

INTERVAL_COLUMNS = (
    "phase", "formula", "from_GPa", "to_GPa", "from_open", "to_open", "from_error_GPa", "to_error_GPa",
)  # fmt: skip
TRANSITION_COLUMNS = (
    "pressure_GPa", "error_GPa", "reaction", "reaction_of_phases", "delta_volume_A3_per_atom", "appears",
    "disappears", "resolved",
)  # fmt: skip
ENTHALPY_COLUMNS = (
    "phase", "formula", "pressure_GPa", "enthalpy_eV_per_atom", "uncertainty_eV_per_atom", "volume_A3_per_atom",
)  # fmt: skip
HULL_COLUMNS = ("formula", "formation_enthalpy_eV_per_atom", "above_hull_eV_per_atom", "stable")


def stable_frame(stability: Stability | None) -> DataFrame:
    """Return the ranges of pressure over which phases are stable, a row each; errors are nan where not known."""
    from pandas import DataFrame

    rows = [asdict(each) for each in stability.intervals] if stability else []
    frame = DataFrame(rows, columns=list(INTERVAL_COLUMNS))
    errors = ["from_error_GPa", "to_error_GPa"]
    return frame.astype(dict.fromkeys(errors, float))


def transitions_frame(stability: Stability | None) -> DataFrame:
    """Return the transitions, a row each; the parts of their errors are columns ``error_<part>_GPa``, nan if absent."""
    from pandas import DataFrame

    transitions = stability.transitions if stability else ()
    parts = list(dict.fromkeys(name for each in transitions for name in each.error_parts_GPa))
    columns = {name: f"error_{'_'.join(name.split())}_GPa" for name in parts}
    rows = [
        {
            "pressure_GPa": each.pressure_GPa,
            "error_GPa": each.error_GPa,
            **{columns[name]: each.error_parts_GPa.get(name, np.nan) for name in parts},
            "reaction": each.reaction.text,
            "reaction_of_phases": each.reaction.phases_text,
            "delta_volume_A3_per_atom": each.delta_volume,
            "appears": ", ".join(each.appears),
            "disappears": ", ".join(each.disappears),
            "resolved": each.resolved,
        }
        for each in transitions
    ]
    first, rest = TRANSITION_COLUMNS[:2], TRANSITION_COLUMNS[2:]
    return DataFrame(rows, columns=[*first, *columns.values(), *rest]).astype({"error_GPa": float})


def warm_transitions_frame(
    hulls: Sequence[tuple[float, str, Stability | None, Sequence[float | None]]],
) -> DataFrame:
    """Return the transitions of hulls at temperatures, a row each; columns as `transitions_frame`, and three more.

    hulls: temperature (K), isotopes, stability, and the slopes dP/dT (GPa/K) of its transitions, None where not known.
    """
    from pandas import DataFrame, concat

    found = []
    for temperature, isotopes, stability, slopes in hulls:
        frame = transitions_frame(stability)
        frame.insert(0, "temperature_K", float(temperature))
        frame.insert(1, "isotopes", isotopes)
        frame.insert(4, "slope_GPa_per_K", np.array(slopes, dtype=float))
        found.append(frame)
    known = [frame for frame in found if len(frame)]
    if not known:
        columns = ["temperature_K", "isotopes", *TRANSITION_COLUMNS[:2], "slope_GPa_per_K", *TRANSITION_COLUMNS[2:]]
        return DataFrame([], columns=columns)
    return concat(known, ignore_index=True)


def enthalpies_frame(curves: Sequence[Curve], pressures_GPa: ArrayLike) -> DataFrame:
    """Return enthalpy, uncertainty and volume at some pressures (GPa), a row a phase and pressure at which it is known.

    The columns are those of the tables that ``megabar hull FILE.csv`` reads.
    """
    from pandas import DataFrame

    pressures = np.atleast_1d(np.asarray(pressures_GPa, dtype=float))
    rows = []
    for curve in curves:
        columns = (pressures, curve.enthalpy(pressures), curve.uncertainty(pressures), curve.volume(pressures))
        rows += [
            (curve.phase, curve.formula, p, h, s, v)
            for p, h, s, v in zip(*(each.tolist() for each in columns), strict=True)
            if isfinite(h)
        ]
    return DataFrame(rows, columns=list(ENTHALPY_COLUMNS))


def hull_frame(curves: Sequence[Curve], pressure_GPa: float) -> DataFrame:
    """Return the hull at a pressure (GPa), a row a phase, the lowest first: formation enthalpy and height above it.

    Raises InputError where an element has no phase there.
    """
    from pandas import DataFrame

    [point] = hull_points(curves, [pressure_GPa]) if curves else [None]
    if point is None or not point.above_eV:
        raise InputError(f"there is no hull at {pressure_GPa:g} GPa: an element has no phase that is known there")
    formula = {curve.phase: curve.formula for curve in curves}
    rows = [
        (formula[phase], point.formation_eV[phase], above, phase in point.stable)
        for phase, above in sorted(point.above_eV.items(), key=lambda pair: pair[1])
    ]
    frame = DataFrame(rows, columns=list(HULL_COLUMNS), index=sorted(point.above_eV, key=point.above_eV.__getitem__))
    return frame.rename_axis("phase")


def entries_at(curves: Sequence[Curve], pressure_GPa: float) -> list[ComputedEntry]:
    """Return pymatgen's entries of the phases that are known at a pressure (GPa), their enthalpies (eV) as energies.

    An entry is of one reduced formula, its ``entry_id`` the phase's name. Enthalpies of one pressure alone go together.
    Raises InputError where no phase is known there.
    """
    from pymatgen.core import Composition
    from pymatgen.entries.computed_entries import ComputedEntry

    found = []
    with _without_word_of_helium():
        for curve in curves:
            enthalpy, composition = float(curve.enthalpy(pressure_GPa)), Composition(curve.formula)
            if isfinite(enthalpy):
                data = {"phase": curve.phase, "pressure_GPa": pressure_GPa}
                energy = enthalpy * composition.num_atoms
                found.append(ComputedEntry(composition, energy, entry_id=curve.phase, data=data))
    if not found:
        raise InputError(f"no phase is known at {pressure_GPa:g} GPa")
    return found


def table_of_entries(entries: Sequence[PDEntry]) -> Table:
    """Return pymatgen's entries as a table: their energies (eV) are enthalpies at ``data["pressure_GPa"]``, else 0 GPa.

    Those with one name, or ``entry_id``, are one phase at several pressures. Raises InputError for none, and for two
    that differ at the same pressure.
    """
    from megabar.analysis.tables import LEAST_TIE_eV, Table, TabulatedCurve
    from megabar.structures.composition import formula_text, parse_formula, reduced

    if not entries:
        raise InputError("there are no entries; a hull needs at least one of each element")
    phases: dict[str, dict[float, float]] = {}
    formulas: dict[str, str] = {}
    for each in entries:
        formula = formula_text(reduced(parse_formula(each.composition.formula.replace(" ", ""))))
        name = str(getattr(each, "entry_id", None) or getattr(each, "name", None) or formula)
        pressure = float((getattr(each, "data", None) or {}).get("pressure_GPa", 0.0))
        if formulas.setdefault(name, formula) != formula or pressure in phases.get(name, {}):
            raise InputError(f"two entries at {pressure:g} GPa have the name {name}; give each phase its `entry_id`")
        phases.setdefault(name, {})[pressure] = float(each.energy_per_atom)
    curves = []
    for name, points in phases.items():
        pressures = np.array(sorted(points))
        unknown = np.full(len(pressures), np.nan)
        enthalpies = np.array([points[p] for p in pressures.tolist()])
        curves.append(TabulatedCurve(name, formulas[name], pressures, enthalpies, unknown))
    return Table(Path("pymatgen entries"), tuple(curves), False, False, LEAST_TIE_eV, ())


def phase_diagram_at(curves: Sequence[Curve], pressure_GPa: float) -> PhaseDiagram:
    """Return pymatgen's phase diagram at a pressure (GPa); raises InputError where an element has no phase there."""
    from pymatgen.analysis.phase_diagram import PhaseDiagram

    hull_frame(curves, pressure_GPa)
    entries = entries_at(curves, pressure_GPa)
    with _without_word_of_helium():
        return PhaseDiagram(entries)


@contextmanager
def _without_word_of_helium() -> Iterator[None]:
    """Have pymatgen not warn that helium has no electronegativity, by which it would order a formula."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No Pauling electronegativity")
        yield


def alpha2f_frame(spectrum: SpectralFunction) -> DataFrame:
    """Return α²F with λ(ω), what it adds up to by then, a row a frequency (meV)."""
    from pandas import DataFrame

    columns = {"frequency_meV": spectrum.omega_meV, "alpha2f": spectrum.alpha2f}
    return DataFrame({**columns, "lambda": np.cumsum(spectrum.mode_lambda)})
