"""The command `megabar structures`: relaxed structures at a pressure, and cells against pressure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json


def structures(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="a study file, or the name of a stored study")],
    phase: Annotated[list[str] | None, typer.Option(help="only this phase (may be given again)")] = None,
    pressure: Annotated[
        list[float] | None, typer.Option(help="GPa (may be given again; default: those of the study)")
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="cif, poscar or extxyz, of files in --to")] = "cif",
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="write a file for each structure")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="draw the cells against pressure: .pdf, .png or .svg")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give the relaxed structures of a study at any pressure, and their cells against pressure."""
    from megabar.launchers.answering.structures import structures_of
    from megabar.launchers.cli.printing import cells_table, show

    found = structures_of(study, phase or [], pressure or [], file_format, to, figure)
    if as_json:
        print_json(found.json())
        return
    show(cells_table(found.structures))
    for note in found.notes:
        print(f"Note: {note}")
    for path in found.files:
        print(path)
