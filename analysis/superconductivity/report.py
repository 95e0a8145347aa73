"""What `megabar tc` says of a spectral function: λ, ω_log, ω̄₂ and Tc by every formula and solver, as a document."""

from __future__ import annotations

from math import isfinite
from typing import Any

from megabar.analysis.superconductivity.conventions import Convention, Reference
from megabar.analysis.superconductivity.eliashberg.band import Band
from megabar.analysis.superconductivity.formulas import (
    FORMULAS,
    check_mu_star,
    estimates,
    mcmillan,
    mu_star_at,
    spread_K,
)
from megabar.analysis.superconductivity.readers.espresso import CODE, LambdaRow
from megabar.analysis.superconductivity.readers.reading import Reading, Variant
from megabar.analysis.superconductivity.smearing import choose
from megabar.analysis.superconductivity.spectral import SpectralFunction
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.structures.errors import InputError

_ABOVE = 0.5
"""Smallest reference energy of μ*, in units of ω_log: below it μ* would cut off what the phonons do."""


def tc_document(
    reading: Reading, mu_star: float, mu_ref: Reference = None, electrons: Band | None = None
) -> dict[str, Any]:
    """Return the JSON document of ``megabar tc --json``.

    mu_ref: the energy (meV) or the convention that μ* is referred to; that of the reading where none is given, else
    ω_max.
    electrons: N(ε), for Tc with the full band as well.
    Keys carry their units. A value that cannot be had is absent, with the reason among ``notes``.
    Raises InputError for a μ* or a reference energy that no metal has.
    """
    check_mu_star(mu_star)
    mu_ref = reading.mu_ref_meV if mu_ref is None else mu_ref
    document: dict[str, Any] = {"file": reading.path, "code": reading.code, "unit": reading.spectrum.unit}
    chosen = reading.variants[reading.chosen]
    if len(reading.variants) > 1:
        document |= {"variant": chosen.label, "variant_why": reading.why}
    if chosen.smearing_Ry is not None:
        document["smearing_Ry"] = chosen.smearing_Ry
    values, notes = spectrum_values(chosen.spectrum, mu_star, mu_ref)
    solved, said = _eliashberg(chosen.spectrum, mu_star, values["mu_ref_meV"])
    document |= values | solved
    if electrons is not None:
        more, of_band = full_band(chosen.spectrum, electrons, mu_star, values["mu_ref_meV"], solved["tc_eliashberg_K"])
        document |= more
        said = [*said, *of_band]
    if len(reading.variants) > 1:
        document["variants"] = [variant_row(each, mu_star, mu_ref) for each in reading.variants]
        document |= _spread(reading, document["variants"])
    document |= reading.details
    document["notes"] = list(dict.fromkeys((*reading.notes, *chosen.spectrum.notes, *notes, *said)))
    return document


def lambda_document(path: str, rows: tuple[LambdaRow, ...], mu_star: float) -> dict[str, Any]:
    """Return the JSON document of a lambda.dat without α²F: λ and ω_log at every smearing, and McMillan's Tc."""
    check_mu_star(mu_star)
    choice = choose([row.smearing_Ry for row in rows], [row.lambda_ for row in rows])
    variants = [
        {
            "label": f"{row.smearing_Ry:.3f} Ry",
            "smearing_Ry": row.smearing_Ry,
            "lambda": row.lambda_,
            "omega_log_K": row.omega_log_K,
            "tc_mcmillan_K": mcmillan(row.lambda_, row.omega_log_K, mu_star),
        }
        for row in rows
    ]
    document = {"file": path, "code": CODE, "unit": "K", "variant_why": choice.why} | variants[choice.place]
    document["variant"] = document.pop("label")
    return document | {
        "mu_star": mu_star,
        "variants": variants,
        "notes": [
            *choice.notes,
            "without α²F (alpha2F.dat, or the per-q files) there is no ω̄₂ and no Tc but McMillan's",
            "μ* is taken to be referred to the highest phonon frequency, which the file does not tell",
        ],
    }


def reference_meV(spectrum: SpectralFunction, mu_ref: Reference, mu_star: float) -> float:
    """Return the reference energy of μ* (meV): the one asked for, else ω_max; InputError for one below the phonons."""
    if mu_ref is None:
        return spectrum.omega_max_meV
    if isinstance(mu_ref, Convention):
        return mu_ref.reference_meV(spectrum, mu_star)
    if not (isfinite(mu_ref) and mu_ref >= _ABOVE * spectrum.omega_log_meV):
        raise InputError(
            f"--mu-ref-mev is {mu_ref:g}; the energy that μ* is referred to lies at the highest phonon frequency "
            f"({spectrum.omega_max_meV:.4g} meV, the default) or above it"
        )
    return mu_ref


def spectrum_values(spectrum: SpectralFunction, mu_star: float, mu_ref: Reference) -> tuple[dict[str, Any], list[str]]:
    """Return the numbers of one spectrum, and sentences on what to be wary of."""
    reference = reference_meV(spectrum, mu_ref, mu_star)
    at_top = mu_star_at(mu_star, reference, spectrum.omega_max_meV)
    found = estimates(spectrum, at_top)
    values: dict[str, Any] = {
        "lambda": spectrum.lambda_,
        "omega_log_K": spectrum.omega_log_meV / MEV_PER_K,
        "omega_2_K": spectrum.omega_2_meV / MEV_PER_K,
        "omega_log_meV": spectrum.omega_log_meV,
        "omega_max_meV": spectrum.omega_max_meV,
        "mu_star": mu_star,
        "mu_ref_meV": reference,
        "mu_star_at_omega_max": at_top,
    }
    if isinstance(mu_ref, Convention):
        values["mu_star_convention"] = mu_ref.name
    if spectrum.dos_per_eV is not None:
        values["dos_per_eV_spin_cell"] = spectrum.dos_per_eV
    values |= {each.formula.key: each.tc_K for each in found if isfinite(each.tc_K)}
    spread = spread_K(found)
    if spread is not None:
        values["tc_formulas_spread_K"] = list(spread)
    if spectrum.shares:
        coupling = spectrum.mode_lambda
        values["lambda_by_species"] = {name: float((coupling * share).sum()) for name, share in spectrum.shares.items()}
    return values, [caveat for each in found for caveat in each.caveats]


def _eliashberg(spectrum: SpectralFunction, mu_star: float, reference: float) -> tuple[dict[str, Any], list[str]]:
    """Return what the isotropic Eliashberg equations say of a spectrum, and why something of it is missing."""
    from megabar.analysis.superconductivity.eliashberg.full import solve

    solution = solve(spectrum, mu_star, reference)
    values: dict[str, Any] = dict(solution.numbers())
    if solution.isotope_exponent_by_species:
        values["isotope_exponent_by_species"] = dict(solution.isotope_exponent_by_species)
    return values, list(solution.notes)


def full_band(
    spectrum: SpectralFunction, electrons: Band, mu_star: float, reference_meV: float, constant_K: float
) -> tuple[dict[str, Any], list[str]]:
    """Return Tc with N(ε) instead of N(E_F) throughout, and how far that moves it, or why it cannot be had.

    constant_K: Tc with a constant density of states (K).
    """
    from megabar.analysis.superconductivity.eliashberg.bandwidth import critical_temperature_of_band

    try:
        tc = critical_temperature_of_band(spectrum, electrons, mu_star, reference_meV)
    except ArithmeticError as error:
        return {}, [f"no Tc with the density of states as it is over energy (μ* {mu_star:g}): {error}"]
    share = f" ({tc / constant_K - 1:+.1%})" if constant_K > 0 else ""
    said = (
        f"the density of states as it is over energy, instead of constant about E_F, moves Tc by "
        f"{tc - constant_K:+.3g} K{share} at μ* {mu_star:g}"
    )
    return {"tc_eliashberg_full_band_K": tc}, [said]


def variant_row(each: Variant, mu_star: float, mu_ref: Reference) -> dict[str, Any]:
    """Return the row of one of several spectra of a file: λ, moments and Tc, without what lies below Tc."""
    from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature

    values, _ = spectrum_values(each.spectrum, mu_star, mu_ref)
    values["tc_eliashberg_K"] = critical_temperature(each.spectrum, mu_star, values["mu_ref_meV"])
    wanted = ("lambda", "omega_log_K", "omega_2_K", *(formula.key for formula in FORMULAS), "tc_eliashberg_K")
    row: dict[str, Any] = {"label": each.label}
    if each.smearing_Ry is not None:
        row["smearing_Ry"] = each.smearing_Ry
    return row | {name: values[name] for name in wanted if name in values}


def _spread(reading: Reading, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far λ and Tc go over the smearings around the chosen one: what that choice is worth."""
    near = [rows[place] for place in reading.around]
    if len(near) < 2:
        return {}
    found: dict[str, Any] = {"smearings_around_Ry": [near[0]["smearing_Ry"], near[-1]["smearing_Ry"]]}
    for key, name in (("lambda", "lambda_over_smearing"), ("tc_eliashberg_K", "tc_eliashberg_over_smearing_K")):
        values = [row[key] for row in near if key in row]
        if values:
            found[name] = [min(values), max(values)]
    return found
