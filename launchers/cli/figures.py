"""The command `megabar figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json


def figures(
    source: Annotated[
        str, typer.Argument(metavar="STUDY|FILE.csv", help="a study file, a stored study, or enthalpies in a CSV file")
    ],
    panel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[,NAME…]", help="figures or single panels, as --list names them (default: all)"),
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="pdf,svg,png", help="kinds of files")] = "pdf",
    width: Annotated[
        float | None, typer.Option(metavar="MM", help="width of every figure (a column of a journal: 86, a page: 178)")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="PHASE=TEXT", help="what a phase is called, as in H3S-Im-3m=cubic")
    ] = None,
    pressure: Annotated[
        list[str] | None, typer.Option(metavar="GPA[,GPA…]", help="pressures of the hulls, or of the figures of Tc")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="folder to write to (default: NAME-figures)")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="only name the figures and panels that there are")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw the figures of a study or a table, whole or panel by panel, for a journal: PDF, SVG or PNG."""
    from megabar.launchers.answering.figures import draw_figures, list_panels, wishes

    asked = wishes(panel or (), formats, width, label or (), pressure or ())
    if list_only:
        found = list_panels(source, asked)
        if as_json:
            print_json({"panels": [{"name": name, "shows": what} for name, what in found.items()]})
        else:
            length = max(map(len, found), default=0)
            print("\n".join(f"{name:{length}}  {what}" for name, what in found.items()))
        return
    document = draw_figures(source, asked, to)
    if as_json:
        print_json(document)
    else:
        print("\n".join([*document["files"], *document["remarks"]]))
