"""What `megabar gap` does: α²F of a file, a folder or a study to the state below Tc."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabar.analysis.superconductivity.conventions import Reference
from megabar.launchers.answering.figure_files import check_figure, write_figures
from megabar.structures.errors import InputError

_NUMBERS = (
    ("tc_eliashberg_K", "Tc", "K", ".3f"),
    ("gap_edge_meV", "gap edge Δ₀", "meV", ".4f"),
    ("gap_edge_pade_meV", "  by Padé", "meV", ".4f"),
    ("two_delta_over_kTc", "2Δ₀/k_BTc", "", ".3f"),
    ("gap_matsubara_meV", "Δ(iω₀)", "meV", ".4f"),
    ("renormalisation_at_0", "Z(0)", "", ".3f"),
    ("specific_heat_jump", "ΔC/γTc", "", ".3f"),
    ("gamma_tc2_over_hc2", "γTc²/Hc(0)²", "", ".4f"),
    ("condensation_energy_over_dos_meV2", "−ΔF(0)/N(0)", "meV²", ".4g"),
    ("condensation_energy_meV_cell", "−ΔF(0)", "meV a cell", ".4g"),
    ("critical_field_over_root_dos_meV", "Hc(0)/√N(0)", "meV", ".4g"),
    ("critical_field_T", "μ₀Hc(0)", "T", ".4g"),
    ("isotope_exponent", "isotope exponent", "", ".4f"),
    ("dtc_dmu_star_K", "dTc/dμ*", "K", ".2f"),
)
_COLUMNS = (
    ("temperature_K", "T, K", ".4g"),
    ("reduced_temperature", "T/Tc", ".3f"),
    ("gap_edge_meV", "Δ₀, meV", ".4f"),
    ("gap_matsubara_meV", "Δ(iω₀), meV", ".4f"),
    ("renormalisation_at_0", "Z(0)", ".3f"),
    ("free_energy_over_dos_meV2", "ΔF/N(0), meV²", ".4g"),
    ("critical_field_over_zero_T", "Hc/Hc(0)", ".4f"),
    ("critical_field_T", "μ₀Hc, T", ".4g"),
    ("specific_heat_difference_over_gamma_tc", "ΔC/γTc", ".3f"),
)


def gap_of(
    source: Path,
    unit: str | None = None,
    mu_star: float = 0.10,
    mu_ref: Reference = None,
    temperatures_K: Sequence[float] = (),
    *,
    smearing_Ry: float | None = None,
    masses: Sequence[str] = (),
    figure: Path | None = None,
    insist: bool = False,
) -> dict[str, Any]:
    """Return the JSON document of ``megabar gap`` for a file or folder; draw the state where a figure is asked for.

    Raises InputError for whatever cannot be meant, before anything is computed or written.
    """
    from megabar.analysis.figures.drawing import Drawing
    from megabar.analysis.superconductivity.formulas import check_mu_star
    from megabar.analysis.superconductivity.gap_report import gap_document
    from megabar.analysis.superconductivity.readers import read_lambda_only
    from megabar.launchers.api.alpha2f import read_source

    check_mu_star(mu_star)
    check_figure(figure)
    if read_lambda_only(source) is not None:
        raise InputError(f"{source}: it holds λ and ω_log only; a gap needs α²F (alpha2F.dat, or the per-q files)")
    reading = read_source(source, unit, smearing_Ry, masses, insist=insist)
    document, state = gap_document(reading, mu_star, mu_ref, temperatures_K)
    if figure is not None and state.solution.tc_K > 0:
        from megabar.analysis.figures.gap import gap_caption, gap_figure

        drawing = Drawing("gap", "The state below Tc", gap_caption(state), gap_figure(state))
        document |= write_figures([drawing], figure)
    elif figure is not None:
        document["notes"].append("no figure: there is no Tc, and so no gap")
    return document


def study_gap(
    name: str, mu_star: float | None, mu_ref_meV: float | None, temperatures_K: Sequence[float]
) -> dict[str, Any]:
    """Return the state below Tc at each pressure, isotope and μ* of a stored study, as JSON-able data."""
    from megabar.analysis.superconductivity.gap_report import gap_document
    from megabar.launchers.answering.tc_study import study_answer

    identifier, answer = study_answer(name, mu_star, mu_ref_meV)
    pressures = []
    for each in answer.pressures:
        row: dict[str, Any] = {"pressure_GPa": each.pressure_GPa}
        if each.missing:
            row["missing"] = each.missing
        else:
            row["gap"] = {
                isotopes: [
                    gap_document(each.readings[isotopes], document["mu_star"], document["mu_ref_meV"], temperatures_K)[
                        0
                    ]
                    for document in documents
                ]
                for isotopes, documents in each.documents.items()
            }
        pressures.append(row)
    plan = answer.plan
    return {
        "study": identifier,
        "structure": plan.ladder.phase,
        "formula": plan.ladder.formula,
        "pressures": pressures,
        "notes": list(answer.notes),
    }


def gap_text(document: dict[str, Any]) -> str:
    """Return the text of `megabar gap`: the single numbers, the table over temperature, caveats."""
    from megabar.launchers.api.tc_text import heading

    return "\n".join([heading(document), "", *_body(document)])


def study_gap_text(answer: dict[str, Any]) -> str:
    """Return the text of `megabar gap` of a study: the same for each pressure, isotope and μ*."""
    lines = [f"{answer['structure']} ({answer['formula']})"]
    for each in answer["pressures"]:
        if "missing" in each:
            lines += ["", f"{each['pressure_GPa']:g} GPa: {each['missing']}"]
        for isotopes, documents in each.get("gap", {}).items():
            for document in documents:
                lines += ["", f"{each['pressure_GPa']:g} GPa, {isotopes}", *_body(document)]
    return "\n".join([*lines, *(f"Note: {note}" for note in answer["notes"])])


def _body(document: dict[str, Any]) -> list[str]:
    reference = document["mu_ref_meV"]
    named = f" (as {document['mu_star_convention']})" if "mu_star_convention" in document else ""
    lines = [f"  λ = {document['lambda']:.4f}, μ* = {document['mu_star']:g} referred to {reference:.4g} meV{named}", ""]
    for key, name, unit, style in _NUMBERS:
        if key in document:
            lines.append(f"  {name:<18}{document[key]:>12{style}} {unit}".rstrip())
    by_species = document.get("isotope_exponent_by_species", {})
    if len(by_species) > 1:
        lines.append("  of the species    " + ", ".join(f"{name} {value:.4f}" for name, value in by_species.items()))
    rows = document.get("temperatures", [])
    if rows:
        columns = [column for column in _COLUMNS if any(column[0] in row for row in rows)]
        lines += ["", "".join(f"{name:>15}" for _, name, _ in columns)]
        lines += [
            "".join(f"{row[key]:>15{style}}" if key in row else f"{'-':>15}" for key, _, style in columns)
            for row in rows
        ]
    return [*lines, *(f"Note: {note}" for note in document["notes"])]
