"""The phonon dispersion with the linewidths and λ of the computed q-points, and α²F beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.figures.zone_path import PathPart, draw_path
from megabar.analysis.superconductivity.dispersion import Dispersion
from megabar.analysis.superconductivity.spectral import SpectralFunction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
HEIGHT_IN = 3.1
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, BETWEEN_IN, SPECTRUM_IN = 0.5, 0.1, 0.3, 0.36, 0.2, 1.2
LEAST_WIDTH_IN = 5.0
"""Three panels need so much; a narrower figure is not drawn."""
LARGEST = 130.0
"""Area of the largest mark (points²)."""
ROUND = (1.0, 2.0, 5.0)


def dispersion_figure(found: Dispersion, spectrum: SpectralFunction, title: str = "") -> Figure:
    """Return the dispersion twice, marked by γ_qν and by λ_qν, with α²F(ω) and λ(ω) on the same axis of energy."""
    from megabar.analysis.figures.style import PALETTE, given_axes, journal_style

    with journal_style():
        axes = given_axes(3) or _own_axes()
        marks = (("γ_qν", found.marks.linewidth_meV, "meV", PALETTE[1]), ("λ_qν", found.marks.lambda_, "", PALETTE[2]))
        for each, (name, sizes, unit, color) in zip(axes, marks, strict=False):
            _lines(each, found)
            _marks(each, found, np.abs(sizes), color, name.replace("_qν", ""), unit)
        _spectrum(axes[2], spectrum)
        low, high = _limits(found, spectrum)
        for each in axes:
            each.set_ylim(low, high)
            if low < 0:
                each.axhline(0, color="#b9bec6", linewidth=0.6, zorder=0)
        axes[0].set_ylabel("Energy (meV)")
        for each in axes[1:]:
            each.set_yticklabels([])
        if title:
            axes[0].text(0, 1.03, title, transform=axes[0].transAxes, ha="left", va="bottom")
    return axes[0].figure  # type: ignore[return-value]  # or a part of a figure, where the axes were given


def _own_axes() -> list[Axes]:
    """Return the three panels of a new figure."""
    from megabar.analysis.figures.style import PAGE_IN, new_figure, wanted_width

    width_in = max(wanted_width(PAGE_IN), LEAST_WIDTH_IN)
    figure = new_figure(width_in, HEIGHT_IN)
    wide = (width_in - LEFT_IN - RIGHT_IN - SPECTRUM_IN - 2 * BETWEEN_IN) / 2
    places = (LEFT_IN, LEFT_IN + wide + BETWEEN_IN, LEFT_IN + 2 * (wide + BETWEEN_IN))
    return [
        figure.add_axes(
            (left / width_in, BOTTOM_IN / HEIGHT_IN, width / width_in, (HEIGHT_IN - TOP_IN - BOTTOM_IN) / HEIGHT_IN)
        )
        for left, width in zip(places, (wide, wide, SPECTRUM_IN), strict=True)
    ]


def dispersion_caption(found: Dispersion) -> str:
    """Return the sentences that belong below the figure."""
    grid = "×".join(map(str, found.grid))
    text = (
        f"Phonon dispersion, interpolated from the force constants of the {grid} grid. Circles: the computed q-points "
        "on the path, their area by the linewidth γ_qν (half width at half height, left) and by λ_qν (middle) at the "
        f"smearing {found.smearing_Ry:g} Ry; neither is interpolated. Right: α²F(ω) and the cumulative λ(ω)."
    )
    if found.shift_meV < -0.05 or found.shift_meV > 0.05:
        text += f" At Γ the translations are set to 0 ({found.shift_meV:.2g} meV as computed)."
    computed, drawn = _lowest_computed(found), min(float(part.omega_meV.min()) for part in found.parts)
    if computed < -1e-3:
        text += " Imaginary modes are drawn below 0."
    elif drawn < -0.5:
        text += (
            f" Between the computed points the interpolation falls to {drawn:.3g} meV (imaginary, drawn below 0), "
            "where no computed mode is imaginary: a denser q-grid tells whether that is real."
        )
    return text


def _lowest_computed(found: Dispersion) -> float:
    return float(np.min(found.marks.omega_meV, initial=0.0))


def _limits(found: Dispersion, spectrum: SpectralFunction) -> tuple[float, float]:
    values = np.concatenate([part.omega_meV.ravel() for part in found.parts])
    high = 1.04 * max(float(values.max()), float(spectrum.omega_max_meV))
    low = float(values.min())
    return (1.06 * low if low < -0.005 * high else 0.0), high


def _lines(axes: Axes, found: Dispersion) -> None:
    draw_path(axes, [PathPart(part.start, part.end, part.along, part.omega_meV) for part in found.parts])


def _marks(axes: Axes, found: Dispersion, sizes: Array, color: str, name: str, unit: str) -> None:
    """Draw circles with areas in proportion, and one of a round size in the heading to tell the scale."""
    largest = float(np.max(sizes, initial=0.0))
    if not largest > 0:
        return
    areas = LARGEST * sizes / largest
    axes.scatter(
        found.marks.along,
        found.marks.omega_meV,
        s=areas,
        color=color,
        alpha=0.55,
        linewidths=0,
        zorder=3,
        clip_on=False,
    )
    scale = below(largest / 2)
    axes.scatter(
        [], [], s=LARGEST * scale / largest, color=color, alpha=0.55, linewidths=0, label=f"{name} = {scale:g} {unit}"
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, handletextpad=0.2, scatterpoints=1)


def below(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a positive value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(each for each in ROUND if each * power <= value * (1 + 1e-9)))


def _spectrum(axes: Axes, spectrum: SpectralFunction) -> None:
    from megabar.analysis.figures.style import INK, PALETTE
    from megabar.analysis.superconductivity.spectral import broadened, drawn_width_meV

    drawn = broadened(spectrum, drawn_width_meV(spectrum))
    axes.fill_betweenx(drawn.omega_meV, 0, drawn.alpha2f, color=PALETTE[0], alpha=0.25, linewidth=0)
    axes.plot(drawn.alpha2f, drawn.omega_meV, color=INK, linewidth=0.9)
    axes.set_xlim(0, 1.1 * float(drawn.alpha2f.max()))
    axes.set_xlabel("α²F(ω)")
    top = axes.twiny()
    heights = [0.0, *spectrum.omega_meV.tolist(), float(drawn.omega_meV[-1])]
    values = [0.0, *spectrum.cumulative_lambda.tolist(), spectrum.lambda_]
    top.plot(values, heights, color=PALETTE[1], drawstyle="steps-pre" if spectrum.discrete else "default")
    top.set_xlim(0, 1.15 * spectrum.lambda_)
    top.set_xlabel("λ(ω)", color=PALETTE[1], labelpad=2)
    top.tick_params(axis="x", pad=1)
    axes.tick_params(top=False)
