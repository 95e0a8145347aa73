"""The answer of a study of superconductivity as the terminal shows it."""

from __future__ import annotations

from typing import Any

FORMULAS = (("tc_mcmillan_K", "McMillan"), ("tc_allen_dynes_K", "Allen-Dynes"), ("tc_xie_K", "Xie 2022"))


def study_text(answer: dict[str, Any]) -> str:
    """Return the text of the answer: λ and Tc with their errors at each pressure and μ*, what is missing or amiss."""
    grids = answer["grids"]
    lines = [
        f"{answer['structure']} ({answer['formula']}): q {_times(grids['q'])}, k {_times(grids['k'])}, "
        f"dense {_times(grids['k_dense'])}; errors from smearing and q-grid",
        "",
        f"{'P, GPa':>8}{'μ*':>7}{'λ':>16}{'ω_log, K':>10}{'Tc Eliashberg, K':>20}{'with N(ε)':>11}"
        + "".join(f"{name:>13}" for _, name in FORMULAS),
    ]
    for each in answer["pressures"]:
        if "missing" in each:
            lines.append(f"{each['pressure_GPa']:>8g}  {each['missing']}")
            continue
        for isotopes, rows in each["tc"].items():
            lines += [_row(each["pressure_GPa"], row, isotopes) for row in rows]
    for each in answer["failures"]:
        lines.append(f"Failed: {each['phase']}, {each['what']}: {each['detail'] or each['cause']}")
    notes = dict.fromkeys(
        [f"{each['pressure_GPa']:g} GPa: {note}" for each in answer["pressures"] for note in each["notes"]]
        + answer["notes"]
    )
    return "\n".join([*lines, *(f"Note: {note}" for note in notes)])


def _row(pressure: float, row: dict[str, Any], isotopes: str) -> str:
    strength = _with_error(row.get("lambda"), row.get("lambda_error"), 3)
    tc = _with_error(row.get("tc_eliashberg_K"), row.get("tc_error_K", row.get("tc_eliashberg_error_K")), 3)
    text = f"{pressure:>8g}{row['mu_star']:>7.3g}{strength:>16}{row['omega_log_K']:>10.0f}{tc:>20}"
    text += f"{_with_error(row.get('tc_eliashberg_full_band_K'), None, 3):>11}"
    text += "".join(f"{row[key]:>13.3f}" if key in row else f"{'-':>13}" for key, _ in FORMULAS)
    exponents = row.get("isotope_exponent_by_substitution", {})
    said = ", ".join(f"exponent {value:.3f} ({name})" for name, value in exponents.items())
    if isotopes != "natural":
        text += f"  {isotopes}" + (f", {said}" if said else "")
    imaginary = sum(not mode["translation"] for mode in row.get("modes_left_out", []))
    return text + (f"  unstable: without {imaginary} imaginary modes" if imaginary else "")


def _with_error(value: float | None, error: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def _times(grid: list[int]) -> str:
    return "×".join(map(str, grid))
