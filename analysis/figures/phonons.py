"""Figures of lattice dynamics: dispersion with density of states, thermal functions, Grüneisen parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.figures.zone_path import PathPart, draw_path
from megabar.analysis.phonons.dispersion import Dispersion
from megabar.analysis.phonons.gruneisen import Gruneisen
from megabar.analysis.phonons.harmonic import Array
from megabar.analysis.phonons.spectrum import ZERO_THZ, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN, PANEL_IN = 2.9, 2.4
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, BETWEEN_IN = 0.5, 0.1, 0.26, 0.36, 0.12
DENSITY_SHARE, DENSITY_IN = 0.22, (0.6, 1.3)
"""Width of the density of states: a share of the figure, within limits (inches)."""
TEMPERATURES = 101
LEAST_K = 1000.0
MOST_POINTS = 20_000
COLDEST_K = 20.0
"""Below it the mean γ is that of waves longer than a mesh has."""
GREEK = {"GAMMA": "Γ", "SIGMA": "Σ", "DELTA": "Δ", "LAMBDA": "Λ"}
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def corner(name: str) -> str:
    """Return the name of a corner of the zone as it is written: Γ, X₁, Σ₀."""
    letter, _, number = name.partition("_")
    return GREEK.get(letter, letter) + number.translate(_LOW)


def phonon_figure(found: Dispersion, title: str = "") -> Figure:
    """Return the dispersion with the density of states beside it on the same axis; imaginary frequencies below zero."""
    from megabar.analysis.figures.style import FAINT, PALETTE, given_axes, journal_style

    parts = [
        PathPart(corner(one.labels[0]), corner(one.labels[1]), one.distance, one.frequencies_THz)
        for one in found.branches
    ]
    low, high = _limits(found)
    with journal_style():
        axes = given_axes(2) or _side_by_side()
        draw_path(axes[0], parts, PALETTE[1])
        _density(axes[1], found)
        for each in axes:
            each.set_ylim(low, high)
            if low < 0:
                each.axhspan(low, 0, color=PALETTE[1], alpha=0.07, linewidth=0, zorder=0)
                each.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        if low < 0:
            axes[1].text(
                0.94, 0.02, "imaginary", transform=axes[1].transAxes, color=PALETTE[1], ha="right", va="bottom", size=7
            )
        axes[0].set_ylabel("Frequency (THz)")
        axes[1].tick_params(labelleft=False)
        axes[1].set_xlabel("States (1/THz cell)")
        if title:
            axes[0].text(0, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return axes[0].figure  # type: ignore[return-value]  # or a part of a figure


def _side_by_side() -> list[Axes]:
    """Return the axes of the dispersion and of the density of states beside it."""
    from megabar.analysis.figures.style import PAGE_IN, new_figure, wanted_width

    width_in = wanted_width(PAGE_IN)
    figure = new_figure(width_in, HEIGHT_IN)
    beside = min(max(DENSITY_SHARE * width_in, DENSITY_IN[0]), DENSITY_IN[1])
    wide = width_in - LEFT_IN - RIGHT_IN - BETWEEN_IN - beside
    height = (HEIGHT_IN - TOP_IN - BOTTOM_IN) / HEIGHT_IN
    places = ((LEFT_IN, wide), (LEFT_IN + wide + BETWEEN_IN, beside))
    return [figure.add_axes((x / width_in, BOTTOM_IN / HEIGHT_IN, w / width_in, height)) for x, w in places]


def phonon_caption(found: Dispersion, polar: bool) -> str:
    """Return the sentences that belong below the figure."""
    text = "Phonon dispersion along the path of Hinuma et al. (2017) and density of states of the primitive cell."
    if polar:
        text += " Γ is approached along each part of the path, with the field that longitudinal modes make."
    lowest = min(float(one.frequencies_THz.min()) for one in found.branches)
    if lowest < -ZERO_THZ:
        text += f" Imaginary frequencies are drawn below zero, the lowest on the path {abs(lowest):.3g}i THz."
    return text


def _limits(found: Dispersion) -> tuple[float, float]:
    values = np.concatenate([one.frequencies_THz.ravel() for one in found.branches])
    high, low = 1.04 * float(values.max()), float(values.min())
    return (min(1.08 * low, -0.06 * high) if low < -ZERO_THZ else 0.0), high


def _density(axes: Axes, found: Dispersion) -> None:
    from matplotlib.ticker import MaxNLocator

    from megabar.analysis.figures.style import INK, PALETTE

    axes.fill_betweenx(found.density_THz, 0, found.density, color=PALETTE[0], alpha=0.25, linewidth=0)
    axes.plot(found.density, found.density_THz, color=INK, linewidth=0.8)
    unstable = found.density_THz < 0
    if unstable.any():
        axes.plot(found.density[unstable], found.density_THz[unstable], color=PALETTE[1], linewidth=1.1)
    axes.set_xlim(0, 1.08 * float(found.density.max()) or 1.0)  # levels without dispersion have no linear tetrahedra
    axes.xaxis.set_major_locator(MaxNLocator(3, prune="lower"))  # the first one would touch the name of the last q


def temperatures_K(asked: Sequence[float]) -> Array:
    """Return the temperatures (K) of a figure: from 0 to the highest that is asked for, to 1000 at least."""
    return np.linspace(0.0, max([LEAST_K, *asked]), TEMPERATURES)


def thermal_figure(found: Spectrum, errors_eV: Array, at_K: Array, title: str = "") -> Figure:
    """Return free energy with its error, entropy and heat capacity over temperature; errors_eV: as at_K."""
    from ase import units

    from megabar.analysis.figures.style import FAINT, PAGE_IN, PALETTE, Margins, journal_style, panels

    thermal = found.thermal(at_K)
    curves = (
        (1000 * thermal.free_energy_eV, "$F$ (meV/atom)"),
        (thermal.entropy_eV_K / units.kB, "$S$ ($k_\\mathrm{B}$/atom)"),
        (thermal.heat_capacity_eV_K / units.kB, "$C_V$ ($k_\\mathrm{B}$/atom)"),
    )
    with journal_style():
        figure, axes = panels(3, 3, PANEL_IN, PAGE_IN, Margins(right=0.2))
        for each, (values, name), letter in zip(axes, curves, "abc", strict=True):
            each.plot(at_K, values, color=PALETTE[0])
            each.set_xlim(0, float(at_K[-1]))
            each.set_xlabel("$T$ (K)", parse_math=True)
            each.set_ylabel(name, parse_math=True)
            each.text(0.0, 1.03, f"({letter})", transform=each.transAxes, ha="left", va="bottom", weight="bold")
        low, high = curves[0][0] - 1000 * errors_eV, curves[0][0] + 1000 * errors_eV
        axes[0].fill_between(at_K, low, high, color=PALETTE[0], alpha=0.25, linewidth=0)
        axes[0].axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        axes[1].set_ylim(bottom=0)
        axes[2].axhline(3, color=FAINT, linewidth=0.6, zorder=0)
        axes[2].set_ylim(0, 3.2)
        if title:
            axes[0].text(0.15, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return figure


THERMAL_CAPTION = (
    "Harmonic (a) Helmholtz energy with its zero-point part, shaded by how far supercell, mesh and symmetry move "
    "it, (b) entropy and (c) heat capacity at constant volume; grey: 3 k_B, Dulong and Petit's."
)
GRUNEISEN_CAPTION = (
    "(a) Mode Grüneisen parameters −d ln ω/d ln V over the frequency, on a mesh of q; (b) their mean weighted by "
    "the heat capacity of the modes."
)


def gruneisen_figure(found: Sequence[Gruneisen], at_K: Array, names: Sequence[str], title: str = "") -> Figure:
    """Return γ of the modes over their frequency and the mean γ(T), a colour for each volume."""
    from megabar.analysis.figures.style import FAINT, PAGE_IN, PALETTE, Margins, journal_style, panels

    with journal_style():
        figure, axes = panels(2, 2, PANEL_IN + 0.2, PAGE_IN, Margins(right=0.2))
        warm = at_K[at_K >= COLDEST_K]
        for number, (each, name) in enumerate(zip(found, names, strict=True)):
            color = PALETTE[number % len(PALETTE)]
            known = np.isfinite(each.parameters)
            x, y = each.frequencies_THz[known], each.parameters[known]
            step = max(1, len(x) // MOST_POINTS)
            axes[0].plot(x[::step], y[::step], ".", markersize=1.6, mew=0, alpha=0.6, color=color, rasterized=True)
            axes[1].plot(warm, each.mean(warm), color=color, label=name)
        all_ = np.concatenate([each.parameters[np.isfinite(each.parameters)] for each in found])
        low, high = np.percentile(all_, [0.2, 99.8])
        room = 0.1 * (high - low) + 1e-3
        axes[0].set_ylim(min(low - room, 0.0), high + room)
        axes[0].axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        axes[0].set_xlim(left=0)
        axes[0].set_xlabel("Frequency (THz)")
        axes[1].set_xlim(0, float(at_K[-1]))
        axes[1].set_xlabel("$T$ (K)", parse_math=True)
        for each_axes, name, letter in zip(axes, ("γ of the modes", "Mean γ"), "ab", strict=True):
            each_axes.set_ylabel(name)
            each_axes.text(
                0.0, 1.03, f"({letter})", transform=each_axes.transAxes, ha="left", va="bottom", weight="bold"
            )
        axes[1].legend(loc="best")
        if title:
            axes[0].text(0.08, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return figure
