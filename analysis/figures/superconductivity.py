"""Figures of superconductivity: α²F(ω) with the cumulative λ(ω), Tc against smearing and against pressure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from megabar.analysis.superconductivity.spectral import SpectralFunction, broadened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BROADENING = 0.015
"""Width of the Gaussians that a sum of peaks is drawn with, in units of its highest frequency."""
ALPHA2F_CAPTION = (
    "α²F(ω) (left) and the cumulative λ(ω) = 2∫α²F/ω′ dω′ up to ω (right). By colour: the part of each species' motion."
)
BROADENED_CAPTION = (
    "The modes of the q-grid are drawn as Gaussians of {width:.2g} meV, λ is that of the modes themselves."
)


def alpha2f_figure(spectrum: SpectralFunction, title: str = "") -> Figure:
    """Return the figure of α²F(ω) with the cumulative λ(ω), the shares of the species below one another where known."""
    from megabar.analysis.figures.style import COLUMN_IN, INK, PALETTE, Margins, journal_style, panels

    with journal_style():
        figure, [axes] = panels(1, 1, 2.5, COLUMN_IN, Margins(left=0.5, right=0.5, top=0.26))
        drawn = broadened(spectrum, drawn_width_meV(spectrum))
        _spectrum(axes, drawn)
        right = axes.twinx()
        right.plot(
            [0.0, *spectrum.omega_meV.tolist(), float(drawn.omega_meV[-1])],
            [0.0, *spectrum.cumulative_lambda.tolist(), spectrum.lambda_],
            color=PALETTE[1],
            drawstyle="steps-post" if spectrum.discrete else "default",
        )
        right.set_ylim(0, 1.08 * spectrum.lambda_)
        right.set_ylabel("λ(ω)", color=PALETTE[1])
        axes.set_xlim(0, float(drawn.omega_meV[-1]))
        axes.tick_params(right=False)
        right.text(
            0.98, 1.02, f"λ = {spectrum.lambda_:.3g}", transform=axes.transAxes, ha="right", va="bottom", color=INK
        )
        if title:
            axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
    return figure


def drawn_width_meV(spectrum: SpectralFunction) -> float:
    """Return the width (meV) of the Gaussians that peaks are drawn with."""
    return BROADENING * spectrum.omega_max_meV


def caption(spectrum: SpectralFunction) -> str:
    """Return the sentences that belong below the figure."""
    if not spectrum.discrete:
        return ALPHA2F_CAPTION
    return f"{ALPHA2F_CAPTION} {BROADENED_CAPTION.format(width=drawn_width_meV(spectrum))}"


def _spectrum(axes: Axes, spectrum: SpectralFunction) -> None:
    """Draw α²F, filled by species from below where their shares are known."""
    from megabar.analysis.figures.style import INK, PALETTE

    below = 0.0 * spectrum.alpha2f
    for number, (species, share) in enumerate(spectrum.shares.items() if len(spectrum.shares) > 1 else ()):
        above = below + share * spectrum.alpha2f
        color = PALETTE[(0, 3, 2, 4, 5)[number % 5]]
        axes.fill_between(spectrum.omega_meV, below, above, color=color, alpha=0.45, linewidth=0, label=species)
        below = above
    axes.plot(spectrum.omega_meV, spectrum.alpha2f, color=INK)
    if not len(spectrum.shares) > 1:
        axes.fill_between(spectrum.omega_meV, 0, spectrum.alpha2f, color=PALETTE[0], alpha=0.25, linewidth=0)
    else:
        axes.legend(loc="upper left")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("ω (meV)")
    axes.set_ylabel("α²F(ω)")


@dataclass(frozen=True)
class TcLine:
    """Tc (K) along pressures (GPa) or smearings (Ry), with errors where known; chosen: the place that is quoted."""

    label: str
    at: Sequence[float]
    tc_K: Sequence[float]
    error_K: Sequence[float | None] = ()
    chosen: int | None = None


@dataclass(frozen=True)
class PublishedTc:
    """A published Tc (K) at a pressure (GPa). measured: in an experiment, not calculated."""

    pressure_GPa: float
    tc_K: float
    source: str
    measured: bool


def smearing_figure(lines: Sequence[TcLine], title: str = "") -> Figure:
    """Return the figure of Tc against the smearing of the double delta; the values that are quoted are filled."""
    from megabar.analysis.figures.style import COLUMN_IN, MARKERS, PALETTE, Margins, journal_style, panels

    with journal_style():
        figure, [axes] = panels(1, 1, 2.4, COLUMN_IN, Margins(left=0.5, right=0.1, top=0.26))
        for number, line in enumerate(lines):
            color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            axes.plot(line.at, line.tc_K, marker=marker, markersize=4, color=color, mfc="white", label=line.label)
            if line.chosen is not None:
                axes.plot([line.at[line.chosen]], [line.tc_K[line.chosen]], marker=marker, markersize=5, color=color)
        _frame(axes, "smearing of the double delta (Ry)", title)
    return figure


def pressure_figure(lines: Sequence[TcLine], published: Sequence[PublishedTc], title: str = "") -> Figure:
    """Return the figure of Tc against pressure: ours with errors, published values beside them."""
    from megabar.analysis.figures.style import COLUMN_IN, INK, MARKERS, PALETTE, Margins, journal_style, panels

    with journal_style():
        figure, [axes] = panels(1, 1, 2.6, COLUMN_IN, Margins(left=0.5, right=0.1, top=0.26))
        for number, line in enumerate(lines):
            errors = [each or 0.0 for each in line.error_K] if any(line.error_K) else None
            color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            axes.errorbar(
                line.at, line.tc_K, errors, marker=marker, markersize=4, color=color, capsize=2, label=line.label
            )
        for measured, marker, name in ((True, "*", "measured"), (False, "x", "published, not measured")):
            own = [each for each in published if each.measured == measured]
            if own:
                pressures, values = [each.pressure_GPa for each in own], [each.tc_K for each in own]
                axes.plot(pressures, values, marker=marker, markersize=7, color=INK, linestyle="none", label=name)
        _frame(axes, "pressure (GPa)", title)
    return figure


def _frame(axes: Axes, across: str, title: str) -> None:
    axes.set_ylim(bottom=0)
    axes.margins(x=0.08)
    axes.set_xlabel(across)
    axes.set_ylabel("Tc (K)")
    axes.legend()
    if title:
        axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
