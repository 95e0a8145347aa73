"""Sites written out with the operations of a space group; what rounding has pulled apart is put together again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.structures.readers.cif_sites import Site
from megabar.structures.readers.operations import Operations

NEAR_A = 0.25
"""Images of one site closer than this (Å) are one atom on a special position, whose coordinates were rounded: 0.33 for
a third is 0.03 Å off in a large cell; two real atoms are never so close (H2 has 0.74 Å)."""
SAME_A = 0.1
"""A site of the list closer than this (Å) to an image of another one of its element is that image, listed twice."""
TOLD_A = 0.02
"""Images that lay further apart than this (Å) are told of."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell written out: element and fractional position of each atom, the site it is an image of, and notes."""

    symbols: tuple[str, ...]
    positions: NDArray[np.float64]
    origins: tuple[int, ...]
    notes: tuple[str, ...]


def written_out(sites: list[Site], operations: Operations, lattice: NDArray[np.float64]) -> Cell:
    """Return all atoms of the cell; raises InputError that names the sites which lie on each other."""
    symbols: list[str] = []
    origins: list[int] = []
    positions: list[NDArray[np.float64]] = []
    notes: list[str] = []
    images: list[str] = []
    for index, site in enumerate(sites):
        orbit, spread = _orbit(site, operations, lattice)
        if spread > TOLD_A:
            notes.append(f"Images of {site.label} up to {spread:.2f} Å apart are one atom (rounded coordinates).")
        taken = _already_there(orbit[0], index, sites, positions, origins, lattice)
        if taken is not None:
            images.append(f"{site.label} of {sites[taken].label}")
            continue
        symbols += [site.element] * len(orbit)
        origins += [index] * len(orbit)
        positions += list(orbit)
    if images:
        more = f", … ({len(images)} in all)" if len(images) > 3 else ""
        notes.append(f"Sites that are images of others are not counted twice: {', '.join(images[:3])}{more}.")
    return Cell(tuple(symbols), np.array(positions), tuple(origins), tuple(notes))


def _orbit(site: Site, operations: Operations, lattice: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the images of a site, and how far images that are one lay apart (Å)."""
    images = operations.rotations @ site.position + operations.translations
    shifts = images - site.position
    shifts -= np.round(shifts)
    lengths = _lengths(shifts, lattice)
    own = lengths < NEAR_A
    centre = site.position + shifts[own].mean(axis=0) if lengths[own].max() > 1e-9 else site.position
    images = operations.rotations @ centre + operations.translations
    distinct: list[NDArray[np.float64]] = []
    remaining = images - np.floor(images + 1e-9)
    while len(remaining):
        apart = remaining - remaining[0]
        apart -= np.round(apart)
        distinct.append(remaining[0])
        remaining = remaining[_lengths(apart, lattice) > NEAR_A]
    if len(distinct) * int(own.sum()) != len(operations):
        raise InputError(f"images of its site {site.label} lie on each other: its symmetry or coordinates are wrong")
    return np.array(distinct), float(lengths[own].max())


def _already_there(
    position: NDArray[np.float64],
    index: int,
    sites: list[Site],
    positions: list[NDArray[np.float64]],
    origins: list[int],
    lattice: NDArray[np.float64],
) -> int | None:
    """Return the site that a site is an image of, None where it is of its own; raises InputError where two share it."""
    if not positions:
        return None
    apart = np.array(positions) - position
    apart -= np.round(apart)
    lengths = _lengths(apart, lattice)
    nearest = int(lengths.argmin())
    if lengths[nearest] > SAME_A:
        return None
    other = sites[origins[nearest]]
    if other.element == sites[index].element:
        return origins[nearest]
    raise InputError(
        f"its sites {other.label} ({other.element}) and {sites[index].label} ({sites[index].element}) share a place; "
        "write an ordered structure instead"
    )


def _lengths(vectors: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(vectors @ lattice, axis=-1), dtype=float)
