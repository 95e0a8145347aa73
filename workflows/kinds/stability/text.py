"""The answer of a stability study, or of a table, as the terminal shows it."""

from __future__ import annotations

from typing import Any

from megabar.structures.names import visible


def _bound(value: float, error: float | None, is_open: bool) -> str:
    text = f"{value:.1f}" + (f" ± {error:.1f}" if error is not None else "")
    return f"({text})" if is_open else text


def hull_text(answer: dict[str, Any]) -> str:
    """Return the text of `megabar hull`: stable phases, transitions, distances above the hull."""
    ranges = answer["stable"] or not answer.get("at_pressures")
    lines = ["Stable phases (GPa; in brackets: the end of what is known):"] if ranges else []
    width = max((len(each["phase"]) for each in answer["stable"]), default=0)
    for each in answer["stable"]:
        low = _bound(each["from_GPa"], each.get("from_error_GPa"), each.get("from_open", False))
        high = _bound(each["to_GPa"], each.get("to_error_GPa"), each.get("to_open", False))
        lines.append(f"  {each['phase']:<{width}}  {low} – {high}")
    lines += _transition_lines(answer) + _single_pressure_lines(answer)
    if "above_hull_eV_per_atom" in answer:
        lines += ["", f"Above the hull at {answer['at_GPa']:g} GPa (meV/atom):"]
        for phase, value in sorted(answer["above_hull_eV_per_atom"].items(), key=lambda item: item[1]):
            lines.append(f"  {phase:<{width}}  {1000 * value:.1f}")
    for each in answer.get("failures", []):
        lines.append(f"Failed: {each['phase']} at {each['volume_A3']:.2f} Å³/atom: {each['detail'] or each['cause']}")
    for phase in sorted({each["phase"] for each in answer.get("left_phase", [])}):
        volumes = ", ".join(f"{each['volume_A3']:.2f}" for each in answer["left_phase"] if each["phase"] == phase)
        lines.append(f"{phase} turns into another phase at {volumes} Å³/atom and is not followed there")
    for each in answer.get("verification", []):
        lines.append(
            f"Verification by {each['code']}: {each['reaction']} at {each['judged_pressure_GPa']:.1f} GPa "
            f"instead of {each['pressure_GPa']:.1f} GPa"
        )
    hulls = answer.get("with_vibrations", [])
    for hull in hulls:
        lines += ["", *_hot_lines(hull)]
    sources = hulls[-1].get("error_sources", {}) if hulls else {}
    lines += [f"  ± {name}: {how}" for name, how in sources.items() if name not in answer.get("error_sources", {})]
    lines += _imaginary_lines(answer)
    lines += _source_lines(answer)
    lines += [f"Note: {note}" for note in answer.get("notes", [])]
    return visible("\n".join(lines).lstrip("\n"))


def _single_pressure_lines(answer: dict[str, Any]) -> list[str]:
    """Return the hull at single pressures that no range contains."""
    lines = []
    for each in answer.get("at_pressures", []):
        above = sorted(each["above_hull_eV_per_atom"].items(), key=lambda item: item[1])
        formation = each["formation_enthalpy_eV_per_atom"]
        width = max(len(phase) for phase, _ in above)
        lines += ["", f"At {each['pressure_GPa']:g} GPa (meV/atom: formation enthalpy, height above the hull):"]
        lines += [
            f"  {phase:<{width}}  {1000 * formation[phase]:9.1f}  "
            + ("stable" if phase in each["stable"] else f"{1000 * height:.1f}")
            for phase, height in above
        ]
    return lines


def _source_lines(answer: dict[str, Any]) -> list[str]:
    """Say whose points a table's are, and how the pressures between them were had."""
    if "interpolation" not in answer:
        return []
    return [
        "",
        f"The {answer['points']} points are those of {answer['source']}, computed by somebody else; "
        f"nothing is computed here. {answer['interpolation']}.",
    ]


def _transition_lines(answer: dict[str, Any]) -> list[str]:
    """Return the transitions with what their errors consist of, what that is, and what is not in it."""
    transitions = answer["transitions"]
    if not transitions:
        return []
    lines = ["", "With increasing pressure:"]
    width = max(len(each["reaction"]) for each in transitions)
    spinless = set(answer.get("not_spin_polarised", []))
    for each in transitions:
        pressure = _bound(each["pressure_GPa"], each.get("error_GPa"), False)
        parts = each.get("error_parts_GPa", {})
        marks = [f"{name} {error:.1f}" for name, error in parts.items()] if len(parts) > 1 else []
        marks += [] if each.get("resolved", True) else ["not resolved: moved by its error it leaves a phase nothing"]
        marks += ["without spin"] if spinless & set(each["phases"]) else []
        lines.append(
            f"  {pressure:>14} GPa  {each['reaction']:<{width}}  ({', '.join(marks)})".removesuffix("  ()").rstrip()
        )
    lines += [f"  ± {name}: {source}" for name, source in answer.get("error_sources", {}).items()]
    if answer.get("error_not_included"):
        lines.append(f"  not included in ±: {', '.join(answer['error_not_included'])}")
    return lines + _functional_lines(answer)


def _hot_lines(hull: dict[str, Any]) -> list[str]:
    """Return the transitions of a hull with zero-point motion or at a temperature, with their slopes."""
    at = "With zero-point motion" if hull["temperature_K"] == 0 else f"At {hull['temperature_K']:g} K"
    isotopes = "" if hull["isotopes"] == "natural" else f", {hull['isotopes']}"
    lines = [f"{at}{isotopes}:"]
    rows = hull["transitions"]
    width = max((len(each["reaction"]) for each in rows), default=0)
    for each in rows:
        pressure = _bound(each["pressure_GPa"], each.get("error_GPa"), False)
        marks = [f"{name} {error:.1f}" for name, error in each.get("error_parts_GPa", {}).items()]
        marks += [] if each.get("resolved", True) else ["not resolved"]
        slope = each.get("slope_GPa_per_K")
        said = f"  dP/dT {1000 * slope:+.1f} MPa/K" if slope else ""
        lines.append(f"  {pressure:>14} GPa  {each['reaction']:<{width}}{said}  ({', '.join(marks)})")
    if not rows:
        lines.append("  no transition" if hull["stable"] else "  no hull: phonons of an element are missing")
    lines += [f"  without {phase}: {why}" for phase, why in hull["absent"].items()]
    lines += [f"  {phase}: {why}; it may be stable there" for phase, why in hull.get("partly", {}).items()]
    if rows and hull.get("error_not_included"):
        lines.append(f"  not included in ±: {', '.join(hull['error_not_included'])}")
    return lines


def _imaginary_lines(answer: dict[str, Any]) -> list[str]:
    lines = []
    for each in answer.get("vibrations", []):
        if each["missing"] and each["volumes_A3_per_atom"]:
            lines.append(f"{each['phase']}: some of its phonons are missing: {each['missing']}")
        for mode in each["imaginary"]:
            where = ", ".join(f"{value:.3g}" for value in mode["q"])
            lines.append(
                f"{each['phase']} is dynamically unstable at {mode['pressure_GPa']:.0f} GPa: "
                f"{-mode['frequency_THz']:.2f}i THz at ({where}); that volume takes no part"
            )
    return lines


def _functional_lines(answer: dict[str, Any]) -> list[str]:
    """Return a row for each other functional: what it makes of each transition."""
    lines = []
    for other in answer.get("functionals", []):
        own = other["pressures_GPa"]
        absent = "not known" if other["missing"] or not other["hull"] else "is not there"
        said = [
            f"{reaction} at {pressure:.1f} GPa" if pressure is not None else f"{reaction} {absent}"
            for reaction, pressure in own.items()
        ]
        more = [each for each in other["transitions"] if each["reaction_of_phases"] not in own]
        said += [f"{each['reaction_of_phases']} at {each['pressure_GPa']:.1f} GPa (only by it)" for each in more]
        lines.append(f"By {other['functional']}: {'; '.join(said) or 'no transition'}")
    return ["", *lines] if lines else []
