"""What `megabar tc` and `megabar run` say of a study of superconductivity."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError
from megabar.workflows.kinds.registry import kind_of

if TYPE_CHECKING:
    from megabar.workflows.kinds.superconductivity.answer import TcAnswer


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
    from megabar.analysis.superconductivity.formulas import check_mu_star
    from megabar.launchers.api.session import connect
    from megabar.workflows.kinds.superconductivity.stored import stored_answer

    if mu_star is not None:
        check_mu_star(mu_star)
    with connect() as session:
        study = session.open(name).record
        kind_of(study.kind)
        return study.identifier, stored_answer(study, session.store, mu_star, mu_ref_meV)
