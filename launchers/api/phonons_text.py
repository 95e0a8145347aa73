"""Lattice dynamics as the terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MODES_A_LINE = 9
MOST_ROWS = 6
ZERO = 5e-5


def phonons_text(document: dict[str, Any]) -> str:
    """Return the text of `megabar phonons`: of one crystal, or of several one after the other."""
    several = document.get("phases")
    lines: list[str] = []
    for each in several or [document]:
        lines += [*_crystal(each), *(f"Note: {note}" for note in each["notes"]), ""]
    for each in document.get("gruneisen", []):
        lines += [*_gruneisen(each), ""]
    for key, what in (("figures", "Figure"), ("exported", "Written")):
        lines += [f"{what}: {path}" for path in document.get(key, [])]
    return "\n".join(lines).rstrip("\n")


def _crystal(document: dict[str, Any]) -> list[str]:
    pressure = document["pressure_GPa"]
    lines = [
        f"{document['file']}: {document['formula']} {document['space_group']}, {document['atoms']} atoms, "
        f"{document['volume_A3_per_atom']:.4f} Å³/atom" + ("" if pressure is None else f", {pressure:g} GPa"),
        f"  supercell of {document['supercell_atoms']} atoms, images {document['supercell_images_A']:.2f} Å apart; "
        f"mesh {'×'.join(map(str, document['mesh']))}; "
        + ("with Born charges" if document["polar"] else "without Born charges"),
        "",
        *_stability(document),
        f"  zero-point energy    {1000 * document['zero_point_eV_per_atom']:.3f} ± "
        f"{1000 * document['zero_point_error_eV_per_atom']:.2g} meV/atom  "
        f"({_parts(document['zero_point_error_parts_eV_per_atom'])})",
    ]
    if document["debye_temperature_K"] is not None:
        sound = document["debye_temperature_sound_K"]
        lines.append(
            f"  Debye temperature    {document['debye_temperature_K']:.0f} K (⟨ω²⟩), "
            f"{document['debye_temperature_zero_point_K']:.0f} K (zero-point energy)"
            + ("" if sound is None else f", {sound:.0f} K (sound)")
        )
    return [*lines, "", *_frequencies(document), "", *_thermal(document)]


def _stability(document: dict[str, Any]) -> list[str]:
    if document["stable"]:
        return ["  dynamically stable   no imaginary modes"]
    lines = ["  dynamically UNSTABLE imaginary modes:"]
    for mode in document["imaginary"][:MOST_ROWS]:
        where = "" if mode["commensurate"] else "  (interpolated)"
        lines.append(f"    {-mode['frequency_THz']:8.4f}i THz at q = {_point(mode['q'])}{where}")
    more = len(document["imaginary"]) - MOST_ROWS
    return [*lines, f"    and {more} more"] if more > 0 else lines


def _frequencies(document: dict[str, Any]) -> list[str]:
    lines = []
    rows = zip(document["q"], document["frequencies_THz"], document["frequencies_error_THz"], strict=True)
    for place, (q, frequencies, errors) in enumerate(rows):
        lines.append(f"  THz at q = {_point(q)}, ± up to {max(errors):.2g}")
        lines += _table(frequencies, "{:9.4f}")
        if "group_velocities_km_s" in document:
            speeds = [sum(x * x for x in v) ** 0.5 for v in document["group_velocities_km_s"][place]]
            lines += ["    group velocities, km/s", *_table(speeds, "{:9.3f}")]
    shown: list[list[float]] = []
    for limit in document.get("gamma_limits", []):
        if any(_same(limit["frequencies_THz"], other) for other in shown):
            continue
        shown.append(limit["frequencies_THz"])
        lines.append(f"  THz towards Γ along {_point(limit['direction'])}")
        lines += _table(limit["frequencies_THz"], "{:9.4f}")
    return lines


def _thermal(document: dict[str, Any]) -> list[str]:
    lines = [f"{'T, K':>10}{'F, meV/atom':>16}{'±':>8}{'S, k_B/atom':>14}{'C_V, k_B/atom':>15}{'⟨u²⟩, Å²':>24}"]
    species = document["species"]
    for row in document["temperatures"]:
        moved = row["mean_square_displacement_A2"]
        own = {} if moved is None else dict(zip(species, moved, strict=True))  # one atom of each element
        text = ", ".join(f"{name} {value:.4f}" for name, value in own.items()) or "-"
        lines.append(
            f"{row['temperature_K']:>10g}{1000 * row['free_energy_eV_per_atom']:>16.3f}"
            f"{1000 * row['free_energy_error_eV_per_atom']:>8.2g}{row['entropy_kB_per_atom']:>14.4f}"
            f"{row['heat_capacity_kB_per_atom']:>15.4f}{text:>24}"
        )
    return lines


def _gruneisen(found: dict[str, Any]) -> list[str]:
    lines = [
        f"Grüneisen parameters at {found['volume_A3_per_atom']:.4f} Å³/atom, from volumes that differ by "
        f"{found['volume_difference_share']:.2%}: of the zero-point energy {found['gruneisen_zero_point']:.4f}"
    ]
    known = [row for row in found["temperatures"] if row["gruneisen"] is not None]
    lines += [f"  mean at {row['temperature_K']:g} K: {row['gruneisen']:.4f}" for row in known]
    for q, row in zip(found["q"], found["gruneisen_parameters"], strict=True):
        lines.append(f"  of the modes at q = {_point(q)}")
        lines += _table(row, "{:9.4f}")
    return lines


def _table(values: Sequence[float | None], style: str) -> list[str]:
    cells = [f"{'-':>9}" if value is None else style.format(value if abs(value) > ZERO else 0.0) for value in values]
    return ["    " + "".join(cells[i : i + MODES_A_LINE]) for i in range(0, len(cells), MODES_A_LINE)]


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(x - y) < ZERO for x, y in zip(one, other, strict=True))


def _point(q: Sequence[float]) -> str:
    return "(" + ", ".join(f"{x:.4g}" for x in q) + ")"


def _parts(parts: dict[str, float]) -> str:
    return ", ".join(f"{cause} {1000 * value:.2g}" for cause, value in parts.items())
