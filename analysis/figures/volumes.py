"""Volume against pressure: computed points and the curve through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.differences import computed_pressures, grid_for
from megabar.analysis.figures.enthalpies import MOST_SYMBOLS
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.looks import Look, handle
from megabar.analysis.figures.selection import Choice
from megabar.analysis.figures.style import named, page_panels, pretty_formula

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def volume_figure(
    shown: Mapping[str, Choice], look: Mapping[str, Look], limits_GPa: tuple[float, float], labels: Mapping[str, str]
) -> Figure | None:
    """Return V(P), one panel a formula; None where there is no curve."""
    if not shown:
        return None
    figure, axes = page_panels(len(shown), 2.0, most=3)
    for ax, (formula, choice) in zip(axes, shown.items(), strict=True):
        ax.set_gid(f"volumes-{formula}")
        ax.set_title(pretty_formula(formula), loc="left", fontweight="bold")
        ax.set_xlabel("Pressure (GPa)")
        ax.set_ylabel("Volume (Å³/atom)")
        _draw(ax, choice, look, limits_GPa, labels)
    return figure


def _draw(
    ax: Axes, choice: Choice, look: Mapping[str, Look], limits_GPa: tuple[float, float], labels: Mapping[str, str]
) -> None:
    lines, wanted = [], []
    for curve in choice.shown:
        style = look[curve.phase]
        grid = grid_for([curve], limits_GPa)
        volume = curve.volume(grid)
        ax.plot(grid, volume, color=style.color, ls=style.line, label=curve.phase)
        pressures, volumes = _points(curve, limits_GPa)
        ax.plot(pressures, volumes, style.marker, color=style.color, mew=0, ls="none", ms=3.2)
        known = np.isfinite(volume)
        places = np.column_stack([grid, volume])[known] if known.any() else np.column_stack([pressures, volumes])
        lines.append(places)
        if len(places):
            wanted.append(Label.along(named(curve.phase, curve.formula, labels, short=True), style.color, places))
    ax.set_xlim(*limits_GPa)
    ax.margins(y=0.12)
    left = {label.text for label in place_labels(ax, wanted, lines)}
    names = {curve.phase: named(curve.phase, curve.formula, labels, short=True) for curve in choice.shown}
    handles = [handle(look[phase], name) for phase, name in names.items() if name in left]
    if handles:
        ax.legend(handles=handles, loc="upper right", fontsize=6.5)


def _points(curve: Curve, limits_GPa: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Return pressures and volumes of the computed points within limits."""
    pressures = computed_pressures(curve)
    volumes = np.asarray(getattr(curve, "volumes_A3", curve.volume(pressures)), float)
    inside = np.flatnonzero((pressures >= limits_GPa[0]) & (pressures <= limits_GPa[1]) & np.isfinite(volumes))
    inside = inside[:: max(1, -(-len(inside) // MOST_SYMBOLS))]
    return pressures[inside].tolist(), volumes[inside].tolist()
