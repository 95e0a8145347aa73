"""The lower convex hull of formation enthalpies, for any number of elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.curve import Array, Curve
from megabar.structures.composition import parse_formula

Indices = NDArray[np.intp]

# Enthalpies that differ by less are equal: rounding of all-electron energies (1e5 eV/atom) and of their interpolation.
SAME_eV = 1e-10
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class Compositions:
    """Compositions of n entries in k elements.

    fractions: atomic fractions, shape (n, k). group: entries of the same composition share a number, shape (n,).
    """

    elements: tuple[str, ...]
    fractions: Array
    group: Indices

    def subset(self, entries: Sequence[int] | Indices) -> Compositions:
        """Return the compositions of some of the entries, in all the elements."""
        return Compositions(self.elements, self.fractions[entries], self.group[entries])


def compositions(formulas: Sequence[str]) -> Compositions:
    """Return the compositions of formulas; elements in the order in which the first compounds write them."""
    counts = [parse_formula(formula) for formula in formulas]
    elements = tuple(dict.fromkeys(symbol for count in sorted(counts, key=len, reverse=True) for symbol in count))
    place = {element: column for column, element in enumerate(elements)}
    atoms = np.zeros((len(counts), len(elements)), dtype=np.int64)
    for row, count in enumerate(counts):
        for symbol, number in count.items():
            atoms[row, place[symbol]] = number
    smallest = atoms // np.gcd.reduce(atoms, axis=1, keepdims=True)
    group = np.unique(smallest, axis=0, return_inverse=True)[1].reshape(-1)
    return Compositions(elements, smallest / smallest.sum(axis=1, keepdims=True), group)


@dataclass(frozen=True, eq=False)
class HullAt:
    """The hull at one pressure: n entries, m facets, k elements that have a phase at this pressure.

    formation_eV, above_eV: formation enthalpy relative to the stable elements and height above the hull (eV/atom),
    shape (n,), nan where the entry or one of its elements has no phase here. vertex: stable entries, shape (n,); of
    entries with the same composition and the same enthalpy the first. facets: entries at the corners of each facet,
    shape (m, k). facet_of: the facet below each entry, shape (n,), -1 where undefined. undefined: elements without a
    phase here; nothing that contains them has a formation enthalpy.
    """

    pressure_GPa: float
    compositions: Compositions
    formation_eV: Array
    above_eV: Array
    vertex: NDArray[np.bool_]
    facets: Indices
    facet_of: Indices
    undefined: tuple[str, ...]

    @cached_property
    def columns(self) -> Indices:
        """Columns of the elements that have a phase here, shape (k,)."""
        return np.array([i for i, e in enumerate(self.compositions.elements) if e not in self.undefined], dtype=np.intp)

    @property
    def competing(self) -> Indices:
        """Entries whose mixture lies on the hull at each entry's composition, shape (n, k); -1 where undefined."""
        below = np.full((len(self.facet_of), self.facets.shape[1]), -1, dtype=np.intp)
        known = self.facet_of >= 0
        below[known] = self.facets[self.facet_of[known]]
        return below

    @property
    def shares(self) -> Array:
        """Atomic share of each of the `competing` entries, shape (n, k), sum one; nan where undefined."""
        shares = np.full((len(self.facet_of), self.facets.shape[1]), np.nan)
        known = np.flatnonzero(self.facet_of >= 0)
        shares[known] = barycentric(self, known, self.facet_of[known])
        return shares

    def decomposition(self, entry: int) -> dict[int, float]:
        """Return the atomic share of the stable entries that this one decomposes into; empty where undefined."""
        if self.facet_of[entry] < 0:
            return {}
        if self.vertex[entry]:
            return {entry: 1.0}
        shares = barycentric(self, np.array([entry]), self.facet_of[[entry]])[0]
        corners = self.facets[self.facet_of[entry]]
        return {int(corner): float(share) for corner, share in zip(corners, shares, strict=True) if share > 1e-9}


def barycentric(hull: HullAt, entries: Indices, facets: Indices) -> Array:
    """Return the shares of the corners of the facets that mix to the compositions of the entries, shape (n, k).

    Shares below zero tell that an entry lies outside its facet.
    """
    fractions = hull.compositions.fractions
    inverse = np.linalg.inv(fractions[hull.facets][:, :, hull.columns])
    shares: Array = np.einsum("ni,nij->nj", fractions[entries][:, hull.columns], inverse[facets])
    return shares


def hulls_at(curves: Sequence[Curve], pressures_GPa: Iterable[float]) -> list[HullAt]:
    """Return the hull of the curves at each pressure (GPa); a curve takes no part where it is not known."""
    pressures = np.fromiter(pressures_GPa, float)
    entries = compositions([curve.formula for curve in curves])
    enthalpies = np.array([curve.enthalpy(pressures) for curve in curves]).reshape(len(curves), len(pressures))
    return [hull_at(entries, enthalpies[:, i], float(pressure)) for i, pressure in enumerate(pressures)]


def hull_at(entries: Compositions, enthalpy_eV: Array, pressure_GPa: float = float("nan")) -> HullAt:
    """Return the lower convex hull of n entries.

    enthalpy_eV: per atom, shape (n,); nan where an entry takes no part. Facets come from Qhull (Barber, Dobkin &
    Huhdanpaa, ACM Trans. Math. Softw. 22, 469 (1996), doi:10.1145/235815.235821), the height of the hull at a
    composition being the highest of the planes of its facets there.
    """
    fractions, elements = entries.fractions, entries.elements
    finite = np.isfinite(enthalpy_eV)
    pure = [np.flatnonzero(finite & (fractions[:, column] == 1)) for column in range(len(elements))]
    present = np.array([len(phases) > 0 for phases in pure])
    undefined = tuple(element for element, there in zip(elements, present, strict=True) if not there)
    taking_part = np.flatnonzero(finite & ~(fractions[:, ~present] > 0).any(axis=1))
    reference = np.array([enthalpy_eV[phases].min() if len(phases) else 0.0 for phases in pure])
    formation = np.full(len(enthalpy_eV), np.nan)
    formation[taking_part] = enthalpy_eV[taking_part] - fractions[taking_part] @ reference
    above = np.full(len(enthalpy_eV), np.nan)
    facet_of = np.full(len(enthalpy_eV), -1, dtype=np.intp)
    vertex = np.zeros(len(enthalpy_eV), dtype=bool)
    x = fractions[:, present]
    facets = np.empty((0, x.shape[1]), dtype=np.intp)
    if len(taking_part):
        facets = _lower_facets(x, formation, _lowest(entries.group, formation, taking_part))
        height, facet_of[taking_part] = _heights(x, formation, facets, taking_part)
        above[taking_part] = np.maximum(formation[taking_part] - height, 0.0)
        vertex[facets.ravel()] = True
        above[vertex] = 0.0
    return HullAt(pressure_GPa, entries, formation, above, vertex, facets, facet_of, undefined)


def _lowest(group: Indices, formation: Array, taking_part: Indices) -> Indices:
    """Return the lowest entry of each composition, the first of equal ones; compounds only if below the elements."""
    least = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(least, group[taking_part], formation[taking_part])
    lowest = taking_part[formation[taking_part] <= least[group[taking_part]] + SAME_eV]
    first: Indices = lowest[np.unique(group[lowest], return_index=True)[1]]
    return first


def _lower_facets(x: Array, formation: Array, lowest: Indices) -> Indices:
    """Return the facets of the lower hull of the lowest entries, shape (m, k), among all rows of x."""
    elements = x.shape[1]
    pure = (x[lowest] == 1).any(axis=1)
    corners = lowest[pure | (formation[lowest] < -SAME_eV)]
    if elements == 1 or len(corners) == elements:
        simplex: Indices = corners[None, :]
        return simplex
    if elements == 2:
        return _chain(x[:, 0], formation, corners)
    from scipy.spatial import ConvexHull

    # One point above all others makes the body full-dimensional whatever the entries are.
    top = np.append(np.full(elements - 1, 1 / elements), 1.0)
    points = np.vstack([np.column_stack([x[corners, :-1], formation[corners]]), top])
    simplices = ConvexHull(points).simplices
    simplices = simplices[(simplices < len(corners)).all(axis=1)]
    facets = corners[simplices]
    # Upright walls of the body have no extent in composition: below 1e-12 they are rounding.
    lower: Indices = facets[np.abs(np.linalg.det(x[facets])) > 1e-12]
    return lower


def _chain(x: Array, formation: Array, corners: Indices) -> Indices:
    """Return the lower hull of a binary: the monotone chain of Andrew, Inf. Process. Lett. 9, 216 (1979)."""
    chain: list[int] = []
    for entry in corners[np.argsort(x[corners])].tolist():
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            between = (x[b] - x[a]) / (x[entry] - x[a])
            if formation[b] < formation[a] + between * (formation[entry] - formation[a]) - SAME_eV:
                break
            chain.pop()
        chain.append(entry)
    return np.array([chain[:-1], chain[1:]], dtype=np.intp).T


def _heights(x: Array, formation: Array, facets: Indices, taking_part: Indices) -> tuple[Array, Indices]:
    """Return the height of the hull at the compositions of the entries, and the facet that lies there."""
    inverse = np.linalg.inv(x[facets])
    planes = np.einsum("mij,mj->im", inverse, formation[facets])
    height, facet_of = np.empty(len(taking_part)), np.empty(len(taking_part), dtype=np.intp)
    block = max(1, _BLOCK // len(facets))
    for start in range(0, len(taking_part), block):
        part = slice(start, start + block)
        values = x[taking_part[part]] @ planes
        facet_of[part] = values.argmax(axis=1)
        height[part] = np.take_along_axis(values, facet_of[part][:, None], axis=1)[:, 0]
    # Where facets lie in one plane, rounding may have chosen one that the composition is not in.
    shares = np.einsum("ni,nij->nj", x[taking_part], inverse[facet_of])
    for outside in np.flatnonzero(shares.min(axis=1) < -1e-9):
        facet_of[outside] = np.einsum("i,mij->mj", x[taking_part[outside]], inverse).min(axis=1).argmax()
    return height, facet_of
