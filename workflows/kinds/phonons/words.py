"""The answer of a study of phonons in sentences, and its notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from megabar.workflows.report.values import measured

MOST_TOLD = 4
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Sentence:
    """A statement, and what is said besides; warns: whether it is one of instability or of something missing."""

    text: str
    note: str = ""
    warns: bool = False


def sentences(answer: Mapping[str, Any]) -> list[Sentence]:
    """Return what an answer says of each phase at the pressures asked for: stable or not, zero-point energies."""
    found = []
    for phase in dict.fromkeys(each["phase"] for each in answer["phases"]):
        own = [each for each in answer["phases"] if each["phase"] == phase and each["asked"]]
        there = [each for each in own if "missing" not in each]
        stable = [each for each in there if each["stable"]]
        if stable:
            found.append(Sentence(f"{phase} is dynamically stable at {_pressures(stable)}", _energies(stable)))
        for each in there:
            if not each["stable"]:
                found.append(Sentence(f"{phase} is not dynamically stable at {_pressures([each])}", lowest(each), True))
        for why in dict.fromkeys(each["missing"] for each in own if "missing" in each):
            without = [each for each in own if each.get("missing") == why]
            found.append(Sentence(f"{phase} has no force constants at {_pressures(without)}", why, True))
    return found


def lowest(crystal: Mapping[str, Any]) -> str:
    """Return the lowest imaginary mode in words."""
    mode = crystal["imaginary"][0]
    how = "" if mode["commensurate"] else ", between the q of the supercell, where it is interpolated"
    return f"lowest mode {-mode['frequency_THz']:.2f}i THz at q = {q_text(mode['q'])}{how}"


def q_text(q: Sequence[float]) -> str:
    """Return a q-point: fractions of the primitive reciprocal vectors."""
    return f"({', '.join(f'{value:.3g}'.replace('-', '−') for value in q)})"


def _pressures(rows: Rows) -> str:
    values = [f"{each['pressure_GPa']:g}".replace("-", "−") for each in rows]
    listed = values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
    return f"{listed} GPa"


def _energies(rows: Rows) -> str:
    if len(rows) > MOST_TOLD:
        rows = [rows[0], rows[-1]]
    said = [
        measured(1000 * each["zero_point_eV_per_atom"], 1000 * each["zero_point_error_eV_per_atom"]) for each in rows
    ]
    return f"zero-point energy {' and '.join([', '.join(said[:-1]), said[-1]] if said[:-1] else said)} meV/atom"


def notes_of(answer: Mapping[str, Any]) -> list[str]:
    """Return the notes of an answer, those that several crystals share once."""
    said: dict[str, list[str]] = {}
    for each in answer["phases"]:
        for note in each["notes"]:
            said.setdefault(note, []).append(f"{each['phase']} at {each['pressure_GPa']:g} GPa")
    found = [
        f"{', '.join(where) if len(where) < 4 else f'{len(where)} crystals'}: {note}" for note, where in said.items()
    ]
    found += [f"{each['phase']}: {note}" for each in answer["thermo"] for note in each["notes"]]
    return [*found, *answer["notes"]]
