"""The answer of a study of phonons as the terminal shows it."""

from __future__ import annotations

from typing import Any

from megabar.workflows.kinds.phonons.words import notes_of


def study_text(answer: dict[str, Any]) -> str:
    """Return the text of the answer: stability, zero-point energies, frequencies asked for, G(P,T), errors, notes."""
    lines = [
        f"{each['phase']}: {each['count']} supercells a volume, {each['displacements']}, {each['displacement_A']:g} Å"
        for each in answer["supercells"]
    ]
    width = max((len(each["phase"]) for each in answer["phases"]), default=5) + 2
    lines += ["", f"{'phase':<{width}}{'P, GPa':>8}{'V, Å³/atom':>12}{'max, THz':>10}{'ZPE, meV/atom':>18}  stable"]
    lines += [_crystal(each, width) for each in answer["phases"]]
    for each in answer["thermo"]:
        lines += ["", *_thermo(each)]
    if answer["elastic"]:
        from megabar.workflows.kinds.phonons.elastic import summary

        lines += ["", "Elastic constants (stress-strain):", *summary(answer["elastic"])]
    if answer["followed"]:
        from megabar.workflows.kinds.phonons import follow

        lines += ["", "Where imaginary modes lead to:", *follow.summary(answer["followed"])]
    for each in answer["failures"]:
        lines.append(f"Failed: {each['phase']}, {each['what']}: {each['detail'] or each['cause']}")
    for key, what in (("figures", "Figure"), ("exported", "Written")):
        lines += [f"{what}: {path}" for path in answer.get(key, [])]
    return "\n".join([*lines, *(f"Note: {note}" for note in notes_of(answer))])


def _crystal(each: dict[str, Any], width: int) -> str:
    start = f"{each['phase']:<{width}}{each['pressure_GPa']:>8g}"
    if "missing" in each:
        return f"{start}  {each['missing']}"
    energy = f"{1000 * each['zero_point_eV_per_atom']:.1f} ± {1000 * each['zero_point_error_eV_per_atom']:.1f}"
    row = f"{start}{each['volume_A3_per_atom']:>12.3f}{each['highest_frequency_THz']:>10.2f}{energy:>18}"
    return "\n".join([f"{row}  {_stability(each)}", *_frequencies(each)])


def _stability(each: dict[str, Any]) -> str:
    if each["stable"]:
        return "yes"
    lowest = each["imaginary"][0]
    where = ", ".join(f"{value:.3g}" for value in lowest["q"])
    how = "" if lowest["commensurate"] else ", between the supercell's own q"
    return f"NO: {-lowest['frequency_THz']:.2f}i THz at ({where}){how}"


def _frequencies(each: dict[str, Any]) -> list[str]:
    if each["q"] == [[0.0, 0.0, 0.0]]:
        return []
    return [
        f"    q ({', '.join(f'{value:.4g}' for value in q)}): {', '.join(f'{value:.3f}' for value in row)} THz"
        for q, row in zip(each["q"], each["frequencies_THz"], strict=True)
    ]


def _thermo(each: dict[str, Any]) -> list[str]:
    if "missing" in each:
        return [f"{each['phase']}: no quasi-harmonic free energy: {each['missing']}"]
    head = (
        f"{'P, GPa':>8}{'T, K':>8}{'V, Å³':>18}{'G, eV':>20}{'α, 1e-6/K':>11}{'K_T, GPa':>10}{'K_S, GPa':>10}"
        f"{'C_P, J/mol/K':>14}{'γ':>7}"
    )
    return [f"{each['phase']}, quasi-harmonic, a cell of {each['atoms']}:", head, *map(_row, each["rows"])]


def thermo_text(document: dict[str, Any]) -> str:
    """Return the text of ``megabar thermo`` of a study."""
    lines = [line for each in document["phases"] for line in ("", *_thermo(each))][1:]
    for key, what in (("figure", "Figure"), ("figures", "Figure"), ("burnman", "Written")):
        found = document.get(key, [])
        lines += [f"{what}: {path}" for path in ([found] if isinstance(found, str) else found)]
    notes = [f"{each['phase']}: {note}" for each in document["phases"] for note in each["notes"]]
    return "\n".join([*lines, *(f"Note: {note}" for note in notes)])


def _row(row: dict[str, Any]) -> str:
    def number(name: str, digits: int, factor: float = 1.0) -> str:
        return "–" if row[name] is None else f"{factor * row[name]:.{digits}f}"

    def with_error(name: str, error: str, digits: int) -> str:
        known = row[name] is not None and row[error] is not None
        return number(name, digits) + (f" ± {row[error]:.{digits}f}" if known else "")

    return (
        f"{row['pressure_GPa']:>8g}{row['temperature_K']:>8g}"
        f"{with_error('volume_A3', 'volume_error_A3', 3):>18}"
        f"{with_error('gibbs_eV', 'gibbs_error_eV', 4):>20}"
        f"{number('thermal_expansion_per_K', 1, 1e6):>11}{number('bulk_modulus_GPa', 1):>10}"
        f"{number('adiabatic_bulk_modulus_GPa', 1):>10}{number('heat_capacity_J_per_mol_K', 2):>14}"
        f"{number('gruneisen', 2):>7}"
    )
