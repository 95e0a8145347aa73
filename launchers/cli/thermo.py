"""The command `megabar thermo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json


def thermo(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…|FOLDER",
            help="e-v.dat and thermal_properties.yaml-* as for phonopy-qha, or the input or settings.yaml of qha",
        ),
    ],
    pressure: Annotated[
        list[str] | None, typer.Option(metavar="GPA", help="10, 0,5,10 or 0:100:10; several times (default: 0)")
    ] = None,
    temperature: Annotated[
        list[str] | None, typer.Option(metavar="K", help="300, 300,1000 or 0:2000:100 (default: those of the files)")
    ] = None,
    eos: Annotated[str, typer.Option(metavar="NAME", help="vinet, birch_murnaghan or bm4")] = "vinet",
    electronic: Annotated[
        Path | None, typer.Option(metavar="fe-v.dat", help="free energies of the electrons, as for phonopy-qha --efe")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER", help="draw V, α, C_P, K_S and G into this file (.pdf, .png, .svg) or folder"
        ),
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="burnman", help="write the thermal equation of state for BurnMan")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="file of --export (default: burnman_mineral.py)")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(metavar="MgSiO3", help="of the phase, for --export: with it there is a density")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a phase is like at pressure and temperature: V, G, α, K, C_P by the quasi-harmonic approximation."""
    from megabar.launchers.answering.thermo import thermo_of

    document = thermo_of(
        sources,
        pressure or (),
        temperature or (),
        kind=eos,
        electronic=electronic,
        figure=figure,
        export=export,
        to=to,
        formula=formula,
    )
    if as_json:
        print_json(document)
    else:
        from megabar.launchers.cli.printing import show
        from megabar.launchers.cli.thermo_text import thermo_picture

        show(thermo_picture(document, every=bool(temperature)))
