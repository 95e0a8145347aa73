"""The figures of Tc with their names and captions: of one file, or of one pressure of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from megabar.analysis.figures.drawing import Drawing
from megabar.analysis.figures.tc_curves import GridRow, TcLine
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.structures.errors import InputError

KEY = "tc_eliashberg_K"


def tc_drawings(
    reading: Reading,
    documents: Mapping[str, Mapping[str, Any]],
    title: str = "",
    suffix: str = "",
    *,
    phonons_only: bool = False,
) -> tuple[list[Drawing], list[str]]:
    """Return α²F, and as far as the data allow δTc/δα²F, Tc over the smearings, dispersion and Tc over grids of q.

    documents: of `tc_document` by the name of their line, the first for what one μ* is shown of. phonons_only: α²F and
    the dispersion alone. Also returned: sentences on figures that there are not.
    """
    found, remarks = [alpha2f_drawing(reading, title, suffix)], []
    where = f" at {title}" if title else ""
    document = next(iter(documents.values()))
    if reading.coupling is not None:
        try:
            found.append(_dispersion(reading, title, where, suffix))
        except InputError as error:
            remarks.append(f"no figure of the dispersion: {error}")
    if phonons_only:
        return found, remarks
    lines = smearing_lines(documents)
    if lines:
        found.append(_smearings(reading, document, lines, title, where, suffix))
    if reading.coupling is not None:
        found += _grids(reading, document, title, where, suffix)
    if document.get(KEY, 0) > 0:
        found.append(_sensitivity(reading, document, title, where, suffix))
    else:
        remarks.append(f"no figure of δTc/δα²F(ω){where}: there is no Tc")
    return found, remarks


def alpha2f_drawing(reading: Reading, title: str = "", suffix: str = "") -> Drawing:
    """Return the figure of α²F(ω) with the cumulative λ(ω)."""
    from megabar.analysis.figures.superconductivity import alpha2f_figure, caption

    spectrum, where = reading.spectrum, f" at {title}" if title else ""
    return Drawing(f"alpha2f{suffix}", f"α²F(ω){where}", caption(spectrum), partial(alpha2f_figure, spectrum, title))


def smearing_lines(documents: Mapping[str, Mapping[str, Any]]) -> list[TcLine]:
    """Return Tc and λ over the smearings of each document; nothing where there are no smearings."""
    lines = []
    for name, document in documents.items():
        rows = [row for row in document.get("variants", []) if KEY in row and "smearing_Ry" in row]
        at = [row["smearing_Ry"] for row in rows]
        if len(rows) < 2:
            continue
        quoted = at.index(document["smearing_Ry"]) if document.get("smearing_Ry") in at else None
        lines.append(TcLine(name, at, [row[KEY] for row in rows], (), quoted, [row["lambda"] for row in rows]))
    return lines


def _dispersion(reading: Reading, title: str, where: str, suffix: str) -> Drawing:
    from megabar.analysis.figures.phonon_dispersion import dispersion_caption, dispersion_figure
    from megabar.analysis.superconductivity.dispersion import dispersion

    assert reading.coupling is not None
    phonons = dispersion(reading.coupling, reading.chosen)
    figure = partial(dispersion_figure, phonons, reading.spectrum, title)
    return Drawing(f"dispersion{suffix}", f"Phonons and their coupling{where}", dispersion_caption(phonons), figure)


def _smearings(
    reading: Reading, document: Mapping[str, Any], lines: Sequence[TcLine], title: str, where: str, suffix: str
) -> Drawing:
    from megabar.analysis.figures.tc_curves import smearing_figure

    around = document.get("smearings_around_Ry")
    judged = (float(around[0]), float(around[-1])) if around else None
    text = f"λ and Tc of the isotropic Eliashberg equations; the smearing that is quoted is filled ({reading.why})."
    if judged is not None:
        text += " Shaded: what they range over between the smearings that it is judged by."
    figure = partial(smearing_figure, lines, title, judged)
    return Drawing(f"tc-smearing{suffix}", f"Tc over the smearing{where}", text, figure)


def _grids(reading: Reading, document: Mapping[str, Any], title: str, where: str, suffix: str) -> list[Drawing]:
    from megabar.analysis.figures.tc_curves import grid_figure
    from megabar.analysis.superconductivity.subgrids import convergence

    assert reading.coupling is not None
    try:
        rows = convergence(reading.coupling, reading.chosen, document["mu_star"], document["mu_ref_meV"])
    except InputError:
        return []
    if len(rows) < 2:
        return []
    figure = partial(grid_figure, [GridRow(*row) for row in rows], title)
    text = (
        f"λ and Tc (Eliashberg, μ* = {document['mu_star']:g}) at the smearing that is quoted, on the computed grid of "
        "q and on those that lie within it: some of the same q-points."
    )
    return [Drawing(f"tc-grid{suffix}", f"Convergence with the grid of q{where}", text, figure)]


def _sensitivity(reading: Reading, document: Mapping[str, Any], title: str, where: str, suffix: str) -> Drawing:
    from megabar.analysis.figures.superconductivity import SENSITIVITY_CAPTION, sensitivity_figure
    from megabar.analysis.superconductivity.eliashberg.derivative import sensitivity
    from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
    from megabar.analysis.superconductivity.eliashberg.linearised import critical, interaction_of

    spectrum = reading.spectrum
    interaction, modes = interaction_of(spectrum, document["mu_star"], document["mu_ref_meV"]), modes_of(spectrum)
    state = critical(modes, interaction)
    assert state is not None  # there is a Tc
    figure = partial(sensitivity_figure, spectrum, sensitivity(modes, interaction, state), title)
    return Drawing(f"tc-sensitivity{suffix}", f"How Tc answers to α²F{where}", SENSITIVITY_CAPTION, figure)
