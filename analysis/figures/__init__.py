"""Figures of a stability study, for a journal and for the page of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from megabar.analysis.curve import Curve
from megabar.analysis.figures.diagram import WarmHull
from megabar.analysis.figures.drawing import Drawing, Drawings, Options
from megabar.analysis.stability import Stability


def draw_stability(
    curves: Sequence[Curve],
    stability: Stability | None,
    pressures_GPa: Sequence[float],
    warning: str = "",
    volumes: bool = True,
    options: Options | None = None,
    warm: Sequence[WarmHull] = (),
) -> Drawings:
    """Return the figures of some phases: those of the hull too where it is known.

    pressures_GPa: pressures asked for, ascending; they set what is shown. warning: written on every figure.
    volumes: whether the slopes of the curves are volumes. Of many phases those nearest to the hull are shown, and each
    caption says what it leaves out. warm: hulls at temperatures, and that of the static lattice beside them.
    """
    from megabar.analysis.figures.stability_drawings import Material

    if not curves:
        return Drawings((), ("There is no phase with a converged calculation, so there are no figures yet.",))
    wanted = replace(options or Options(), volumes=volumes)
    return Material.of(curves, stability, pressures_GPa, warning, wanted, warm).draw()


def panels_of(
    curves: Sequence[Curve],
    stability: Stability | None,
    pressures_GPa: Sequence[float],
    volumes: bool = True,
    warm: Sequence[WarmHull] = (),
) -> dict[str, str]:
    """Return the names of the figures and, where a figure has several, of its panels, with what they show."""
    from megabar.analysis.figures.stability_drawings import Material

    if not curves:
        return {}
    return Material.of(curves, stability, pressures_GPa, "", Options(volumes=volumes), warm).names()


__all__ = ["Drawing", "Drawings", "Options", "WarmHull", "draw_stability", "panels_of"]
