"""POTCAR files: which there are for an element, and what their headers say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ase.units import Bohr

from megabar.structures.errors import SetupError
from megabar.workflows.codes.external import room
from megabar.workflows.files import text_of_file

KINDS = {"PBE": "PAW_PBE", "LDA": "PAW"}
"""First word of TITEL by functional of the data set."""
HEADER_CHARACTERS = 4000


@dataclass(frozen=True)
class Potcar:
    """Header of a POTCAR. title: TITEL, e.g. ``PAW_PBE Na_pv 19Sep2006``; radius_A: RCORE; cutoff_eV: ENMAX."""

    path: Path
    title: str
    radius_A: float
    cutoff_eV: float

    @property
    def kind(self) -> str:
        """``PAW_PBE``, ``PAW`` (LDA), ``PAW_GGA``, …"""
        return self.title.split()[0]

    @property
    def label(self) -> str:
        """Name of the data set, e.g. ``Na_pv``."""
        return self.title.split()[1]

    @property
    def element(self) -> str:
        """Element of the data set."""
        return re.split(r"[_.\d]", self.label)[0]


@cache
def header(path: Path) -> Potcar:
    """Return the header of a POTCAR of one element; raises SetupError where it is not one."""
    text = text_of_file(path)[:HEADER_CHARACTERS]
    title = re.search(r"TITEL\s*=\s*(\S+\s+\S+(?:\s+\S+)?)", text)
    radius = re.search(r"RCORE\s*=\s*([\d.]+)", text)
    cutoff = re.search(r"ENMAX\s*=\s*([\d.]+)", text)
    if not (title and radius and cutoff):
        raise SetupError(f"{path} is not a POTCAR: it lacks TITEL, RCORE or ENMAX")
    return Potcar(path, " ".join(title[1].split()), float(radius[1]) * Bohr, float(cutoff[1]))


def choose(folder: Path, element: str, functional: str, closest_A: Mapping[tuple[str, str], float]) -> Potcar:
    """Return the softest POTCAR of an element whose core leaves room for its neighbours, else the smallest core.

    Data sets for GW and for fractional hydrogen are left out. Raises SetupError where the folder has none.
    """
    pattern = re.compile(rf"{element}(_(?!.*GW)\w+)?$")
    found = [header(place / "POTCAR") for place in sorted(folder.iterdir()) if _has_potcar(place, pattern)]
    fitting_kind = [each for each in found if each.kind == KINDS[functional] and each.element == element]
    if not fitting_kind:
        others = f" (only {', '.join(each.title for each in found)})" if found else ""
        raise SetupError(f"vasp: {folder} has no {KINDS[functional]} POTCAR of {element}{others}")
    space = room(element, closest_A)
    roomy = [each for each in fitting_kind if each.radius_A <= space]
    if roomy:
        return min(roomy, key=lambda each: (each.cutoff_eV, each.label))
    return min(fitting_kind, key=lambda each: (each.radius_A, each.cutoff_eV))


def _has_potcar(place: Path, pattern: re.Pattern[str]) -> bool:
    return bool(pattern.match(place.name)) and (place / "POTCAR").is_file()
