"""The command `megabar tc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.options import AsJson, print_json

Source = Annotated[
    Path, typer.Argument(metavar="FILE|FOLDER", help="α²F of any code, or the folder with the per-q files of ph.x")
]


def tc(
    source: Source,
    unit: Annotated[
        str | None, typer.Option(help="of the frequencies in plain columns: meV, THz, cm-1, Ry, Ha, K, eV")
    ] = None,
    mu_star: Annotated[float, typer.Option(help="the Coulomb pseudopotential μ*")] = 0.10,
    mu_ref_mev: Annotated[
        float | None, typer.Option(help="the energy (meV) that μ* is referred to (default: the highest frequency)")
    ] = None,
    smearing: Annotated[
        float | None, typer.Option(help="of the double delta (Ry), where the file has several (default: the flattest)")
    ] = None,
    mass: Annotated[
        list[str] | None, typer.Option(metavar="EL=U", help="an isotope, as in H=2.014; for a folder of per-q files")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="draw α²F with the cumulative λ into this file (.png, .svg)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what follows from α²F: λ, ω_log, and Tc by every formula and by the Eliashberg equations."""
    from megabar.launchers.tc_commands import tc_of, tc_text

    document = tc_of(source, unit, mu_star, mu_ref_mev, smearing_Ry=smearing, masses=mass or (), figure=figure)
    if as_json:
        print_json(document)
    else:
        print(tc_text(document))
