"""Tc from α²F as the terminal shows it."""

from __future__ import annotations

from typing import Any


def tc_text(document: dict[str, Any]) -> str:
    """Return the text of `megabar tc`: moments, Tc by every method, how it depends on the smearing, caveats."""
    lines = [heading(document), "", *_moments(document), "", "Tc (K)", *_temperatures(document)]
    rows = document.get("variants", [])
    if rows:
        lines += ["", *_table(rows, document.get("variant", ""))]
    if "lambda_over_smearing" in document:
        low, high = document["smearings_around_Ry"]
        first, last = document["lambda_over_smearing"]
        lines.append(f"Between {low:g} and {high:g} Ry λ lies between {first:.3f} and {last:.3f}.")
    lines += [f"Note: {note}" for note in document["notes"]]
    return "\n".join(lines)


def heading(document: dict[str, Any]) -> str:
    """Return the lines that say what was read, and which of several spectra is meant."""
    text = f"{document['file']}: {document['code']}, frequencies in {document['unit']}"
    if "variant" in document:
        many = f" of {len(document['variants'])}" if "variants" in document else ""
        text += f"\n{document['variant']}{many}: {document['variant_why']}"
    return text


def _moments(document: dict[str, Any]) -> list[str]:
    species = ", ".join(f"{name} {value:.3f}" for name, value in document.get("lambda_by_species", {}).items())
    lines = [f"  λ       {document['lambda']:.4f}" + (f"   ({species})" if "," in species else "")]
    lines.append(f"  ω_log   {document['omega_log_K']:.1f} K" + _known(document, "omega_log_meV", "   ({:.2f} meV)"))
    lines += [
        text
        for text in (
            _known(document, "omega_2_K", "  ω̄₂      {:.1f} K"),
            _known(document, "omega_max_meV", "  ω_max   {:.2f} meV"),
        )
        if text
    ]
    reference, top = document.get("mu_ref_meV"), document.get("omega_max_meV")
    where = "the highest frequency" if reference == top else f"{reference:.4g} meV"
    where += f" (as {document['mu_star_convention']})" if "mu_star_convention" in document else ""
    lines.append(f"  μ*      {document['mu_star']:g}, referred to {where}")
    if reference != top:
        lines.append(f"          {document['mu_star_at_omega_max']:.4f} at the highest frequency, for the formulas")
    return lines


def _known(document: dict[str, Any], key: str, text: str) -> str:
    return text.format(document[key]) if key in document else ""


_TEMPERATURES = (
    ("tc_mcmillan_K", "McMillan"),
    ("tc_allen_dynes_K", "Allen-Dynes"),
    ("tc_xie_K", "Xie 2022"),
    ("tc_eliashberg_K", "Eliashberg, isotropic"),
    ("tc_eliashberg_full_band_K", "Eliashberg with N(ε)"),
)


_ERRORS = (
    ("tc_error_from_mu_star_K", "from μ*"),
    ("tc_error_from_alpha2f_K", "from α²F"),
    ("tc_error_from_smearing_K", "from the smearing"),
)


def _temperatures(document: dict[str, Any]) -> list[str]:
    lines = [f"  {name:<22}{document[key]:>9.3f}" for key, name in _TEMPERATURES if key in document]
    for key, name, unit in (
        ("gap_edge_meV", "gap edge Δ₀", " meV"),
        ("two_delta_over_kTc", "2Δ₀/k_BTc", ""),
        ("specific_heat_jump", "ΔC/γTc", ""),
        ("isotope_exponent", "isotope exponent", ""),
        ("dtc_dmu_star_K", "dTc/dμ*", " K"),
    ):
        if key in document:
            lines.append(f"  {name:<22}{document[key]:>9.3f}{unit}")
    parts = [f"{document[key]:.3g} {what}" for key, what in _ERRORS if key in document]
    if "tc_error_K" in document:
        lines.append(f"  {'error of Tc':<22}{document['tc_error_K']:>9.3f} K  ({', '.join(parts)})")
    return lines


def _table(rows: list[dict[str, Any]], chosen: str) -> list[str]:
    columns = [("lambda", "λ", ".4f"), ("omega_log_K", "ω_log, K", ".1f")]
    columns += [(key, f"{name.split(',')[0]}, K", ".2f") for key, name in _TEMPERATURES if key in rows[0]]
    width = max(len(row["label"]) for row in rows) + 2
    lines = [" " * (width + 2) + "".join(f"{name:>16}" for _, name, _ in columns)]
    for row in rows:
        cells = "".join(f"{row[key]:>16{style}}" if key in row else f"{'-':>16}" for key, _, style in columns)
        lines.append(f"{'*' if row['label'] == chosen else ' '} {row['label']:<{width}}{cells}")
    return lines
