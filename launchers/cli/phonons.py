"""The command `megabar phonons`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json


def phonons(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="STUDY|FILE|FOLDER…",
            help="a study, phonopy_params.yaml, phonopy.yaml, or a folder with phonopy_disp.yaml and FORCE_SETS (BORN)",
        ),
    ],
    q: Annotated[
        list[str] | None,
        typer.Option(
            "--q", metavar='"X Y Z"', help="fractions of the primitive reciprocal vectors; may be given several times"
        ),
    ] = None,
    temperature: Annotated[
        list[float] | None, typer.Option(help="K; may be given several times (default: 300)")
    ] = None,
    mass: Annotated[list[str] | None, typer.Option(metavar="EL=U", help="an isotope, as in H=2.014")] = None,
    mesh: Annotated[
        str | None,
        typer.Option(
            metavar='"A B C"', help="points of the mesh of q along each reciprocal vector (default: by length)"
        ),
    ] = None,
    velocities: Annotated[bool, typer.Option("--velocities", help="also the group velocities at the q")] = False,
    figure: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="draw the dispersion into a file (.pdf, .png, .svg), or all figures into a folder",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="write phonopy_params.yaml, with force constants, into a folder"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a crystal is dynamically stable, its frequencies, free energy and what follows, with errors."""
    from megabar.launchers.answering.phonon_study import study_phonons
    from megabar.launchers.answering.phonons import phonons_of
    from megabar.launchers.answering.sources import is_study
    from megabar.launchers.api.phonons_text import phonons_text
    from megabar.structures.errors import InputError
    from megabar.workflows.kinds.phonons.text import study_text

    studies = [source for source in sources if is_study(source)]
    if studies:
        if len(sources) > 1:
            raise InputError(f"{studies[0]} is a study: one at a time, and no files with it")
        answer = study_phonons(
            str(studies[0]),
            q or (),
            temperature or (),
            masses=mass or (),
            mesh=mesh,
            velocities=velocities,
            figures=figure or (),
            export=export,
        )
        print_json(answer) if as_json else print(study_text(answer))
        return
    document = phonons_of(
        sources,
        q or (),
        temperature or (),
        masses=mass or (),
        mesh=mesh,
        velocities=velocities,
        figures=figure or (),
        export=export,
    )
    print_json(document) if as_json else print(phonons_text(document))
