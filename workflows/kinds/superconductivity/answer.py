"""The answer of a study of superconductivity from the results that are there: Tc, its error, what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature
from megabar.analysis.superconductivity.elph import ElectronPhonon, reading, total_lambda
from megabar.analysis.superconductivity.isotopes import (
    isotope_reading,
    natural_reference_meV,
    substitution_exponents,
)
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.report import tc_document, variant_row
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.electrons import band_of
from megabar.workflows.kinds.superconductivity.gather import gathered
from megabar.workflows.kinds.superconductivity.grids import coarser
from megabar.workflows.kinds.superconductivity.plan import MAIN, TcPlan, TcRung
from megabar.workflows.kinds.superconductivity.wants import (
    AtPressure,
    asked_at,
    q_points,
    settled,
    volume_curve,
    with_structures,
)
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import PhononQ

Records = Mapping[str, CalculationRecord]
Histories = Callable[[str], dict[str, NDArray[Any]]]
NATURAL = "natural"
AT_LAMBDA = "tc_eliashberg_of_that_lambda_K"
"""Tc of the α²F of the finer q-grid, scaled to the λ of the coarser one."""
KEPT = ("lambda", "omega_log_K", "omega_2_K", "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K", "tc_eliashberg_K")


@dataclass(frozen=True, eq=False)
class TcAt:
    """What is known at one pressure.

    reached_GPa, volume_A3: of the structure that was computed. done, points: q-points that are there, and all.
    readings: α²F of every smearing by isotopes (``natural`` first); documents: Tc by isotopes, then by μ*.
    lambda_coarse, documents_coarse: on the coarser q-grid, at the same smearing, natural masses.
    missing: why there is no Tc, empty where there is one. notes: what a reader must know.
    """

    pressure_GPa: float
    reached_GPa: float | None
    volume_A3: float | None
    structure: Structure | None
    done: int
    points: int | None
    readings: Mapping[str, Reading]
    documents: Mapping[str, Sequence[dict[str, Any]]]
    coarse: Sequence[dict[str, Any]]
    missing: str
    notes: tuple[str, ...]

    def error(self, place: int, key: str = "tc_eliashberg_K") -> float | None:
        """Return the error of a value at a μ* (its number): what smearing and q-grid move it by, None if not known."""
        document = self.documents[NATURAL][place]
        spread = document.get("lambda_over_smearing" if key == "lambda" else "tc_eliashberg_over_smearing_K")
        parts = [] if spread is None else [(spread[1] - spread[0]) / 2]
        if self.coarse and key in self.coarse[place] and key in document:
            # λ and frequencies may differ much between the grids, and Tc by chance not at all.
            names = (key, AT_LAMBDA) if key == "tc_eliashberg_K" else (key,)
            parts.append(max(abs(document[key] - self.coarse[place][name]) for name in names))
        return hypot(*parts) if parts else None

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        content: dict[str, Any] = {
            "pressure_GPa": self.pressure_GPa,
            "computed_at_GPa": self.reached_GPa,
            "volume_A3_per_atom": self.volume_A3,
            "q_points": self.points,
            "q_points_done": self.done,
        }
        if self.missing:
            return {**content, "missing": self.missing, "notes": list(self.notes)}
        by_isotopes = {}
        for isotopes, documents in self.documents.items():
            rows = []
            for place, document in enumerate(documents):
                row = {name: value for name, value in document.items() if name not in ("file", "notes")}
                if isotopes == NATURAL:
                    row["lambda_error"] = self.error(place, "lambda")
                    row["tc_eliashberg_error_K"] = self.error(place)
                    if self.coarse:
                        row["coarser_q_grid"] = self.coarse[place]
                rows.append(row)
            by_isotopes[isotopes] = rows
        return {**content, "tc": by_isotopes, "notes": list(self.notes)}


@dataclass(frozen=True)
class Failed:
    """A calculation without a result."""

    phase: str
    what: str
    key: str
    cause: str
    detail: str


@dataclass(frozen=True, eq=False)
class TcAnswer:
    """What a study of superconductivity has found so far."""

    plan: TcPlan
    pressures: tuple[TcAt, ...]
    failures: tuple[Failed, ...]
    notes: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""
        method, plan = self.plan.method, self.plan
        return {
            "structure": plan.ladder.phase,
            "formula": plan.ladder.formula,
            "method": {
                "code": method.code,
                "version": method.version,
                "functional": method.functional,
                "protocol": method.protocol,
            },
            "grids": {"q": list(plan.grids.q), "k": list(plan.grids.k), "k_dense": list(plan.grids.dense)},
            "mu_star": list(plan.mu_star),
            "pressures": [each.json() for each in self.pressures],
            "failures": [vars(each) for each in self.failures],
            "notes": list(self.notes),
        }


def answer(plan: TcPlan, rungs: Sequence[Mapping[str, Any]], records: Records, histories: Histories) -> TcAnswer:
    """Return the answer; histories: returns the arrays of a calculation by its key (the files of a q-point)."""
    parsed = with_structures(rungs, records)
    notes = [f"phonons are harmonic, the structure is that of the static lattice ({plan.method.functional})"]
    if coarser(plan.grids.q) is None:
        notes.append("no coarser q-grid lies within this one: how λ converges with q is not known")
    failures = tuple(
        Failed(rung.phase, _what(rung), rung.key, record.cause or record.state, record.detail or "")
        for rung in parsed
        if (record := records.get(rung.key)) is not None and not record.done
    )
    found = tuple(_at(plan, asked_at(parsed, each), parsed, records, histories) for each in plan.pressures_GPa)
    return TcAnswer(plan, found, failures, tuple(notes))


def _what(rung: TcRung) -> str:
    if rung.kind == "phonon":
        return f"q-point {rung.index}"
    return {"ground-state": "ground state", MAIN: f"volume {rung.index}"}.get(rung.kind, f"structure {rung.index}")


def _at(plan: TcPlan, asked: AtPressure, rungs: Sequence[TcRung], records: Records, histories: Histories) -> TcAt:
    record = settled(asked, records)
    structure = asked.ground_state.structure if asked.ground_state else None
    total = None if structure is None else q_points(plan, structure, asked, records)
    done = [rung for rung in asked.phonons if rung.key in records and records[rung.key].done]
    done = [rung for rung in done if total is None or rung.index <= total]
    reached = record.pressure_GPa if record else None
    volume = record.volume_A3_per_atom if record else None

    def without(why: str) -> TcAt:
        return TcAt(asked.pressure_GPa, reached, volume, structure, len(done), total, {}, {}, (), why, ())

    missing = _missing(plan, asked, rungs, records, total, done)
    if missing:
        return without(missing)
    points = tuple((rung.key, PhononQ().result(records[rung.key], {}).q) for rung in done)
    try:
        whole, readings, coarse, notes = _readings(plan, asked.pressure_GPa, points, histories)
        # The highest frequency of the natural masses, for all isotopes: the repulsion knows nothing of masses.
        reference = plan.mu_ref_meV or natural_reference_meV(readings[NATURAL])
        electrons, why = band_of(asked.ground_state, records, histories)
        documents = {
            name: [tc_document(each, mu, reference, electrons) for mu in plan.mu_star]
            for name, each in readings.items()
        }
        for document in (each for name, rows in documents.items() if name != NATURAL for each in rows):
            exponents = substitution_exponents(whole, readings[NATURAL], plan.isotopes, document["mu_star"], reference)
            document["isotope_exponent_by_substitution"] = exponents
        notes += why
    except InputError as error:
        return without(str(error))
    rough = [_on_coarser(coarse, readings[NATURAL], mu, reference) for mu in plan.mu_star] if coarse else []
    said = [note for each in documents.values() for document in each for note in document["notes"]]
    notes = tuple(dict.fromkeys((*notes, *said)))
    return TcAt(asked.pressure_GPa, reached, volume, structure, len(done), total, readings, documents, rough, "", notes)


def _missing(
    plan: TcPlan,
    asked: AtPressure,
    rungs: Sequence[TcRung],
    records: Records,
    total: int | None,
    done: Sequence[TcRung],
) -> str:
    """Return why there is no Tc at a pressure, empty where all is there."""
    if settled(asked, records) is None:
        failed = any(rung.key in records and not records[rung.key].done for rung in asked.trials)
        if failed:
            return "the structure at this pressure could not be computed"
        closed = all(rung.key in records for rung in rungs)
        outside = closed and not asked.trials and volume_curve(plan, rungs, records) is not None
        return "the volumes computed do not reach this pressure" if outside else "the structure is not computed yet"
    if asked.ground_state is None or asked.ground_state.key not in records:
        return "the ground state is not computed yet"
    ground = records[asked.ground_state.key]
    if not ground.done:
        return f"the ground state failed: {ground.detail or ground.cause}"
    there = {int(rung.index) for rung in done}
    lacking = [number for number in range(1, (total or 0) + 1) if number not in there]
    if lacking:
        failed_points = [rung for rung in asked.phonons if rung.key in records and not records[rung.key].done]
        how = f", {len(failed_points)} of them failed" if failed_points else ""
        return f"q-points {', '.join(map(str, lacking))} of {total} are missing{how}"
    return ""


def _readings(
    plan: TcPlan, pressure_GPa: float, points: tuple[tuple[str, tuple[float, ...]], ...], histories: Histories
) -> tuple[ElectronPhonon, dict[str, Reading], Reading | None, tuple[str, ...]]:
    """Return the coupling, α²F by isotopes, on the coarser grid at the same smearing, and what to know of that."""
    grid, within, source = plan.grids.q, coarser(plan.grids.q), plan.name_at(pressure_GPa)
    files = [(histories(key), q) for key, q in points]
    whole, part = gathered(files, grid, within, source)
    readings = {NATURAL: reading(whole)}
    if plan.isotopes:
        name = ", ".join(f"{element}={mass:g}" for element, mass in plan.isotopes.items())
        readings[name] = isotope_reading(whole, readings[NATURAL], plan.isotopes)
    if part is None or not np.all(total_lambda(part) > 0):
        return whole, readings, None, ()
    rough = reading(part)
    chosen = readings[NATURAL].chosen
    lambdas = [float(each.variants[chosen].spectrum.lambda_) for each in (readings[NATURAL], rough)]
    note = (
        f"q {_times(grid)} gives λ = {lambdas[0]:.3f}, q {_times(within or grid)} within it {lambdas[1]:.3f}: the "
        "difference is taken for the error of the q-grid"
    )
    return whole, readings, replace(rough, chosen=chosen), (note,)


def _times(grid: Sequence[int]) -> str:
    return "×".join(map(str, grid))


def _on_coarser(coarse: Reading, fine: Reading, mu_star: float, reference_meV: float) -> dict[str, Any]:
    """Return λ, moments and Tc on the coarser q-grid, and what its λ alone would make of Tc (K)."""
    row = variant_row(coarse.variants[coarse.chosen], mu_star, reference_meV)
    spectrum = fine.spectrum
    scaled = replace(spectrum, alpha2f=spectrum.alpha2f * row["lambda"] / spectrum.lambda_)
    kept = {name: row[name] for name in KEPT if name in row}
    return {**kept, AT_LAMBDA: critical_temperature(scaled, mu_star, reference_meV)}
