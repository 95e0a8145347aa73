"""The answer of a study of phonons as the terminal shows it."""

from __future__ import annotations

from typing import Any


def study_text(answer: dict[str, Any]) -> str:
    """Return the text of the answer: stability, lowest and highest frequency, zero-point energy with its error."""
    lines = [
        f"{each['phase']}: {each['count']} supercells a volume, {each['displacements']}, {each['displacement_A']:g} Å"
        for each in answer["supercells"]
    ]
    width = max((len(each["phase"]) for each in answer["phases"]), default=5) + 2
    lines += [
        "",
        f"{'phase':<{width}}{'P, GPa':>8}{'V, Å³/atom':>12}{'highest, THz':>14}{'ZPE, meV/atom':>18}  stable",
    ]
    for each in answer["phases"]:
        start = f"{each['phase']:<{width}}{each['pressure_GPa']:>8g}"
        if "missing" in each:
            lines.append(f"{start}  {each['missing']}")
            continue
        energy = f"{1000 * each['zero_point_eV_per_atom']:.1f} ± {1000 * each['zero_point_error_eV_per_atom']:.1f}"
        lines.append(
            f"{start}{each['volume_A3_per_atom']:>12.3f}{each['highest_THz']:>14.2f}{energy:>18}  {_stability(each)}"
        )
    for each in answer["failures"]:
        lines.append(f"Failed: {each['phase']}, {each['what']}: {each['detail'] or each['cause']}")
    notes = dict.fromkeys(
        [
            f"{each['phase']} at {each['pressure_GPa']:g} GPa: {note}"
            for each in answer["phases"]
            for note in each["notes"]
        ]
        + answer["notes"]
    )
    return "\n".join([*lines, *(f"Note: {note}" for note in notes)])


def _stability(each: dict[str, Any]) -> str:
    if each["stable"]:
        return "yes"
    lowest = each["imaginary"][0]
    where = ", ".join(f"{value:.3g}" for value in lowest["q"])
    how = "" if lowest["commensurate"] else ", between the supercell's own q"
    return f"NO: {-lowest['frequency_THz']:.2f}i THz at ({where}){how}"
