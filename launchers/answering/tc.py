"""What `megabar tc` does: a file with α²F, or a folder with the per-q files of ph.x, to λ, ω_log and Tc."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabar.analysis.superconductivity.conventions import Reference
from megabar.launchers.answering.figure_files import check_figure, is_image, write_figures


def tc_of(
    source: Path,
    unit: str | None = None,
    mu_star: float = 0.10,
    mu_ref: Reference = None,
    *,
    smearing_Ry: float | None = None,
    masses: Sequence[str] = (),
    figure: Path | None = None,
    mu_star_error: float | None = None,
    insist: bool = False,
) -> dict[str, Any]:
    """Return the JSON document of ``megabar tc``; draw α²F into a figure, or all figures there are into a folder.

    mu_ref: the energy (meV) or the convention that μ* is referred to. masses: ``H=2.014``, isotopes for the per-q files
    of a folder. mu_star_error: standard error of μ*, for that of Tc. insist: take a table for α²F, whatever it looks
    like.
    Raises InputError for whatever cannot be meant, before anything is computed or written.
    """
    from megabar.analysis.figures.tc_drawings import alpha2f_drawing, tc_drawings
    from megabar.analysis.superconductivity.readers import read_lambda_only
    from megabar.launchers.api.alpha2f import check_nothing_more
    from megabar.launchers.api.spectra import tc

    check_figure(figure)
    if figure is not None and read_lambda_only(source) is not None:
        check_nothing_more(source, figure)
    found = tc(
        source,
        mu_star=mu_star,
        mu_ref_meV=mu_ref,
        unit=unit,
        smearing_Ry=smearing_Ry,
        masses=masses,
        mu_star_error=mu_star_error,
        insist=insist,
    )
    document = found.json()
    if figure is not None and found.reading is not None:
        if is_image(figure):
            drawings = [alpha2f_drawing(found.reading)]
        else:
            drawings, remarks = tc_drawings(found.reading, {f"μ* = {mu_star:g}": document})
            document["notes"] = [*document["notes"], *remarks]
        document |= write_figures(drawings, figure)
    return document
