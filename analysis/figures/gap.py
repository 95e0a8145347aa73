"""Figures of the state below Tc: Δ(T), Δ(ω) and Z(ω), the tunnelling density of states, Hc(T) and ΔC(T)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.superconductivity.eliashberg.thermodynamics import HIGHEST, LOWEST
from megabar.analysis.superconductivity.eliashberg.tunnelling import density_of_states
from megabar.analysis.superconductivity.gap import AtTemperature, GapState, smooth_axis, tunnelling_axis
from megabar.analysis.superconductivity.spectral import drawn_width_meV

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_IN = 2.35
SHOWN = (0.5, 0.8, 0.9)
"""T/Tc, about, at which the density of states is drawn beside that at T = 0."""
DOS_GAPS = 3.0
"""The density of states is drawn up to so many Δ₀."""
BCS_RISE = 1.74
GAP_CAPTION = (
    "(a) Gap edge Δ₀(T) with Re Δ(ω = Δ₀) = Δ₀ and Δ at the first Matsubara frequency; dotted: the shape of BCS "
    "theory, tanh[1.74√(Tc/T − 1)], with the same Δ₀. (b) Δ(ω) near T = 0 by exact continuation (lines) and by Padé "
    "(dashed){how}. (c) Quasi-particle density of states, N(ω)/N(0). (d) Thermodynamic critical field Hc(T)/Hc(0) and "
    "the difference of the specific heats over γTc; dotted: 1 − (T/Tc)²."
)


def gap_caption(state: GapState) -> str:
    """Return the sentences that belong below the figure."""
    spectrum = state.spectrum
    how = f", the modes of the q-grid as Gaussians of {drawn_width_meV(spectrum):.2g} meV" if spectrum.discrete else ""
    return GAP_CAPTION.format(how=how)


def gap_figure(state: GapState, title: str = "") -> Figure:
    """Return a page of four panels: Δ(T), Δ(ω), N(ω)/N(0), and Hc(T) with ΔC(T). state: of a spectrum with a Tc."""
    from megabar.analysis.figures.style import PAGE_IN, Margins, journal_style, panels

    with journal_style():
        figure, axes = panels(4, 2, PANEL_IN, PAGE_IN, Margins(left=0.56, right=0.62, top=0.26))
        for each, draw, letter in zip(
            axes, (_temperatures, _real_axis, _density, _thermodynamics), "abcd", strict=True
        ):
            draw(each, state)
            each.text(0.0, 1.03, f"({letter})", transform=each.transAxes, ha="left", va="bottom", weight="bold")
        if title:
            axes[0].text(0.1, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return figure


def _temperatures(axes: Axes, state: GapState) -> None:
    from megabar.analysis.figures.style import FAINT, PALETTE, PAPER

    tc, edge = state.solution.tc_K, state.solution.gap_edge_meV
    rows = state.rows
    axes.plot(
        [row.temperature_K for row in rows] + [tc],
        [float(row.gap.gap[0]) for row in rows] + [0.0],
        color=PALETTE[0], marker="o", mfc=PAPER, label="Δ(iω₀)",
    )  # fmt: skip
    edges = [(row.temperature_K, row.edge_meV) for row in rows]
    known = [(temperature, value) for temperature, value in edges if value is not None]
    if known:
        axes.plot(
            [temperature for temperature, _ in known] + [tc],
            [value for _, value in known] + [0.0],
            color=PALETTE[1], marker="s", label="Δ₀",
        )  # fmt: skip
    if edge is not None:
        t = np.linspace(0.02, 1, 200)
        shape = edge * np.tanh(BCS_RISE * np.sqrt(1 / t - 1))
        axes.plot(t * tc, shape, color=FAINT, linestyle=":", label="BCS shape", zorder=0)
    axes.set_xlim(0, 1.05 * tc)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("$T$ (K)", parse_math=True)
    axes.set_ylabel("Δ (meV)")
    axes.legend(loc="lower left")


def _real_axis(axes: Axes, state: GapState) -> None:
    from megabar.analysis.figures.style import FAINT, PALETTE

    found = smooth_axis(state)
    if found is None:
        _nothing(axes, "no real axis: see the notes")
        return
    top = state.spectrum.omega_max_meV
    highest = max(1.5 * top, top + 2 * float(found.imaginary.gap[0]))
    shown = found.exact.omega_meV <= highest
    omega = found.exact.omega_meV[shown]
    for part, color, name in ((np.real, PALETTE[0], "Re Δ"), (np.imag, PALETTE[1], "Im Δ")):
        axes.plot(omega, part(found.pade_gap)[shown], color=color, linestyle="--", linewidth=0.8, alpha=0.7)
        axes.plot(omega, part(found.exact.gap)[shown], color=color, label=name)
    both = np.concatenate([found.exact.gap[shown].real, found.exact.gap[shown].imag])
    room = 0.08 * np.ptp(both)
    axes.set_ylim(both.min() - room, both.max() + room)  # what Padé does beyond is no reason to hide the other
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_xlim(0, highest)
    axes.set_xlabel("ω (meV)")
    axes.set_ylabel("Δ(ω) (meV)")
    axes.legend(loc="best")


def _density(axes: Axes, state: GapState) -> None:
    from megabar.analysis.figures.style import PALETTE, symbols

    found, tc = state.solution.real_axis, state.solution.tc_K
    edge = state.solution.gap_edge_meV
    if found is None or edge is None:
        _nothing(axes, "no real axis: see the notes")
        return
    drawn = [(found.exact, symbols(f"{found.imaginary.temperature_K / tc:.2g} Tc"))]
    drawn += [
        (row.axis, symbols(f"{row.temperature_K / tc:.2g} Tc"))
        for row in _shown(state.rows, tc)
        if row.axis is not None
    ]
    highest = 0.0
    for number, (axis, name) in enumerate(drawn):
        fine = tunnelling_axis(axis, DOS_GAPS * edge)
        states = density_of_states(fine)
        axes.plot(fine.omega_meV, states, color=PALETTE[number % len(PALETTE)], label=name, linewidth=1.1)
        highest = max(highest, float(states.max()))
    axes.axhline(1, color="#b9bec6", linewidth=0.6, zorder=0)
    axes.set_xlim(0, DOS_GAPS * edge)
    axes.set_ylim(0, min(1.05 * highest, 6.0))
    axes.set_xlabel("ω (meV)")
    axes.set_ylabel("N(ω)/N(0)")
    for text in axes.legend(loc="upper right").get_texts():
        text.set_parse_math(True)


def _shown(rows: tuple[AtTemperature, ...], tc: float) -> list[AtTemperature]:
    """Return the rows nearest to the temperatures that are drawn, each once, without the coldest."""
    warm = [row for row in rows if row.temperature_K > 0.25 * tc]
    places = [int(np.argmin([abs(row.temperature_K / tc - t) for row in warm])) for t in SHOWN] if warm else []
    return [warm[place] for place in dict.fromkeys(places)]


def _thermodynamics(axes: Axes, state: GapState) -> None:
    from megabar.analysis.figures.style import FAINT, PALETTE, symbols

    found = state.solution.thermodynamics
    if found is None:
        _nothing(axes, "no thermodynamics: see the notes")
        return
    t = np.linspace(0, 1, 201)
    axes.plot(t, found.critical_field(t), color=PALETTE[0])
    axes.plot(t, 1 - t**2, color=FAINT, linestyle=":", zorder=0)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.08)
    axes.set_xlabel(symbols("T/Tc"), parse_math=True)
    axes.set_ylabel(symbols("Hc(T)/Hc(0)"), color=PALETTE[0], parse_math=True)
    right = axes.twinx()
    known = t[(t >= LOWEST) & (t <= HIGHEST)]
    known = np.append(known, 1.0)
    right.plot([*known, 1.0], [*found.specific_heat(known), 0.0], color=PALETTE[1])
    right.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    right.set_ylabel(symbols("ΔC/γTc"), color=PALETTE[1], parse_math=True)
    axes.tick_params(right=False)


def _nothing(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color="#666667")
    axes.set_xticks([])
    axes.set_yticks([])
