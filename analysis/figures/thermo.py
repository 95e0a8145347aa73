"""Figures of a phase at pressure and temperature: V, α, C_P, K_S and G against temperature, a line a pressure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from ase.units import kJ, mol
from numpy.typing import NDArray

from megabar.analysis.figures.drawing import Drawing
from megabar.analysis.thermo.gibbs import GibbsTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
MOST_LINES = 8
FEW = 12
"""Temperatures below which each is marked: lines between them are drawn by a ruler."""
HEIGHT_IN = 2.3
_PER_MOL = mol / kJ * 1000.0


def thermo_drawings(gibbs: GibbsTable, doubt_K: Array, title: str = "", suffix: str = "") -> list[Drawing]:
    """Return the page of all quantities and each of them alone; doubt_K: where each pressure's lines become dashed.

    title: of what, written above; suffix: that the names of the figures end with.
    """
    caption = (
        "Quasi-harmonic approximation; shaded: how far single volumes, left out, move V; dashed: where the thermal "
        f"expansion bends upwards and the approximation is in doubt. Per {_amount(gibbs)}."
    )
    quantities = _quantities(gibbs)
    of = f" of {title}" if title else ""
    whole = partial(_page, gibbs, doubt_K, quantities, title)
    page = Drawing(f"thermo{suffix}", f"Against temperature{f', {title}' if title else ''}", caption, whole)
    single = [
        Drawing(f"thermo-{each[0]}{suffix}", f"{each[1]}{of}", caption, partial(_alone, gibbs, doubt_K, each, title))
        for each in quantities
    ]
    return [page, *single]


def _amount(gibbs: GibbsTable) -> str:
    if gibbs.atoms is None:
        return "cell"
    return "atom" if gibbs.atoms == 1 else f"cell of {gibbs.atoms} atoms"


def _quantities(g: GibbsTable) -> list[tuple[str, str, Array]]:
    return [
        ("volume", "V (Å³)", g.volume_A3),
        ("expansion", "α (10⁻⁶ K⁻¹)", g.thermal_expansion_per_K * 1e6),
        ("heat-capacity", "Cₚ (J mol⁻¹ K⁻¹)", g.heat_capacity_p_eV_per_K * _PER_MOL),
        ("bulk-modulus", "Adiabatic bulk modulus (GPa)", g.adiabatic_bulk_modulus_GPa),
        ("gibbs", "G − G(lowest T) (eV)", _from_first(g.gibbs_eV)),
    ]


def _from_first(values: Array) -> Array:
    """G over temperature at pressures that lie eV apart: each from its own first value."""
    first = np.array([row[np.isfinite(row)][0] if np.isfinite(row).any() else np.nan for row in values])
    return np.asarray(values - first[:, None])


def _page(g: GibbsTable, doubt_K: Array, quantities: Sequence[tuple[str, str, Array]], title: str) -> Figure:
    from megabar.analysis.figures.style import PAGE_IN, Margins, journal_style, panels

    with journal_style():
        figure, axes = panels(6, 3, HEIGHT_IN, PAGE_IN, Margins(left=0.58, right=0.18, top=0.24))
        for each, quantity, letter in zip(axes, quantities, "abcde", strict=False):
            _draw(each, g, doubt_K, quantity)
            each.text(0.0, 1.03, f"({letter})", transform=each.transAxes, ha="left", va="bottom", weight="bold")
        axes[-1].set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        axes[-1].legend(handles, labels, loc="center left", title="Pressure")
        if title:
            axes[0].text(0.14, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return figure


def _alone(g: GibbsTable, doubt_K: Array, quantity: tuple[str, str, Array], title: str) -> Figure:
    from megabar.analysis.figures.style import COLUMN_IN, Margins, journal_style, panels

    with journal_style():
        figure, [axes] = panels(1, 1, 2.6, COLUMN_IN, Margins(left=0.62, right=0.12, top=0.24))
        _draw(axes, g, doubt_K, quantity)
        axes.legend(loc="best")
        if title:
            axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
    return figure


def _draw(axes: Axes, g: GibbsTable, doubt_K: Array, quantity: tuple[str, str, Array]) -> None:
    from megabar.analysis.figures.style import PALETTE

    name, label, values = quantity
    t = g.temperatures_K
    drawn = [i for i in range(len(g.pressures_GPa)) if np.isfinite(values[i]).any()]
    for number, i in enumerate(_some(drawn)):
        color, y = PALETTE[number % len(PALETTE)], values[i]
        limit = doubt_K[i] if np.isfinite(doubt_K[i]) else np.inf
        pressure = f"{g.pressures_GPa[i]:g} GPa"
        sure, doubtful = t <= limit, t >= (t[t <= limit][-1] if (t <= limit).any() else -np.inf)
        marker = "o" if len(t) < FEW else ""
        axes.plot(t[sure], y[sure], color=color, label=pressure, marker=marker)
        if limit < t[-1]:
            axes.plot(t[doubtful], y[doubtful], color=color, ls=(0, (4, 2)), marker=marker)
        if name == "volume":
            error = np.nan_to_num(g.volume_error_A3[i])
            axes.fill_between(t, y - error, y + error, color=color, alpha=0.18, lw=0)
    axes.set_xlabel("Temperature (K)")
    axes.set_ylabel(label)
    axes.margins(x=0.02 if len(t) < FEW else 0.0, y=0.05)


def _some(drawn: list[int]) -> list[int]:
    """At most so many lines that can be told apart, evenly over the pressures."""
    if len(drawn) <= MOST_LINES:
        return drawn
    return [drawn[round(k)] for k in np.linspace(0, len(drawn) - 1, MOST_LINES)]
