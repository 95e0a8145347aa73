"""Figures of a spectral function: α²F(ω) with the cumulative λ(ω), and how Tc answers to α²F, δTc/δα²F(ω)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from megabar.analysis.superconductivity.eliashberg.derivative import Sensitivity
from megabar.analysis.superconductivity.spectral import SpectralFunction, broadened, drawn_width_meV
from megabar.analysis.superconductivity.units import MEV_PER_K

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


def caption(spectrum: SpectralFunction) -> str:
    """Return the sentences that belong below the figure."""
    if not spectrum.discrete:
        return ALPHA2F_CAPTION + (" Grey: its standard error." if spectrum.sigma is not None else "")
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
    if spectrum.sigma is not None:
        low, high = spectrum.alpha2f - spectrum.sigma, spectrum.alpha2f + spectrum.sigma
        axes.fill_between(spectrum.omega_meV, low, high, color=INK, alpha=0.25, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("ω (meV)")
    axes.set_ylabel("α²F(ω)")


SENSITIVITY_CAPTION = (
    "δTc/δα²F(ω), by how much Tc rises for a little more of α²F at ω (line), and α²F(ω) (shaded). Its product with an "
    "error of α²F, integrated, is the error of Tc: Bergmann & Rainer, Z. Phys. 263, 59 (1973)."
)


def sensitivity_figure(spectrum: SpectralFunction, response: Sensitivity, title: str = "") -> Figure:
    """Return the figure of δTc/δα²F(ω) with α²F(ω) behind it. response: at the Tc of the spectrum."""
    import numpy as np

    from megabar.analysis.figures.style import COLUMN_IN, INK, PALETTE, Margins, journal_style, panels, symbols

    with journal_style():
        figure, [axes] = panels(1, 1, 2.5, COLUMN_IN, Margins(left=0.56, right=0.5, top=0.26))
        drawn = broadened(spectrum, drawn_width_meV(spectrum))
        highest = float(drawn.omega_meV[-1])
        thermal = response.tc_K * MEV_PER_K
        omega = np.unique(
            np.concatenate([np.linspace(0, highest, 400), np.linspace(0, min(40 * thermal, highest), 400)])
        )
        values = response.tc_by_alpha2f(omega)
        right = axes.twinx()
        right.set_zorder(axes.get_zorder() - 1)
        right.fill_between(drawn.omega_meV, 0, drawn.alpha2f, color=PALETTE[0], alpha=0.25, linewidth=0)
        right.set_ylim(0, 1.6 * float(drawn.alpha2f.max()))
        right.set_ylabel("α²F(ω)", color=PALETTE[0])
        axes.plot(omega, values, color=INK)
        best = float(omega[int(np.argmax(values))])
        axes.axvline(best, color="#666667", linewidth=0.7, linestyle=":")
        where = symbols(f"highest at {best:.3g} meV = {best / thermal:.2g} k_BTc")
        style: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "parse_math": True}
        axes.text(0.98, 1.02, where, transform=axes.transAxes, **style)
        axes.set_xlim(0, highest)
        axes.set_ylim(0, 1.12 * float(values.max()))
        axes.set_xlabel("ω (meV)")
        axes.set_ylabel(symbols("δTc/δα²F(ω) (K/meV)"), parse_math=True)
        axes.tick_params(right=False)
        if title:
            axes.text(0.0, 1.02, title, transform=axes.transAxes, ha="left", va="bottom")
    return figure
