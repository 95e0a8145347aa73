"""Volume against pressure: computed points and the curve through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.differences import computed_pressures, grid_for
from megabar.analysis.figures.labels import Label, place_labels
from megabar.analysis.figures.style import Look, page_panels, pretty_formula, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def volume_figure(curves: Sequence[Curve], look: Mapping[str, Look], limits_GPa: tuple[float, float]) -> Figure | None:
    """Return V(P), one panel a formula; None where there is no curve."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.formula, []).append(curve)
    if not groups:
        return None
    figure, axes = page_panels(len(groups), 2.4, most=3 if len(groups) > 2 else 2)
    for ax, (formula, group) in zip(axes, groups.items(), strict=True):
        ax.set_gid(f"volumes-{formula}")
        ax.set_title(pretty_formula(formula), loc="left", fontweight="bold")
        ax.set_xlabel("Pressure (GPa)")
        ax.set_ylabel("Volume (Å³/atom)")
        lines, labels = [], []
        for curve in group:
            style = look[curve.phase]
            grid = grid_for([curve], limits_GPa)
            volume = curve.volume(grid)
            ax.plot(grid, volume, color=style.color, ls=style.line, label=curve.phase)
            pressures, volumes = _points(curve, limits_GPa)
            ax.plot(pressures, volumes, style.marker, color=style.color, mew=0, ls="none")
            known = np.isfinite(volume)
            places = np.column_stack([grid, volume])[known] if known.any() else np.column_stack([pressures, volumes])
            lines.append(places)
            if len(places):
                labels.append(Label.along(short_name(curve.phase, formula), style.color, places))
        ax.set_xlim(*limits_GPa)
        ax.margins(y=0.12)
        left = place_labels(ax, labels, lines)
        if left:
            ax.legend(loc="upper right")
    return figure


def _points(curve: Curve, limits_GPa: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Return pressures and volumes of the computed points within limits."""
    pressures = computed_pressures(curve)
    volumes = np.asarray(getattr(curve, "volumes_A3", curve.volume(pressures)), float)
    inside = (pressures >= limits_GPa[0]) & (pressures <= limits_GPa[1]) & np.isfinite(volumes)
    return pressures[inside].tolist(), volumes[inside].tolist()
