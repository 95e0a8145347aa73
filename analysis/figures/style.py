"""How figures look: sizes, fonts, colours and names, and figures as PNG, SVG and PDF."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from megabar.structures.composition import parse_formula
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.4, 7.0
"""Widths of a column and of a page of a journal (inches)."""
PNG_DPI, PAGE_REM = 300, 51.5
"""Dots an inch of a PNG, and the width of a page's figure on the HTML page (rem)."""
LEAST_IN = 1.55
"""Width of a panel with its axis that is still worth drawing (inches)."""
INK, PAPER, FAINT = "#1a1c20", "#fffffe", "#b9bec6"
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b27d00", "#332288", "#3a96cc", "#882255", "#666667", "#7f7f2a",
)  # fmt: skip
"""Hues of Okabe & Ito (jfly.uni-koeln.de/color) and Tol (personal.sron.nl/~pault), told apart by the colour-blind;
the light ones darkened until their names can be read on white."""
DARK_PALETTE = (
    "#4fb3f0", "#ff8a3d", "#2fcf9f", "#e08fd0", "#f0b83c", "#a99ff5", "#8fd0f7", "#ec7fa8", "#b4b4b8", "#cfcf5a",
)  # fmt: skip
_SANS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_SYMBOL = {
    "k_BTc": r"k_\mathrm{B}T_\mathrm{c}",
    "δTc": r"δT_\mathrm{c}",
    "γTc": r"γT_\mathrm{c}",
    "Tc": r"T_\mathrm{c}",
    "Hc": r"H_\mathrm{c}",
    "ω_log": r"ω_\mathrm{log}",
}
_SYMBOLS = re.compile("|".join(_SYMBOL))
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


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


def named(phase: str, formula: str, labels: Mapping[str, str], short: bool = False) -> str:
    """Return what a phase is called in a figure: as the user wants it, else as chemists write it."""
    if phase in labels:
        return labels[phase]
    return short_name(phase, formula) if short else pretty_phase(phase, formula)


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many characters, three or more: its middle left out where it is longer."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[len(name) - end :]}"


def symbols(text: str) -> str:
    """Return a text with the indices of the usual symbols (Tc, k_BTc, ω_log, …) as matplotlib sets them.

    To be drawn with ``parse_math=True``; it holds no dollar otherwise.
    """
    return _SYMBOLS.sub(lambda found: f"${_SYMBOL[found[0]]}$", text.replace("$", r"\$"))


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
            "font.sans-serif": [name for name in _SANS if name in there],
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
            "mathtext.fontset": "custom",
            "mathtext.rm": "sans",
            "mathtext.it": "sans:italic",
            "mathtext.cal": "sans",
            "mathtext.default": "regular",
            "pdf.fonttype": 42,  # text that stays text
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


_WIDTH: ContextVar[float | None] = ContextVar("width of figures (inches)", default=None)


@contextmanager
def figures_of_width(width_in: float | None) -> Iterator[None]:
    """Have all figures drawn with one width (inches) while the block runs; None: each as wide as it is made for."""
    token = _WIDTH.set(width_in)
    try:
        yield
    finally:
        _WIDTH.reset(token)


def wanted_width(usual_in: float) -> float:
    """Return the width of a figure (inches): the one that is asked for, else its usual one."""
    return _WIDTH.get() or usual_in


_AXES: ContextVar[tuple[Axes, ...]] = ContextVar("axes of the user's that figures are drawn into", default=())


@contextmanager
def drawn_into(axes: Sequence[Axes]) -> Iterator[None]:
    """Have figures drawn into axes that are there already while the block runs; none: into figures of their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for figure in {ax.figure.figure for ax in axes}:
        if not hasattr(figure.canvas, "get_renderer"):
            FigureCanvasAgg(figure)  # so that text can be measured
    token = _AXES.set(tuple(axes))
    try:
        yield
    finally:
        _AXES.reset(token)


def given_axes(count: int) -> list[Axes]:
    """Return the axes of the user's for a figure of so many panels; none: the figure has its own.

    Raises InputError where there are more or fewer.
    """
    axes = _AXES.get()
    if axes and len(axes) != count:
        raise InputError(
            f"this figure has {count} panel{'' if count == 1 else 's'}, and the axes given are {len(axes)}: give as "
            "many, or name one panel (`figure_names` lists them)"
        )
    return list(axes)


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
    above_in: Sequence[float] = (),
) -> tuple[Figure, list[Axes]]:
    """Return a figure of equal panels, ``columns`` side by side; ``outer`` is room around all of them together.

    above_in: more room above each panel, shared by those of a row. Where axes are given (``drawn_into``) it is these.
    In a figure that is asked for narrower there are fewer columns, so that no panel is less than ``LEAST_IN`` wide.
    Places are set in inches rather than by a layout engine: that would draw the figure twice to measure it.
    """
    given = given_axes(count)
    if given:
        return given[0].figure, given  # type: ignore[return-value]  # or a part of a figure
    inner, outer = margins or Margins(), outer or Margins(0.0, 0.0, 0.0, 0.0)
    width_in = wanted_width(width_in)
    columns = max(1, min(columns, count, int((width_in - outer.left - outer.right) / LEAST_IN)))
    rows = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    more = [max((above_in[number] for number in row if number < len(above_in)), default=0.0) for row in rows]
    total = len(rows) * height_in + sum(more) + outer.top + outer.bottom
    figure = new_figure(width_in, total)
    width = (width_in - outer.left - outer.right) / columns
    size = (width - inner.left - inner.right, height_in - inner.top - inner.bottom)
    axes, below = [], total - outer.top
    for row, extra in zip(rows, more, strict=True):
        below -= height_in + extra
        for number in row:
            left = outer.left + number % columns * width + inner.left
            place = (left / width_in, (below + inner.bottom) / total, size[0] / width_in, size[1] / total)
            axes.append(figure.add_axes(place))
    return figure, axes


def columns_for(count: int, most: int) -> int:
    """Return how many panels stand side by side so that the fewest places stay empty, the most of those."""
    choices = range(min(2, count), max(1, min(most, count)) + 1)
    return min(choices, key=lambda columns: (-count % columns, -columns))


def page_panels(
    count: int, height_in: float, margins: Margins | None = None, most: int = 2, above_in: Sequence[float] = ()
) -> tuple[Figure, list[Axes]]:
    """Return panels of a column's width, or several side by side on a page's width."""
    width_in = PAGE_IN if count > 1 else COLUMN_IN
    return panels(count, columns_for(count, most), height_in, width_in, margins, above_in=above_in)


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
    """Write a warning across a figure, e.g. that its numbers are those of a toy, or across the axes that were given."""
    if not text:
        return
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": "#c0392b", "alpha": 0.35, "zorder": 10}
    for ax in _AXES.get():
        size = ax.bbox.width / ax.figure.dpi
        ax.text(0.5, 0.5, text, transform=ax.transAxes, rotation=20, fontsize=min(15.0, 2.6 * size), **style)
    if not _AXES.get():
        width, height = figure.get_size_inches()
        slope = 20 if height > 0.35 * width else 0
        figure.text(0.5, 0.5, text, rotation=slope, fontsize=min(15.0, 2.6 * width), **style)


def colour_bar(figure: Figure, colours: Any, axes: Sequence[Axes], place: Sequence[float], **more: Any) -> Any:
    """Return a colour bar at a place (left, bottom, width, height; shares of the figure), or beside the axes given."""
    if _AXES.get():
        return figure.colorbar(colours, ax=list(axes), **more)
    return figure.colorbar(colours, cax=figure.add_axes(tuple(place)), **more)  # type: ignore[arg-type]


def png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """Return a figure as PNG."""
    content = io.BytesIO()
    with journal_style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": "megabar"})
    return content.getvalue()


def pdf(figure: Figure) -> bytes:
    """Return a figure as PDF, its fonts embedded, the same bytes each time."""
    content = io.BytesIO()
    with journal_style():
        figure.savefig(content, format="pdf", metadata={"Creator": "megabar", "Producer": None, "CreationDate": None})
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


def inline_png(picture: bytes, title: str) -> str:
    """Return a PNG as an element for a page."""
    width_in = int.from_bytes(picture[16:20], "big") / PNG_DPI if len(picture) > 20 else PAGE_IN
    source = b64encode(picture).decode()
    return f'<img alt="{escape(title)}" style="{_share(width_in)}" src="data:image/png;base64,{source}">'


def _share(width_in: float) -> str:
    """Return the CSS of a figure that is as wide on the page as on paper; a narrow one stays legible on a telephone."""
    return f"width:100%;max-width:{min(width_in, PAGE_IN) / PAGE_IN * PAGE_REM:.1f}rem;height:auto"


def _sized(text: str) -> str:
    """Return an SVG whose size is a share of the page's width; a narrow one stays legible on a telephone."""
    opening, rest = text.split(">", 1)
    found = re.search(r'width="([0-9.]+)pt"', opening)
    width_in = float(found[1]) / 72 if found else PAGE_IN
    opening = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" style="{_share(width_in)}">{rest}'
