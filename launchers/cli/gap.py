"""The command `megabar gap`."""

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


def gap(
    source: Spectrum,
    temperature: Annotated[
        list[float] | None, typer.Option(help="K; may be given several times (default: from 0 to Tc)")
    ] = None,
    mu_star: MuStar = None,
    mu_ref_mev: MuRef = None,
    mu_star_convention: MuStarConvention = None,
    unit: Unit = None,
    smearing: Smearing = None,
    mass: Masses = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER", help="draw Δ(T), Δ(ω), N(ω) and Hc(T) into this file (.pdf, .png, .svg) or folder"
        ),
    ] = None,
    as_alpha2f: AsAlpha2f = False,
    as_json: AsJson = False,
) -> None:
    """Say what the state below Tc is like: Δ(T), Δ(ω), Z(ω), tunnelling, Hc(T), ΔC, by the Eliashberg equations."""
    from megabar.analysis.superconductivity.conventions import reference_asked
    from megabar.launchers.answering.gap import gap_of, gap_text, study_gap, study_gap_text
    from megabar.launchers.answering.sources import is_study
    from megabar.launchers.answering.tc_study import check_files_only

    temperatures = temperature or ()
    if is_study(source):
        check_files_only(unit, smearing, mass, figure, mu_star_convention, as_alpha2f or None)
        answer = study_gap(str(source), mu_star, mu_ref_mev, temperatures)
        print_json(answer) if as_json else print(study_gap_text(answer))
        return
    document = gap_of(
        source,
        unit,
        0.10 if mu_star is None else mu_star,
        reference_asked(mu_ref_mev, mu_star_convention),
        temperatures,
        smearing_Ry=smearing,
        masses=mass or (),
        figure=figure,
        insist=as_alpha2f,
    )
    print_json(document) if as_json else print(gap_text(document))
