"""What the command's modules share: options, and how JSON is printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document and nothing else")]
Spectrum = Annotated[
    Path,
    typer.Argument(metavar="FILE|FOLDER|STUDY", help="α²F of any code, a folder with the per-q files of ph.x, a study"),
]
Unit = Annotated[
    str | None,
    typer.Option(
        help="of the frequencies in plain columns: meV, THz, cm-1, Ry, Ha, K, eV, rad/ps (default: by their heading)"
    ),
]
MuStar = Annotated[
    float | None, typer.Option(help="the Coulomb pseudopotential μ* (default: 0.10; of a study, its own)")
]
MuRef = Annotated[
    float | None, typer.Option(help="the energy (meV) that μ* is referred to (default: the highest frequency)")
]
MuStarConvention = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="… as another program refers it: elk, epw, isome, 10-omega-max (default: omega-max)"
    ),
]
AsAlpha2f = Annotated[
    bool, typer.Option("--as-alpha2f", help="take a table for α²F though it looks like another spectrum")
]
Smearing = Annotated[
    float | None, typer.Option(help="of the double delta (Ry), where the file has several (default: the flattest)")
]
Masses = Annotated[
    list[str] | None, typer.Option(metavar="EL=U", help="an isotope, as in H=2.014; for a folder of per-q files")
]


def print_json(value: Any) -> None:
    """Print one JSON document, its characters escaped where the output's encoding may lack them."""
    escape = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=1, ensure_ascii=escape, allow_nan=False))
