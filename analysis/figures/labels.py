"""Labels that stand beside what they name and do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.occupancy import Occupancy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DIRECTIONS = np.array([(0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0)], float)
_RINGS_pt = (4.0, 12.0, 22.0, 34.0)
"""How far from its place a label stands; from the second on with a leader."""
_ROOM_pt, _HALO_pt, _CELL_pt = 1.0, 3.0, 1.0
_RING = 30.0
_ALONG = 41
"""Most places that are tried for a label: what a label costs does not grow with the length of its curve."""


@dataclass(frozen=True)
class Label:
    """A text to be put beside one of some places.

    places: data coordinates, shape (n, 2), the best ones first. crowd, cover, cross: what a point of something else
    within 3 pt of the label costs, below it, and on the way of its leader: a marker's name must not be read as its
    neighbour's, a curve may be close to another one's name. most: where nothing costs less it is rather left out.
    """

    text: str
    color: str
    places: Array
    crowd: float = 0.4
    cover: float = 45.0
    cross: float = 12.0
    most: float = np.inf

    @classmethod
    def along(cls, text: str, color: str, line: Array, count: int = _ALONG) -> Label:
        """Return a label that may stand anywhere along a line, shape (n, 2), best near its middle."""
        chosen = line[np.unique(np.linspace(0, len(line) - 1, count).astype(int))]
        return cls(text, color, chosen[np.argsort(np.abs(np.arange(len(chosen)) - len(chosen) // 2), kind="stable")])

    @classmethod
    def beside(cls, text: str, color: str, x: float, y: float, needed: bool = True) -> Label:
        """Return the label of a marker; one that is not needed is left out where it would cover something."""
        return cls(text, color, np.array([[x, y]]), 14.0, 200.0, 25.0, np.inf if needed else 190.0)


@dataclass(frozen=True)
class _Panel:
    """A panel while it is labelled: obstacles, labels that stand already, pixels a point, and its frame (pixels)."""

    obstacles: Occupancy
    taken: Occupancy
    point: float
    low: Array
    high: Array


def place_labels(ax: Axes, labels: Sequence[Label], obstacles: Sequence[Array], fontsize: float = 7.0) -> list[Label]:
    """Write each label where it covers neither another one nor, where possible, any obstacle.

    obstacles: polylines or sets of points in data coordinates, each of shape (n, 2). Labels for which there is no
    room are not written and are returned. The time is linear in the number of labels and in that of the obstacles.
    """
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    point = figure.dpi / 72
    frame = ax.get_window_extent(renderer).padded(-1.5 * point)
    low, high = np.array([frame.x0, frame.y0]), np.array([frame.x1, frame.y1])
    cell = _CELL_pt * point
    panel = _Panel(Occupancy(low, high, cell), Occupancy(low, high, cell), point, low, high)
    panel.obstacles.add_points(_dense(ax, obstacles, 2 * point))
    panel.taken.add_boxes([_box(text, renderer) for text in ax.texts if text.get_text()])
    unplaced = []
    for label in labels:
        text = ax.text(0, 0, label.text, fontsize=fontsize, color=label.color, ha="center", va="center_baseline")
        extent = text.get_window_extent(renderer)
        text.remove()
        half = np.array([extent.width, extent.height]) / 2
        best = _best(ax, label, half, panel)
        if best is None:
            unplaced.append(label)
            continue
        centre, anchor, far = best
        _write(ax, label, centre, half, anchor if far else None, fontsize)
        room = half + _ROOM_pt * point
        panel.taken.add_boxes([(*(centre - room), *(centre + room))])
        if far:
            steps = np.linspace(0.15, 1.0, 8)[:, None]
            panel.obstacles.add_points(anchor + steps * (np.clip(anchor, centre - half, centre + half) - anchor))
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


def _best(ax: Axes, label: Label, half: Array, panel: _Panel) -> tuple[Array, Array, bool] | None:
    """Return the centre of the label with the least cost, its anchor, and whether it is far from it (pixels)."""
    anchors = ax.transData.transform(label.places[:_ALONG])
    order = np.flatnonzero(np.isfinite(anchors).all(axis=1))
    best, least = None, label.most
    for ring, distance in enumerate(_RINGS_pt):
        if (best is not None and least < _RING * ring) or not len(order):
            break
        diagonal = np.where((_DIRECTIONS != 0).all(axis=1), 0.75, 1.0)[:, None]
        away = _DIRECTIONS * (half + distance * panel.point * diagonal)
        centres = (anchors[order][:, None, :] + away).reshape(-1, 2)
        places, preference = np.repeat(order, len(away)), np.tile(np.arange(len(away)), len(order))
        cost = _costs(label, centres, anchors[places], half, panel, leader=ring > 0)
        cost = cost + _RING * ring + 0.5 * preference + 0.1 * places
        chosen = int(np.argmin(cost))
        if cost[chosen] < least:
            best, least = (centres[chosen], anchors[places[chosen]], ring > 0), float(cost[chosen])
    return best


def _costs(label: Label, centres: Array, anchors: Array, half: Array, panel: _Panel, leader: bool) -> Array:
    """Return what a label costs around some centres, inf where it does not fit; all have the shape (n, 2)."""
    room = half + _ROOM_pt * panel.point
    low, high = centres - room, centres + room
    fits = ((low >= panel.low) & (high <= panel.high)).all(axis=1)
    fits &= panel.taken.count(low, high) == 0
    halo = _HALO_pt * panel.point
    covered = panel.obstacles.count(low, high)
    nearby = panel.obstacles.count(low - halo, high + halo)
    cost = label.cover * covered + label.crowd * np.maximum(0, nearby - covered)
    if leader:
        ends = np.clip(anchors, low, high)
        width = 0.75 * panel.point
        for share in np.linspace(0.35, 1.0, 6):
            step = anchors + share * (ends - anchors)
            cost = cost + label.cross * np.minimum(1, panel.obstacles.count(step - width, step + width))
            cost = cost + 100.0 * np.minimum(1, panel.taken.count(step - width, step + width))
    return np.where(fits, cost, np.inf)


def _write(ax: Axes, label: Label, centre: Array, half: Array, anchor: Array | None, fontsize: float) -> None:
    """Write a label around a pixel, with a leader from its edge to its anchor where that is far."""
    to_data = ax.transData.inverted()
    x, y = to_data.transform(centre)
    if anchor is not None:
        ends = to_data.transform([anchor, np.clip(anchor, centre - half, centre + half)])
        ax.plot(ends[:, 0], ends[:, 1], color=label.color, lw=0.5, zorder=1.5, label="_leader")
    ax.text(x, y, label.text, fontsize=fontsize, color=label.color, ha="center", va="center_baseline", zorder=5)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places as near to the wanted ones (ascending) as a least gap between them and the limits allow."""
    return spread_widths(wanted, [gap] * len(wanted), low - gap / 2, high + gap / 2)


def spread_widths(wanted: Sequence[float], widths: Sequence[float], low: float, high: float) -> list[float]:
    """Return centres of things of some widths, side by side within limits, as near to the wanted ones as can be.

    wanted: ascending. Where they do not fit all together they are centred between the limits.
    """
    groups: list[tuple[float, list[float]]] = []  # centre of a group, widths of its members
    for place, width in zip(wanted, widths, strict=True):
        groups.append((_inside(place, width, low, high), [width]))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < (sum(groups[-1][1]) + sum(groups[-2][1])) / 2:
            (a, left), (b, right) = groups[-2:]
            joined = [*left, *right]
            centre = (a * len(left) + b * len(right)) / len(joined)
            groups[-2:] = [(_inside(centre, sum(joined), low, high), joined)]
    places = []
    for centre, members in groups:
        edge = centre - sum(members) / 2
        for width in members:
            places.append(edge + width / 2)
            edge += width
    return places


def _inside(centre: float, width: float, low: float, high: float) -> float:
    if width > high - low:
        return (low + high) / 2
    return min(max(centre, low + width / 2), high - width / 2)
