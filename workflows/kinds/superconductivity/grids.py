"""Grids of phonons and electrons: from a protocol or a study file, which must fit into one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.structures.errors import InputError
from megabar.workflows.kpoints import irreducible_kpoints
from megabar.workflows.protocols import kpoint_grid
from megabar.workflows.structure import Structure
from megabar.workflows.yaml_input import plain, read_yaml

FILE = Path(__file__).with_name("protocols.yaml")
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Grids:
    """Numbers of points along the reciprocal vectors, all grids through Γ.

    q: of phonons; k: of the ground state and of ph.x; dense: of the double delta, which holds the others.
    """

    q: Grid
    k: Grid
    dense: Grid


@cache
def accuracies() -> dict[str, Any]:
    """Return what the protocols mean for electron-phonon coupling."""
    content: dict[str, Any] = plain(read_yaml(FILE))
    return content


def grids(atoms: Atoms, protocol: str, q: Grid | None, k: Grid | None, dense: Grid | None) -> Grids:
    """Return the grids of a cell: those given, the others by the protocol.

    Raises InputError where the dense grid does not hold the others: every q must connect two of its points.
    """
    accuracy = accuracies()[protocol]
    if q is None:
        q = _three([_even(each) for each in kpoint_grid(atoms, accuracy["q_density"])])
    if k is None:
        k = _three([accuracy["k_per_q"] * each for each in q])
    if dense is None:
        dense = _three([accuracy["dense_per_k"] * _common(each, own) for each, own in zip(k, q, strict=True)])
    for name, own in (("q_grid", q), ("k_grid", k)):
        if any(one % other for one, other in zip(dense, own, strict=True)):
            raise InputError(
                f"the dense grid of k-points {list(dense)} does not hold the grid `{name}` {list(own)}: each of its "
                "numbers must be a multiple; set `k_grid_dense` so"
            )
    return Grids(q, k, dense)


def coarser(q: Grid) -> Grid | None:
    """Return the next coarser grid that lies within a grid of q, None where there is none.

    Each number is divided by its smallest prime factor: the q-points of the coarser grid are some of the finer one's.
    """
    found = _three([each // _smallest_factor(each) for each in q])
    return found if found != q and max(found) > 1 else None


def on_grid(fractions: Sequence[float], grid: Sequence[int]) -> bool:
    """Return whether a q (fractions of the reciprocal vectors) lies on a grid through Γ."""
    steps = np.array(fractions) * np.array(grid)
    return bool(np.abs(steps - np.round(steps)).max() < 1e-3)


def irreducible(structure: Structure, q: Grid) -> int:
    """Return how many q of a grid symmetry leaves: as many runs of ph.x; what ph.x says of it stands above this."""
    return irreducible_kpoints(structure, q)


def _even(count: int) -> int:
    return count + count % 2 if count > 1 else 2


def _common(one: int, other: int) -> int:
    return one * other // gcd(one, other)


def _smallest_factor(number: int) -> int:
    return next((factor for factor in range(2, number + 1) if number % factor == 0), 1)


def _three(values: Sequence[int]) -> Grid:
    first, second, third = values
    return int(first), int(second), int(third)
