"""Labels that stand beside what they name and do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DIRECTIONS = ((0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0))
_NEAR_pt, _FAR_pt = 4.0, (12.0, 22.0)
_ROOM_pt = 1.0
_RING_COST = 35.0


@dataclass(frozen=True)
class Label:
    """A text to be put beside one of some places.

    places: data coordinates, shape (n, 2), the best ones first.
    """

    text: str
    color: str
    places: Array

    @classmethod
    def along(cls, text: str, color: str, line: Array, count: int = 41) -> Label:
        """Return a label that may stand anywhere along a line, shape (n, 2), best near its middle."""
        chosen = line[np.unique(np.linspace(0, len(line) - 1, count).astype(int))]
        return cls(text, color, chosen[np.argsort(np.abs(np.arange(len(chosen)) - len(chosen) // 2), kind="stable")])


def place_labels(ax: Axes, labels: Sequence[Label], obstacles: Sequence[Array], fontsize: float = 7.0) -> list[Label]:
    """Write each label where it covers neither another one nor, where possible, any obstacle.

    obstacles: polylines or sets of points in data coordinates, each of shape (n, 2). Labels for which there is no
    room are not written and are returned.
    """
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    point = figure.dpi / 72
    frame = ax.get_window_extent(renderer).padded(-1.5 * point)
    blocked = _dense(ax, obstacles, 2 * point)
    taken: list[tuple[float, float, float, float]] = [_box(t, renderer) for t in ax.texts if t.get_text()]
    unplaced = []
    for label in labels:
        text = ax.text(0, 0, label.text, fontsize=fontsize, color=label.color, ha="center", va="center_baseline")
        extent = text.get_window_extent(renderer)
        text.remove()
        size = (extent.width, extent.height)
        best = _best(ax, label, size, frame, blocked, taken, point)
        if best is None:
            unplaced.append(label)
            continue
        centre, anchor, far = best
        _write(ax, label, centre, np.array(size) / 2, anchor if far else None, fontsize)
        half = (size[0] / 2 + _ROOM_pt * point, size[1] / 2 + _ROOM_pt * point)
        taken.append((centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]))
    return unplaced


def _box(text: Any, renderer: Any) -> tuple[float, float, float, float]:
    extent = text.get_window_extent(renderer)
    return extent.x0, extent.y0, extent.x1, extent.y1


def _dense(ax: Axes, obstacles: Sequence[Array], step_px: float) -> Array:
    """Return points on the obstacles in pixels, close enough together that no label fits between two."""
    found = [np.empty((0, 2))]
    for line in obstacles:
        pixels = ax.transData.transform(np.asarray(line, float).reshape(-1, 2))
        pixels = pixels[np.isfinite(pixels).all(axis=1)]
        if len(pixels) < 2:
            found.append(pixels)
            continue
        lengths = np.linalg.norm(np.diff(pixels, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        marks = np.linspace(0.0, along[-1], max(2, min(4000, int(along[-1] / step_px))))
        found.append(np.column_stack([np.interp(marks, along, pixels[:, axis]) for axis in (0, 1)]))
    return np.vstack(found)


def _best(
    ax: Axes,
    label: Label,
    size: tuple[float, float],
    frame: Any,
    blocked: Array,
    taken: Sequence[tuple[float, float, float, float]],
    point: float,
) -> tuple[Array, Array, bool] | None:
    """Return the centre of the label with the least cost, its anchor, and whether it is far from it (pixels)."""
    anchors = ax.transData.transform(label.places)
    best, least = None, np.inf
    half = np.array(size) / 2
    for ring, distance in enumerate((_NEAR_pt, *_FAR_pt)):
        if least < _RING_COST * ring:
            break
        for order, anchor in enumerate(anchors):
            if not np.isfinite(anchor).all():
                continue
            for preference, direction in enumerate(_DIRECTIONS):
                centre = anchor + np.array(direction) * (half + distance * point * (0.75 if all(direction) else 1.0))
                low, high = centre - half - _ROOM_pt * point, centre + half + _ROOM_pt * point
                if not (frame.contains(*low) and frame.contains(*high)):
                    continue
                if any(low[0] < x1 and x0 < high[0] and low[1] < y1 and y0 < high[1] for x0, y0, x1, y1 in taken):
                    continue
                covered = int(((blocked > low) & (blocked < high)).all(axis=1).sum())
                # Room around the label tells which curve it belongs to.
                nearby = int(((blocked > low - 3 * point) & (blocked < high + 3 * point)).all(axis=1).sum())
                cost = 45.0 * covered + 0.4 * nearby + _RING_COST * ring + 0.5 * preference
                cost += 0.1 * order
                if cost < least and ring:
                    cost += 15.0 * _crossed(anchor, np.clip(anchor, low, high), blocked, point)
                if cost < least:
                    best, least = (centre, anchor, ring > 0), cost
    return best


def _crossed(start: Array, end: Array, blocked: Array, point: float) -> int:
    """Return how many obstacles a leader comes close to, but for what lies around its start."""
    steps = start + np.linspace(0.3, 1.0, 6)[:, None] * (end - start)
    distance = np.abs(blocked[:, None, :] - steps).max(axis=2)
    return int((distance.min(axis=0) < 1.5 * point).sum())


def _write(ax: Axes, label: Label, centre: Array, half: Array, anchor: Array | None, fontsize: float) -> None:
    """Write a label around a pixel, with a leader from its edge to its anchor where that is far."""
    to_data = ax.transData.inverted()
    x, y = to_data.transform(centre)
    if anchor is not None:
        ends = to_data.transform([anchor, np.clip(anchor, centre - half, centre + half)])
        ax.plot(ends[:, 0], ends[:, 1], color=label.color, lw=0.5, zorder=1.5)
    ax.text(x, y, label.text, fontsize=fontsize, color=label.color, ha="center", va="center_baseline", zorder=5)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places as near to the wanted ones (ascending) as a least gap between them and the limits allow."""
    groups: list[tuple[float, int]] = []  # centre of a group, members
    for place in wanted:
        groups.append((place, 1))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (a, n), (b, m) = groups[-2:]
            groups[-2:] = [((a * n + b * m) / (n + m), n + m)]
    places = []
    for centre, members in groups:
        reach = gap * (members - 1) / 2
        middle = min(max(centre, low + reach), high - reach)
        places += [middle - reach + gap * i for i in range(members)]
    return places


def mark_pressures(ax: Axes, values: Sequence[tuple[float, float | None]]) -> None:
    """Draw transition pressures (GPa, with standard uncertainty) as lines, their numbers above the panel."""
    low, high = ax.get_xlim()
    inside = sorted((p, e) for p, e in values if low < p < high)
    if not inside:
        return
    width_pt = ax.get_position().width * ax.figure.get_figwidth() * 72  # type: ignore[union-attr]
    places = spread([p for p, _ in inside], 8.5 * (high - low) / width_pt, low, high)
    for (pressure, error), place in zip(inside, places, strict=True):
        ax.axvline(pressure, color=INK, lw=0.6, ls=(0, (4, 2)), zorder=1)
        if error is not None and error > 0:
            ax.axvspan(pressure - error, pressure + error, color=INK, alpha=0.12, lw=0, zorder=0.9)
        ax.annotate(
            f"{pressure:.0f}" if pressure >= 20 else f"{pressure:.1f}",
            (pressure, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(place, 1.035),
            textcoords=ax.get_xaxis_transform(), rotation=90, ha="center", va="bottom", fontsize=6.5,
            annotation_clip=False, arrowprops={"arrowstyle": "-", "lw": 0.5, "color": INK, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
