"""Elk's species files, and muffin-tin radii that do not overlap in any phase of a study."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from ase.units import Bohr

from megabar.structures.errors import SetupError

LARGEST_RATIO = 1.4
"""Largest radius over the smallest: with spheres much larger than the cutoff is made for, plane waves become nearly
dependent in them and the self-consistent loop diverges (Na2He at 480 GPa with 1.72 and 1.15 bohr, rgkmax 8)."""
STEP_BOHR = 0.01
GAP_BOHR = 0.06
"""Room left between spheres: Elk shrinks radii that come closer than its ``rmtdelta`` of 0.05 bohr."""

_RADII_LINE = re.compile(r"^(\s*\S+\s+)(\S+)(\s+\S+\s+\d+\s*:\s*rminsp.*)$", flags=re.MULTILINE)


def species_text(folder: Path, element: str) -> str:
    """Return Elk's species file of an element; raises SetupError where the folder has none or it has no radius."""
    path = folder / f"{element}.in"
    if not path.is_file():
        raise SetupError(f"there is no species file {path.name} in {folder}")
    text = path.read_text()
    if not _RADII_LINE.search(text):
        raise SetupError(f"{path} is not a species file of Elk: it has no line 'rminsp, rmt, rmaxsp, nrmt'")
    return text


def default_radius(text: str) -> float:
    """Return the muffin-tin radius (bohr) of a species file."""
    match = _RADII_LINE.search(text)
    assert match is not None
    return float(match.group(2))


def with_radius(text: str, radius_bohr: float) -> str:
    """Return a species file with another muffin-tin radius (bohr), everything else as it was."""
    return _RADII_LINE.sub(lambda match: f"{match.group(1)}{radius_bohr:.4f}{match.group(3)}", text)


def muffin_tin_radii(texts: Mapping[str, str], closest_A: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return radii (bohr) such that the spheres of no two neighbours come closer than ``GAP_BOHR``.

    Each pair shares its shortest distance in the proportion of Elk's default radii, which no radius exceeds; none is
    larger than ``LARGEST_RATIO`` times the smallest.

    texts: species files by element. closest_A: shortest distances (Å) by sorted pair of elements; pairs of which
    one is not asked for do not matter. Raises SetupError where a sphere would be smaller than 0.5 bohr.
    """
    default = {element: default_radius(text) for element, text in texts.items()}
    radii = dict(default)
    for pair, distance_A in closest_A.items():
        if all(element in default for element in pair):
            free = distance_A / Bohr - GAP_BOHR
            total = sum(default[element] for element in pair)
            for element in pair:
                radii[element] = min(radii[element], free * default[element] / total)
    largest = LARGEST_RATIO * min(radii.values())
    radii = {element: min(radius, largest) for element, radius in radii.items()}
    rounded = {element: STEP_BOHR * math.floor(radius / STEP_BOHR + 1e-9) for element, radius in radii.items()}
    for element, radius in rounded.items():
        if radius < 0.5:
            raise SetupError(f"atoms come so close to {element} that its muffin-tin radius would be {radius:.2f} bohr")
    return {element: round(radius, 2) for element, radius in rounded.items()}
