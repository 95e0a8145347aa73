"""How figures look: sizes, fonts, colours and names, and figures as PNG and SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from megabar.analysis.curve import Curve
from megabar.structures.composition import parse_formula

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.4, 7.0
"""Widths of a column and of a page of a journal (inches)."""
INK, PAPER, FAINT = "#1a1c20", "#fffffe", "#b9bec6"
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b27d00", "#3a96cc", "#882255", "#332288", "#7f7f2a", "#666667",
)  # fmt: skip
"""Hues of Okabe & Ito (jfly.uni-koeln.de/color) and Tol (personal.sron.nl/~pault), told apart by the colour-blind;
the light ones darkened until their names can be read on white."""
DARK_PALETTE = (
    "#4fb3f0", "#ff8a3d", "#2fcf9f", "#e08fd0", "#f0b83c", "#8fd0f7", "#ec7fa8", "#a99ff5", "#cfcf5a", "#b4b4b8",
)  # fmt: skip
MARKERS = "osDvPXhp<>"
LINES = ("-", "--", "-.", ":")
_SANS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of a phase, the same in every figure."""

    color: str
    marker: str
    line: str


def looks(curves: Sequence[Curve]) -> dict[str, Look]:
    """Return the look of each phase; after ten phases the colours come again with another line."""
    count = len(PALETTE)
    return {
        curve.phase: Look(PALETTE[i % count], MARKERS[i % count], LINES[i // count % len(LINES)])
        for i, curve in enumerate(curves)
    }


def pretty_formula(formula: str) -> str:
    """Return a formula with its numbers as subscripts: ``Na₂He``."""
    return formula.translate(_SUBSCRIPTS)


def pretty_phase(phase: str, formula: str) -> str:
    """Return a phase's name with the formula in it, if it begins with it, as chemists write it: ``H₃S-Im-3m``."""
    if phase == formula or phase.startswith(f"{formula}-"):
        return pretty_formula(formula) + phase[len(formula) :]
    return phase


def short_name(phase: str, formula: str) -> str:
    """Return what a phase is called where its formula is told beside it: ``hP4`` for ``Na-hP4``."""
    rest = phase.removeprefix(f"{formula}-")
    return pretty_phase(phase, formula) if rest == phase else rest


def is_element(formula: str) -> bool:
    """Whether a formula has one element only."""
    return len(parse_formula(formula)) == 1


@contextmanager
def journal_style() -> Iterator[None]:
    """Have matplotlib draw and save in the style of a journal while the block runs."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    with matplotlib.rc_context(
        {
            "font.family": [name for name in _SANS if name in there],
            "font.size": 8.0,
            "axes.titlesize": 8.5,
            "axes.titley": 1.0,  # given, so that matplotlib need not measure all ticks to place titles
            "axes.labelsize": 8.0,
            "axes.linewidth": 0.7,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.facecolor": "none",
            "axes.unicode_minus": True,
            "figure.facecolor": PAPER,
            "text.color": INK,
            "text.parse_math": False,  # a dollar in a phase's name is a dollar
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "xtick.direction": "in",
            "ytick.direction": "in",
            "xtick.top": True,
            "ytick.right": True,
            "legend.fontsize": 7.0,
            "legend.frameon": False,
            "lines.linewidth": 1.3,
            "lines.markersize": 3.8,
            "svg.fonttype": "none",
            "svg.hashsalt": "megabar",
            "savefig.facecolor": PAPER,
        }
    ):
        yield


@dataclass(frozen=True)
class Margins:
    """Room around the frame of each panel (inches)."""

    left: float = 0.56
    right: float = 0.12
    top: float = 0.26
    bottom: float = 0.42


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure on an Agg canvas, so that text can be measured."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def panels(
    count: int,
    columns: int,
    height_in: float,
    width_in: float = PAGE_IN,
    margins: Margins | None = None,
    outer: Margins | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of equal panels, ``columns`` side by side; ``outer`` is room around all of them together.

    Places are set in inches rather than by a layout engine: that would draw the figure twice to measure it.
    """
    inner, outer = margins or Margins(), outer or Margins(0.0, 0.0, 0.0, 0.0)
    columns = min(columns, count)
    rows = -(-count // columns)
    total = rows * height_in + outer.top + outer.bottom
    figure = new_figure(width_in, total)
    width = (width_in - outer.left - outer.right) / columns
    axes = []
    for number in range(count):
        left = outer.left + number % columns * width + inner.left
        bottom = total - outer.top - (number // columns + 1) * height_in + inner.bottom
        size = (width - inner.left - inner.right, height_in - inner.top - inner.bottom)
        axes.append(figure.add_axes((left / width_in, bottom / total, size[0] / width_in, size[1] / total)))
    return figure, axes


def page_panels(
    count: int, height_in: float, margins: Margins | None = None, most: int = 2
) -> tuple[Figure, list[Axes]]:
    """Return panels of a column's width, or several side by side on a page's width."""
    return panels(count, most, height_in, PAGE_IN if count > 1 else COLUMN_IN, margins)


def widest_in(figure: Figure, texts: Sequence[str], fontsize: float) -> float:
    """Return the width of the widest text (inches)."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    found = 0.0
    for text in texts:
        artist = figure.text(0, 0, text, fontsize=fontsize)
        found = max(found, artist.get_window_extent(renderer).width / figure.dpi)
        artist.remove()
    return found


def mark(figure: Figure, text: str) -> None:
    """Write a warning across a figure, e.g. that its numbers are those of a toy."""
    if text:
        width, height = figure.get_size_inches()
        size, slope = min(15.0, 2.6 * width), 20 if height > 0.35 * width else 0
        figure.text(
            0.5,
            0.5,
            text,
            rotation=slope,
            ha="center",
            va="center",
            fontsize=size,
            color="#c0392b",
            alpha=0.35,
            zorder=10,
        )


def png(figure: Figure, dpi: int = 300) -> bytes:
    """Return a figure as PNG."""
    content = io.BytesIO()
    with journal_style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": "megabar"})
    return content.getvalue()


def svg(figure: Figure) -> str:
    """Return a figure as SVG, its text as text."""
    content = io.StringIO()
    with journal_style():
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": "megabar"})
    fonts = ", ".join(f"'{name}'" if " " in name else name for name in _SANS)
    # matplotlib names only the fonts of this machine, as a property of its own or at the end of ``font``.
    family = re.compile(r"(font-family:|font: [^;\"]*?\d(?:px|pt)) [^;\"]*")
    return family.sub(rf"\1 {fonts}, sans-serif", content.getvalue())


def inline_svg(text: str, name: str) -> str:
    """Return an SVG as an element for a page: no header, own identifiers, colours that follow the page's.

    The page gives ``--paper``, ``--faint`` and ``--hue-0`` … ``--hue-9``; without them the figure has its own.
    """
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    variables = {color: f"var(--hue-{i}, {color})" for i, color in enumerate(PALETTE)}
    variables |= {INK: "currentColor", PAPER: f"var(--paper, {PAPER})", FAINT: f"var(--faint, {FAINT})"}
    for color, variable in variables.items():
        text = text.replace(f": {color}", f": {variable}")
    return _sized(text)


def _sized(text: str) -> str:
    """Return an SVG whose size is a share of the page's width; a narrow one stays legible on a telephone."""
    opening, rest = text.split(">", 1)
    found = re.search(r'width="([0-9.]+)pt"', opening)
    width_in = float(found[1]) / 72 if found else PAGE_IN
    opening = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    style = f"width:{min(100.0, 100.0 * width_in / PAGE_IN):.1f}%;min-width:min(100%,{width_in:.1f}in);height:auto"
    return f'{opening} role="img" style="{style}">{rest}'
