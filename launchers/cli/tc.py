"""The command `megabar tc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import (
    AsAlpha2f,
    AsJson,
    Masses,
    MuRef,
    MuStar,
    MuStarConvention,
    Smearing,
    Spectrum,
    Unit,
    print_json,
)


def tc(
    source: Spectrum,
    unit: Unit = None,
    mu_star: MuStar = None,
    mu_ref_mev: MuRef = None,
    mu_star_convention: MuStarConvention = None,
    smearing: Smearing = None,
    mass: Masses = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER", help="draw α²F into this file (.pdf, .png, .svg), or all figures into this folder"
        ),
    ] = None,
    mu_star_error: Annotated[
        float | None, typer.Option(help="the standard error of μ*, for that of Tc, e.g. 0.02")
    ] = None,
    as_alpha2f: AsAlpha2f = False,
    as_json: AsJson = False,
) -> None:
    """Say what follows from α²F: λ, ω_log, and Tc by every formula and by the Eliashberg equations."""
    from megabar.analysis.superconductivity.conventions import reference_asked
    from megabar.launchers.answering.sources import is_study
    from megabar.launchers.answering.tc import tc_of
    from megabar.launchers.answering.tc_study import check_files_only, study_tc
    from megabar.launchers.api.tc_text import tc_text
    from megabar.workflows.kinds.superconductivity.text import study_text

    if is_study(source):
        check_files_only(unit, smearing, mass, figure, mu_star_convention, as_alpha2f or None)
        answer = study_tc(str(source), mu_star, mu_ref_mev, mu_star_error)
        print_json(answer) if as_json else print(study_text(answer))
        return
    mu_star = 0.10 if mu_star is None else mu_star
    document = tc_of(
        source,
        unit,
        mu_star,
        reference_asked(mu_ref_mev, mu_star_convention),
        smearing_Ry=smearing,
        masses=mass or (),
        figure=figure,
        insist=as_alpha2f,
        mu_star_error=mu_star_error,
    )
    if as_json:
        print_json(document)
    else:
        print(tc_text(document))
