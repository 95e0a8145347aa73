"""What is taken of a panel, on a grid of cells: a place is looked up in the same time however much there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.curve import Array


class Occupancy:
    """Counts on the cells of a rectangle of pixels: how many points lie in a box, in constant time a box.

    Sums over boxes come from a summed-area table (Crow, SIGGRAPH Computer Graphics 18, 207 (1984)).
    """

    def __init__(self, low: Array, high: Array, cell: float) -> None:
        """Cover the rectangle between two corners (pixels) with cells of a size (pixels)."""
        self._low, self._cell = np.asarray(low, float), cell
        self.shape: tuple[int, int] = tuple(np.maximum(1, np.ceil((np.asarray(high) - low) / cell).astype(int)))
        self._counts = np.zeros(self.shape, dtype=np.int32)
        self._sums = np.zeros((self.shape[0] + 1, self.shape[1] + 1), dtype=np.int64)

    def add_points(self, pixels: Array) -> None:
        """Add points, shape (n, 2); those outside are left aside."""
        cells = np.floor((np.asarray(pixels, float).reshape(-1, 2) - self._low) / self._cell)
        cells = cells[((cells >= 0) & (cells < self.shape)).all(axis=1)].astype(int)
        np.add.at(self._counts, (cells[:, 0], cells[:, 1]), 1)
        self._sum()

    def add_boxes(self, boxes: Sequence[tuple[float, float, float, float]]) -> None:
        """Take every cell that a box (x0, y0, x1, y1) touches."""
        for x0, y0, x1, y1 in boxes:
            (i0, j0), (i1, j1) = self._cells(np.array([[x0, y0]]))[0], self._cells(np.array([[x1, y1]]), up=True)[0]
            self._counts[i0:i1, j0:j1] += 1
        self._sum()

    def count(self, low: Array, high: Array) -> NDArray[np.int64]:
        """Return the counts in every cell that boxes touch; their corners have the shape (n, 2)."""
        (i0, j0), (i1, j1) = self._cells(low).T, self._cells(high, up=True).T
        found: NDArray[np.int64] = self._sums[i1, j1] - self._sums[i0, j1] - self._sums[i1, j0] + self._sums[i0, j0]
        return found

    def _cells(self, pixels: Array, up: bool = False) -> NDArray[np.int64]:
        places = (np.asarray(pixels, float) - self._low) / self._cell
        whole: NDArray[np.int64] = (np.ceil(places) if up else np.floor(places)).astype(np.int64)
        return np.clip(whole, 0, self.shape)

    def _sum(self) -> None:
        self._sums[1:, 1:] = self._counts.cumsum(axis=0).cumsum(axis=1)
