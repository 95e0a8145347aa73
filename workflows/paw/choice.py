"""Which PAW set each element of a study gets: the largest spheres that do not come too close.

The measure is the closeness (r_i + r_j)/d_ij of two spheres at the shortest distance of the study. Measured at the
volumes of 300 and 480 GPa (600 eV): E(Na2He) - 2/3 E(Na fcc) - 1/3 E(He fcc) against spheres of 1.2 (Na) and 0.9 bohr
(He) is off by 3-4 meV/atom at Na-Na closeness 0.75-0.80, by 5-7 at 0.86-0.91, by 12-15 at 0.97-1.03, and with
GPAW's own sets by 27 and 31 at 1.23 and 1.31. An all-electron check (Elk, nxlo=2) of the same combination stood 2-5
below spheres of 1.4 and 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from megabar.structures.errors import SetupError
from megabar.workflows.paw.generate import Recipe, generated, largest_radius_A
from megabar.workflows.yaml_input import plain, read_yaml

FILE = Path(__file__).with_name("sets.yaml")
CLOSENESS = {"fast": 1.0, "moderate": 0.87, "precise": 0.8}
"""Largest closeness of two spheres that each protocol takes where there is a choice."""

DEFAULT_CUTOFF_eV = 600.0


@dataclass(frozen=True)
class Candidate:
    """A PAW set that an element may get: ``recipe`` is None for GPAW's own."""

    element: str
    radius_A: float
    cutoff_eV: float
    recipe: Recipe | None = None


def candidates(element: str, xc: str) -> list[Candidate]:
    """Return the sets of an element, largest spheres first.

    Raises SetupError where GPAW has no set of its own and no recipe is known.
    """
    entry = _data().get(element, {"default": True, "sets": []})
    found = [
        Candidate(element, recipe.radius_A, float(each["cutoff_eV"]), recipe)
        for each in entry["sets"]
        for recipe in [Recipe(element, each["projectors"], each["radius"], xc)]
    ]
    if entry["default"]:
        cutoff_eV = float(entry.get("default_cutoff_eV", DEFAULT_CUTOFF_eV))
        found.append(Candidate(element, largest_radius_A(own_set(element, xc)), cutoff_eV))
    return sorted(found, key=lambda each: -each.radius_A)


def choose(
    elements: Sequence[str], xc: str, protocol: str, closest_A: Mapping[tuple[str, str], float]
) -> dict[str, Candidate]:
    """Return a set for each element: the largest spheres that stay within the protocol's closeness.

    closest_A: shortest distances (Å) by sorted pair of elements. Where even the smallest spheres come closer than
    the protocol wants, they are taken all the same.
    """
    ladder = {element: candidates(element, xc) for element in elements}
    step = dict.fromkeys(elements, 0)
    limit = CLOSENESS[protocol]

    def radius(element: str) -> float:
        return ladder[element][step[element]].radius_A

    changed = True
    while changed:
        changed = False
        for (one, other), distance in sorted(closest_A.items()):
            if one not in step or other not in step or radius(one) + radius(other) <= limit * distance:
                continue
            # The larger of the two spheres gives way first, as long as it has a smaller one.
            for element in sorted({one, other}, key=radius, reverse=True):
                if step[element] + 1 < len(ladder[element]):
                    step[element] += 1
                    changed = True
                    break
    return {element: ladder[element][step[element]] for element in elements}


def file_of(candidate: Candidate, xc: str, cache_folder: Path) -> Path:
    """Return the file of a chosen set, generated where needed."""
    if candidate.recipe is None:
        return own_set(candidate.element, xc)
    return generated(candidate.recipe, cache_folder)


@cache
def own_set(element: str, xc: str) -> Path:
    """Return the file of GPAW's own set; raises SetupError where there is none."""
    from gpaw import setup_paths

    for folder in setup_paths:
        for name in (f"{element}.{xc}.gz", f"{element}.{xc}"):
            if (Path(folder) / name).is_file():
                return Path(folder) / name
    raise SetupError(
        f"GPAW has no PAW set {element}.{xc}; install them with `pip install gpaw-data`, or set GPAW_SETUP_PATH"
    )


@cache
def _data() -> dict[str, Any]:
    content: dict[str, Any] = plain(read_yaml(FILE))
    return content
