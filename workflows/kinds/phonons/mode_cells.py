"""The cells that hold imaginary modes: as they are, and as the modes lead away from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from megabar.workflows.calculation import AS_IT_IS, Calculation
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.protocols import kpoint_grid
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax

FOLLOWED = "followed"
"""Kind of the rungs: number 0 is the cell that holds the mode as it is, number 1 the one that it leads to."""


def calculation(method: Method, ladder: Ladder, limits: Relax, rung: Mapping[str, Any]) -> Calculation:
    """Return the calculation of a rung: a single point of the cell as it is, the relaxation of the distorted one.

    Both have the density of k-points that the phase has on its ladder, so that their difference is of the mode alone.
    """
    structure = Structure.from_dict(rung["structure"])
    own = np.linalg.norm(ladder.structure.atoms().cell.reciprocal()[:], axis=1) * 2 * np.pi
    density = float(max(np.array(ladder.settings["kpoints"]) / own))
    # A little less, so that rounding does not add a point where the cell is the ladder's own, compressed.
    settings = {**ladder.settings, "kpoints": kpoint_grid(structure.atoms(), 0.98 * density)}
    return Calculation(
        code=method.code,
        version=method.version,
        settings=settings,
        structure=structure,
        data=tuple(each for each in method.data if each.element in structure.symbols),
        task=AS_IT_IS if int(rung["index"]) == 0 else replace(limits, shape=True),
    )
