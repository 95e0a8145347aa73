"""What `megabar tc` and `megabar run` say of a study of superconductivity."""

from __future__ import annotations

from math import hypot
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from megabar.workflows.config import Config
    from megabar.workflows.kinds.superconductivity.answer import TcAnswer

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


def is_study(source: Path) -> bool:
    """Return whether what `megabar tc` is given is a study: its file, or the name of a stored one."""
    if source.suffix.lower() in (".yaml", ".yml"):
        return True
    if source.exists() or len(source.parts) != 1:
        return False
    from megabar.launchers.database.stored import existing_store
    from megabar.workflows.config import load_config

    config = load_config()
    if not _anything_stored(config):
        return False
    with existing_store(config) as store:
        return bool(store.study_names(str(source)))


def check_files_only(*asked: object) -> None:
    """Raise InputError where something is asked of a study that only a file can be asked for."""
    if any(each is not None and each != [] for each in asked):
        raise InputError(
            "--unit, --smearing, --mass, --figure, --mu-star-convention and --as-alpha2f are for files; a study has "
            "its own, and figures in its report"
        )


def study_tc(
    name: str, mu_star: float | None, mu_ref_meV: float | None, mu_star_error: float | None = None
) -> dict[str, Any]:
    """Return the answer of a stored study as JSON-able data, with other μ* than its own where they are given.

    mu_star_error: standard error of μ*; its part of the error of Tc, and that with it, are then told too.
    Raises InputError where there is no such study, or where it is of another kind.
    """
    from megabar.analysis.superconductivity.uncertainty import check_mu_star_error

    check_mu_star_error(mu_star_error)
    study, found = study_answer(name, mu_star, mu_ref_meV)
    content = found.json()
    if mu_star_error is not None:
        for each in content["pressures"]:
            for row in (row for rows in each.get("tc", {}).values() for row in rows):
                _add_error(row, mu_star_error)
    return {"study": study, **content}


def _add_error(row: dict[str, Any], mu_star_error: float) -> None:
    row["mu_star_error"] = mu_star_error
    if "dtc_dmu_star_K" in row:
        row["tc_error_from_mu_star_K"] = abs(row["dtc_dmu_star_K"]) * mu_star_error
        row["tc_error_K"] = hypot(row["tc_error_from_mu_star_K"], row.get("tc_eliashberg_error_K") or 0.0)


def study_answer(name: str, mu_star: float | None, mu_ref_meV: float | None) -> tuple[str, TcAnswer]:
    """Return the identifier and the answer of a stored study, with other μ* than its own where they are given.

    Raises InputError where there is no such study, or where it is of another kind.
    """
    from dataclasses import replace

    from megabar.analysis.superconductivity.formulas import check_mu_star
    from megabar.launchers.database.stored import existing_store, find_study
    from megabar.workflows.config import load_config
    from megabar.workflows.kinds.registry import plan_of
    from megabar.workflows.kinds.superconductivity.answer import answer
    from megabar.workflows.kinds.superconductivity.plan import TcPlan

    if mu_star is not None:
        check_mu_star(mu_star)
    with existing_store(load_config()) as store:
        study = find_study(name, store)
        plan = plan_of(study)
        if not isinstance(plan, TcPlan):
            raise InputError(f"{study.identifier} is a study of {study.kind}, which has no Tc; see `megabar report`")
        plan = replace(
            plan,
            mu_star=plan.mu_star if mu_star is None else (mu_star,),
            mu_ref_meV=plan.mu_ref_meV if mu_ref_meV is None else mu_ref_meV,
        )
        return study.identifier, answer(plan, study.rungs, store.get_many(study.wanted), store.history)


def _anything_stored(config: Config) -> bool:
    return config.database.uri is not None or (config.data / "mongodb").exists()
