"""A folder of UPF files, as SSSP or PseudoDojo give them: the file of an element and the cutoffs it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ase.units import Bohr, Ha, Ry

from megabar.structures.errors import SetupError
from megabar.workflows.files import sha256_of_file
from megabar.workflows.pseudopotentials.upf import Upf, element_of, read_upf, upf_files

DEFAULT_RY = {"NC": 90.0, "PAW": 60.0, "US": 60.0}
"""Cutoffs where nobody says any: generous ones, since too low is wrong and too high only slow."""
DEFAULT_RATIO = {"NC": 4.0, "PAW": 8.0, "US": 8.0}


@dataclass(frozen=True)
class Member:
    """The pseudopotential of an element in a folder, with its cutoffs for the protocol `moderate` (eV)."""

    upf: Upf
    sha256: str
    cutoff_eV: float
    density_cutoff_eV: float
    radius_A: float


def member(folder: Path, element: str, functional: str) -> Member:
    """Return the pseudopotential of an element in a folder.

    Raises SetupError where the folder has none, several, or only ones for another functional.
    """
    found = [read_upf(path) for path in upf_files(folder) if element_of(path) == element]
    if not found:
        raise SetupError(f"the pseudopotential folder {folder} has no UPF file for {element}")
    fitting = [upf for upf in found if upf.functional == functional]
    if not fitting:
        names = ", ".join(f"{upf.path.name} ({upf.functional})" for upf in found)
        raise SetupError(f"{folder}: no pseudopotential of {element} is for {functional}; there is {names}")
    if len(fitting) > 1:
        listed = [upf for upf in fitting if upf.path.name == _listed(folder, element).get("filename")]
        if len(listed) != 1:
            names = ", ".join(upf.path.name for upf in fitting)
            raise SetupError(f"{folder}: several files are for {element} and {functional} ({names}); leave one there")
        fitting = listed
    return member_of(fitting[0].path)


def member_of(path: Path) -> Member:
    """Return what is known of one UPF file, from itself and from the lists of cutoffs beside it."""
    upf = read_upf(path)
    entry = _listed(path.parent, upf.element)
    if entry.get("filename") not in (None, path.name):
        entry = {}
    cutoff, density = _cutoffs_Ry(upf, entry)
    return Member(
        upf=upf,
        sha256=_sha256(path),
        cutoff_eV=cutoff * Ry,
        density_cutoff_eV=density * Ry,
        radius_A=float(entry["radius_bohr"]) * Bohr if "radius_bohr" in entry else upf.radius_A,
    )


def _cutoffs_Ry(upf: Upf, entry: dict[str, Any]) -> tuple[float, float]:
    """Return the cutoffs (Ry) by the first that says any: a list, PseudoDojo's hints, the file, a default."""
    kind = "NC" if upf.norm_conserving else upf.kind
    ratio = DEFAULT_RATIO.get(kind, 8.0)
    if entry.get("cutoff_wfc"):
        cutoff = float(entry["cutoff_wfc"])
        return cutoff, max(float(entry.get("cutoff_rho") or 0), 4 * cutoff)
    hint = _dojo_hint_Ry(upf.path)
    if hint:
        return hint, ratio * hint
    cutoff, density = upf.suggested_Ry
    if cutoff > 0:
        return cutoff, max(density, ratio * cutoff)
    default = DEFAULT_RY.get(kind, 90.0)
    return default, ratio * default


def _dojo_hint_Ry(path: Path) -> float | None:
    """Return the `normal` cutoff of PseudoDojo's report beside a file (Ry), None where there is none."""
    for report in (path.with_suffix(".djrepo"), path.with_suffix(".out")):
        try:
            hints = json.loads(report.read_text(encoding="utf-8"))["hints"]
            return float(float(hints["normal"]["ecut"]) * Ha / Ry)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _listed(folder: Path, element: str) -> dict[str, Any]:
    """Return what a list in the folder (SSSP's JSON, ours) says of an element, nothing where there is no list."""
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))[element]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(entry, dict) and "cutoff_wfc" in entry:
            return entry
    return {}


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _sha256_of(path: Path, modified: int, size: int) -> str:
    return sha256_of_file(path)
