"""The blocks that compress Matsubara sums, and what is summed over them once for all materials and temperatures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.quadrature import chebyshev, lagrange, sum_rule

Array = NDArray[np.float64]
ORDER = 8
"""Unknowns in a block; the first block is the frequencies 0…7 themselves."""
SAMPLES = 12
"""Values of a difference of indices, an octave, at which λ is taken."""
SHORT = 64
"""Blocks up to this length are summed integer by integer; in longer ones, polynomials are summed by rule."""


def edges(block: int) -> tuple[int, int]:
    """Return the first index of a block and the one after its last: 0…7, 8…15, 16…31, 32…63 …"""
    return (0, ORDER) if block == 0 else (ORDER * 2 ** (block - 1), ORDER * 2**block)


@lru_cache(maxsize=64)
def nodes_of(block: int) -> tuple[Array, Array]:
    """Return nodes and weights of the sum over a block, each of shape (8,); integers and 1 in the first two."""
    start, end = edges(block)
    nodes, weights = sum_rule(end - start, ORDER)
    return (np.rint(nodes) if end - start == ORDER else nodes) + start, weights


@lru_cache(maxsize=64)
def samples_of(octave: int) -> Array:
    """Values of l at which λ is taken: 0…7, then Chebyshev nodes of [8, 16], [16, 32] …"""
    return np.arange(ORDER, dtype=float) if octave == 0 else chebyshev(*edges(octave), SAMPLES)


def place_of(octave: int) -> slice:
    """Where the samples of an octave stand among all."""
    start = 0 if octave == 0 else ORDER + SAMPLES * (octave - 1)
    return slice(start, ORDER + SAMPLES * octave)


@lru_cache(maxsize=256)
def overlap_sums(first: int, second: int) -> Array:
    """Return Σ_l ℓ_s(l) Gᵢⱼ(l) over all l = m − n of n in one block and m in another, shape (8, 8, samples)."""
    (start, end), (next_start, next_end) = edges(first), edges(second)
    short = next_end - next_start <= SHORT
    overlap = _overlap_of_integers if short else _overlap
    table = np.zeros((ORDER, ORDER, place_of(second + 1).stop))
    for octave in range(second + 2):
        low, high = edges(octave)
        low, high = max(low, next_start - end + 1), min(high, next_end - start)
        if high <= low:
            continue
        # ℓ_s G is a polynomial of degree 11 + 15 within an octave: 14 nodes sum it exactly.
        shift, weight = sum_rule(high - low, high - low if short else min(high - low, ORDER + SAMPLES // 2))
        sampled = lagrange(samples_of(octave), shift + low) * weight[:, None]
        table[:, :, place_of(octave)] += np.einsum("ls,lij->ijs", sampled, overlap(first, second, shift + low))
    if first == second:  # l < 0 as well, and l = 0 once
        table = table + table.transpose(1, 0, 2)
        table[:, :, 0] -= np.diag(nodes_of(first)[1])
    return table


def _overlap_of_integers(first: int, second: int, shift: Array) -> Array:
    """Return Gᵢⱼ(l) = Σ_n ℓᵢ(n) ℓⱼ(n+l) for integers l, shape (shift.size, 8, 8)."""
    (start, end), (next_start, next_end) = edges(first), edges(second)
    n = np.arange(start, end)
    other = n + np.rint(shift[:, None])
    right = lagrange(nodes_of(second)[0], other) * ((other >= next_start) & (other < next_end))[..., None]
    values: Array = np.einsum("ni,lnj->lij", lagrange(nodes_of(first)[0], n), right)
    return values


def _overlap(first: int, second: int, shift: Array) -> Array:
    """Return Gᵢⱼ(l) = Σ_n ℓᵢ(n) ℓⱼ(n+l), continued to real l as the polynomial that it is, shape (shift.size, 8, 8)."""
    (start, end), (next_start, next_end) = edges(first), edges(second)
    low, high = np.maximum(start, next_start - shift), np.minimum(end, next_end - shift)

    def product(n: Array) -> Array:
        left, right = lagrange(nodes_of(first)[0], n), lagrange(nodes_of(second)[0], n + shift[:, None])
        return left[..., :, None] * right[..., None, :]

    # A rule needs more integers than nodes: ORDER are added and taken away again.
    n, weight = sum_rule(high - low + ORDER, ORDER)
    whole = np.einsum("ln,lnij->lij", weight, product(n + low[:, None]))
    values: Array = whole - product(high[:, None] + np.arange(ORDER)).sum(axis=1)
    return values


def mass_map(blocks: int, size: int) -> Array:
    """Return the map from λ(samples) to D_n = λ(0) + 2 Σ_{l=1}^n λ(l) at the nodes, shape (8·blocks, size)."""
    mass = np.zeros((ORDER * blocks, size))
    for block in range(blocks):
        rows = slice(ORDER * block, ORDER * (block + 1))
        for octave in range(block):
            low, high = edges(octave)
            shift, weight = sum_rule(high - low, min(high - low, SAMPLES))
            mass[rows, place_of(octave)] = 2 * weight @ lagrange(samples_of(octave), shift + low)
        mass[rows, place_of(block)] = 2 * _partial_sums(block)
    mass[:, 0] -= 1
    return mass


def _partial_sums(block: int) -> Array:
    """Return Σ_l ℓ_s(l) from the start of a block to each of its nodes, the last included, shape (8, samples)."""
    start, samples, order = edges(block)[0], samples_of(block), SAMPLES // 2
    count = nodes_of(block)[0] - start + 1
    shift, weight = sum_rule(count + order, order)
    whole = np.einsum("nl,nls->ns", weight, lagrange(samples, shift + start))
    values: Array = whole - lagrange(samples, start + count[:, None] + np.arange(order)).sum(axis=1)
    return values
