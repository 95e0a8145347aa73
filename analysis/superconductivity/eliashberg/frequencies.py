"""Matsubara sums compressed: blocks of frequencies of doubling length, eight unknowns in each.

Everything that is summed is smooth in n on the scale of n itself: its singularities lie on the imaginary axis of
n + ½ (the real-frequency axis). So on the block [h, 2h) a polynomial of degree 7 through the nodes of a Gauss rule for
*sums* stands for all h frequencies, with an error of (3 + √8)⁻¹⁶, and 100 unknowns reach to n = 30,000.

The convolution Σ_m λ(n−m) f(m) is not smooth inside a block when λ(l) is narrower than it. So for equal and
neighbouring blocks the matrix elements Σ_nm ℓᵢ(n) λ(n−m) ℓⱼ(m) = Σ_l λ(l) Gᵢⱼ(l) are summed exactly, with
G(l) = Σ_n ℓᵢ(n) ℓⱼ(n+l) known once for all: it depends neither on temperature nor on the material. All matrices are in
the end linear maps, stored here, of λ(l) at 12 values of l an octave.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.blocks import (
    ORDER,
    edges,
    mass_map,
    nodes_of,
    overlap_sums,
    place_of,
    samples_of,
)
from megabar.analysis.superconductivity.eliashberg.quadrature import lagrange

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The Matsubara indices 0 ≤ n < count, ω_n = (2n+1)πT, as Gauss nodes in blocks, and the maps from λ(l).

    index: nodes, real, shape (k,); weight: Σ_{n<count} f(n) = Σ weight·f(index), shape (k,). differences: values of l
    at which the maps want λ, shape (s,). minus, plus: sparse, from λ(differences) to the elements (row ≤ column) of the
    matrices Σ_nm ℓᵢ(n) λ(n∓m[+1]) ℓⱼ(m). mass: dense (k, s), to D_n = λ(0) + 2 Σ_{l=1}^n λ(l) at the nodes.
    """

    blocks: int
    index: Array
    weight: Array
    differences: Array
    minus: Any
    plus: Any
    mass: Array

    @property
    def count(self) -> int:
        """How many frequencies ω_n > 0 there are."""
        return edges(self.blocks - 1)[1]

    @cached_property
    def upper(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the elements that `minus` and `plus` give."""
        return np.triu_indices(self.index.size)

    def symmetric(self, elements: Array) -> Array:
        """Return the symmetric matrix of its elements with row ≤ column, shape (k, k)."""
        matrix = np.empty((self.index.size, self.index.size))
        row, column = self.upper
        matrix[row, column] = elements
        matrix[column, row] = elements
        return matrix

    @cached_property
    def pairing(self) -> Any:
        """Sparse map to the elements of λ(n−m) + λ(n+m+1) − δ_nm D_n over √((2n+1)(2m+1)), orthonormal basis.

        λ(0) drops out: static impurities do not matter (Anderson's theorem).
        """
        from scipy import sparse

        row, column = self.upper
        diagonal = np.flatnonzero(row == column)
        mass = sparse.csr_matrix(self.mass * self.weight[:, None])
        place = sparse.csr_matrix(
            (np.ones(diagonal.size), (diagonal, np.arange(diagonal.size))), shape=(row.size, diagonal.size)
        )
        norm = 1 / np.sqrt((2 * self.index + 1) * self.weight)
        without_zero = sparse.diags(np.arange(self.differences.size) > 0, dtype=float)
        whole = (self.minus + self.plus - place @ mass) @ without_zero
        return (sparse.diags(norm[row] * norm[column]) @ whole).tocsr()


@lru_cache(maxsize=64)
def frequencies(blocks: int) -> Frequencies:
    """Return the frequencies of a number of blocks: 8·2^(blocks−1) of them, 8·blocks unknowns."""
    nodes, weights = zip(*(nodes_of(block) for block in range(blocks)), strict=True)
    index, weight = np.concatenate(nodes), np.concatenate(weights)
    differences = np.concatenate([samples_of(octave) for octave in range(blocks + 1)])
    row, column = np.triu_indices(index.size)
    near = column // ORDER - row // ORDER < 2
    minus = _near_map(row, column, near, blocks, differences.size)
    far = _interpolation(np.abs(index[row] - index[column]), differences.size)
    product = weight[row] * weight[column]
    from scipy import sparse

    minus = minus + sparse.diags(np.where(near, 0.0, product)) @ far
    plus = sparse.diags(product) @ _interpolation(index[row] + index[column] + 1, differences.size)
    mass = mass_map(blocks, differences.size)
    return Frequencies(blocks, index, weight, differences, minus.tocsr(), plus.tocsr(), mass)


def blocks_for(cutoff: float, temperature: float) -> int:
    """Return how many blocks take ω_n up to a cutoff, an energy in the unit of the temperature."""
    wanted = cutoff / (2 * np.pi * temperature)
    return max(3, int(np.ceil(np.log2(max(wanted, 1.0) / ORDER))) + 1)


def _interpolation(x: Array, size: int) -> Any:
    """Return the sparse map from λ at all samples to λ(x), shape (x.size, size)."""
    from scipy import sparse

    octave = np.where(x < ORDER, 0, np.frexp(np.maximum(x, 1) / ORDER)[1])
    entries, rows, columns = [], [], []
    for each in np.unique(octave):
        here = np.flatnonzero(octave == each)
        samples = samples_of(int(each))
        entries.append(lagrange(samples, x[here]).ravel())
        rows.append(np.repeat(here, samples.size))
        columns.append(np.tile(np.arange(size)[place_of(int(each))], here.size))
    parts = (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(parts, shape=(x.size, size))


def _near_map(row: Any, column: Any, near: Any, blocks: int, size: int) -> Any:
    """Return the sparse map to the elements of equal and neighbouring blocks, zero elsewhere."""
    from scipy import sparse

    entries = sparse.lil_matrix((row.size, size))
    for first in range(blocks):
        for second in range(first, min(first + 2, blocks)):
            here = np.flatnonzero(near & (row // ORDER == first) & (column // ORDER == second))
            table = overlap_sums(first, second)[row[here] % ORDER, column[here] % ORDER]
            entries[here, : table.shape[1]] = table
    return entries.tocsr()
