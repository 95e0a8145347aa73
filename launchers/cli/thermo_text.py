"""What `megabar thermo` prints: a table over pressure and temperature, and what must be known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from megabar.launchers.cli.printing import empty_table

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (
    ("pressure_GPa", "GPa", "g", 1.0),
    ("temperature_K", "K", "g", 1.0),
    ("volume_A3", "V, Å³", ".4f", 1.0),
    ("volume_error_A3", "±", ".4f", 1.0),
    ("gibbs_eV", "G, eV", ".5f", 1.0),
    ("gibbs_error_eV", "±", ".5f", 1.0),
    ("thermal_expansion_per_K", "α, 10⁻⁶/K", ".2f", 1e6),
    ("bulk_modulus_GPa", "K_T, GPa", ".2f", 1.0),
    ("adiabatic_bulk_modulus_GPa", "K_S, GPa", ".2f", 1.0),
    ("heat_capacity_J_per_mol_K", "C_P, J/mol/K", ".3f", 1.0),
    ("entropy_J_per_mol_K", "S, J/mol/K", ".3f", 1.0),
    ("gruneisen", "γ", ".3f", 1.0),
    ("debye_temperature_K", "θ_D, K", ".0f", 1.0),
)
SHOWN = 21
"""Temperatures that are printed where none were asked for; JSON has them all."""


def thermo_picture(document: dict[str, Any], every: bool = True) -> RenderableType:
    """Return the table of a document, with what stands above and below it; every: print each row."""
    from rich.console import Group
    from rich.text import Text

    temperatures = sorted({row["temperature_K"] for row in document["rows"]})
    step = 1 if every else max(1, -(-len(temperatures) // SHOWN))
    shown = set(temperatures[::step])
    known = {name for row in document["rows"] for name, value in row.items() if value is not None}
    columns = [column for column in COLUMNS if column[0] in known]
    table = empty_table("", *(column[1] for column in columns), numbers=range(len(columns)))
    for row in document["rows"]:
        if row["temperature_K"] in shown:
            cells = [_cell(row.get(name), how, factor) for name, _, how, factor in columns]
            table.add_row(*cells)
    notes = [Text(f"Note: {note}") for note in document["notes"]]
    if step > 1:
        notes.append(Text(f"Every {step}. of {len(temperatures)} temperatures is shown; --json has all of them"))
    return Group(Text(_heading(document)), table, *notes, *(Text(line) for line in _export(document)))


def _cell(value: float | None, how: str, factor: float) -> str:
    if value is None:
        return "–"
    text = f"{value * factor:{how}}"
    return text.lstrip("-") if float(text) == 0.0 else text


def _heading(document: dict[str, Any]) -> str:
    cell = f"a cell of {document['atoms']} atoms" if document["atoms"] else "a cell"
    text = (
        f"{document['file']}: {document['code']}, {document['volumes']} volumes from {document['volume_from_A3']:.3f} "
        f"to {document['volume_to_A3']:.3f} Å³ of {cell}, {document['equation_of_state']}"
    )
    static = document["static"]
    if static:
        text += (
            f"\nstatic lattice: V0 {static['volume_A3']:.4f} Å³, K0 {static['bulk_modulus_GPa']:.2f} GPa, K0' "
            f"{static['bulk_modulus_derivative']:.3f}, misfit {1000 * static['misfit_eV']:.2f} meV"
        )
    return text


def _export(document: dict[str, Any]) -> list[str]:
    if "exported" not in document:
        return []
    said = document["export"]
    parameters = ", ".join(
        f"{name} {value:.5g} ± {said['errors'][name]:.2g}" for name, value in said["parameters"].items()
    )
    lines = [f"Written: {', '.join(document['exported'])}", parameters]
    if "volume_off_at_most" in said:
        volume, bulk = 100 * said["volume_off_at_most"], 100 * said["bulk_modulus_off_at_most"]
        lines.append(
            f"At the pressures and temperatures above its V is off by {volume:.2g}% at most, its K_T by {bulk:.2g}%"
        )
    return lines
