"""What `megabar tc` does: a file with α²F, or a folder with the per-q files of ph.x, to λ, ω_log and Tc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from megabar.analysis.superconductivity.conventions import Reference
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.launchers.answering.figure_files import check_figure, is_image, write_figures
from megabar.structures.errors import InputError


def tc_of(
    source: Path,
    unit: str | None = None,
    mu_star: float = 0.10,
    mu_ref: Reference = None,
    *,
    smearing_Ry: float | None = None,
    masses: Sequence[str] = (),
    figure: Path | None = None,
    mu_star_error: float | None = None,
    insist: bool = False,
) -> dict[str, Any]:
    """Return the JSON document of ``megabar tc``; draw α²F into a figure, or all figures there are into a folder.

    mu_ref: the energy (meV) or the convention that μ* is referred to. masses: ``H=2.014``, isotopes for the per-q files
    of a folder. mu_star_error: standard error of μ*, for that of Tc. insist: take a table for α²F, whatever it looks
    like.
    Raises InputError for whatever cannot be meant, before anything is computed or written.
    """
    from megabar.analysis.figures.tc_drawings import alpha2f_drawing, tc_drawings
    from megabar.analysis.superconductivity.formulas import check_mu_star
    from megabar.analysis.superconductivity.readers import read_lambda_only
    from megabar.analysis.superconductivity.report import lambda_document, tc_document
    from megabar.analysis.superconductivity.uncertainty import check_mu_star_error, tc_errors

    check_mu_star(mu_star)
    check_mu_star_error(mu_star_error)
    check_figure(figure)
    rows = read_lambda_only(source)
    if rows is not None:
        _nothing_more(source, unit, mu_ref, smearing_Ry, masses, figure)
        return lambda_document(str(source), rows, mu_star)
    reading = read_source(source, unit, smearing_Ry, masses, insist=insist)
    document = tc_document(reading, mu_star, mu_ref)
    errors, said = tc_errors(reading, document, mu_star_error)
    document |= errors
    document["notes"] += said
    if figure is not None:
        if is_image(figure):
            drawings = [alpha2f_drawing(reading)]
        else:
            drawings, remarks = tc_drawings(reading, {f"μ* = {mu_star:g}": document})
            document["notes"] += remarks
        document |= write_figures(drawings, figure)
    return document


def read_source(
    source: Path, unit: str | None, smearing_Ry: float | None, masses: Sequence[str], *, insist: bool = False
) -> Reading:
    """Return α²F of a file or folder, with other masses and at another smearing where they are asked for."""
    reading = _with_isotopes(source, unit, masses) if masses else _read(source, unit, insist)
    return reading if smearing_Ry is None else _at_smearing(reading, smearing_Ry)


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


def _read(source: Path, unit: str | None, insist: bool = False) -> Reading:
    from megabar.analysis.superconductivity.readers import read_alpha2f

    return read_alpha2f(source, unit, insist=insist)


def _nothing_more(source: Path, *asked: object) -> None:
    if any(each for each in asked):
        raise InputError(
            f"{source}: it holds λ and ω_log only; a unit, --mu-ref-mev, --smearing, --mass and --figure need α²F "
            "(alpha2F.dat beside it, or the folder with the per-q files)"
        )


def _with_isotopes(source: Path, unit: str | None, masses: Sequence[str]) -> Reading:
    from megabar.analysis.superconductivity.elph import reading
    from megabar.analysis.superconductivity.isotopes import isotope_reading
    from megabar.analysis.superconductivity.readers.espresso_elph import gather

    if not source.is_dir():
        raise InputError(
            f"--mass needs the force constants: {source} is no folder with the per-q files of ph.x "
            "(elph.inp_lambda.*, dyn*)"
        )
    wanted = dict(_mass(text) for text in masses)
    _read(source, unit)  # tells a wrong unit
    data = gather(source)
    return isotope_reading(data, reading(data), wanted)


def _mass(text: str) -> tuple[str, float]:
    species, _, value = text.partition("=")
    try:
        return species.strip(), float(value)
    except ValueError:
        raise InputError(f"--mass is {text!r}; it takes an element and a mass in u, as in H=2.014") from None


def _at_smearing(reading: Reading, smearing_Ry: float) -> Reading:
    there = [each.smearing_Ry for each in reading.variants]
    known = [each for each in there if each is not None]
    if not known:
        raise InputError(f"{reading.path}: it holds no smearings of the double delta, so --smearing says nothing")
    near = min(known, key=lambda each: abs(each - smearing_Ry))
    if abs(near - smearing_Ry) > 1e-6:
        raise InputError(f"--smearing is {smearing_Ry:g} Ry; {reading.path} has {', '.join(f'{s:g}' for s in known)}")
    return replace(reading, chosen=there.index(near), why="asked for", around=())


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
