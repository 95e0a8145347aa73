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
            metavar="STUDY|FILE…|FOLDER",
            help="a study of phonons; e-v.dat and thermal_properties.yaml-* as for phonopy-qha; the input or "
            "settings.yaml of qha",
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
    from megabar.launchers.answering.sources import is_study
    from megabar.launchers.answering.thermo import thermo_of

    if len(sources) == 1 and is_study(Path(sources[0])):
        _of_study(sources[0], pressure, temperature, (eos, electronic, formula), figure, export, to, as_json)
        return
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


def _of_study(
    name: str,
    pressure: list[str] | None,
    temperature: list[str] | None,
    of_files: tuple[str, Path | None, str | None],
    figure: Path | None,
    export: str | None,
    to: Path | None,
    as_json: bool,
) -> None:
    from megabar.launchers.answering.thermo_study import study_thermo
    from megabar.structures.errors import InputError
    from megabar.workflows.kinds.phonons.text import thermo_text

    if of_files != ("vinet", None, None):
        raise InputError("--eos, --electronic and --formula are for files; a study has its own static energies")
    document = study_thermo(name, pressure or (), temperature or (), figure=figure, export=export, to=to)
    print_json(document) if as_json else print(thermo_text(document))
