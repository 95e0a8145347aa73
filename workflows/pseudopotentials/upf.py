"""What a UPF file says about itself: element, kind, functional, core radii. Both versions of the format.

Format: https://pseudopotentials.quantum-espresso.org/home/unified-pseudopotential-format
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers
from ase.units import Bohr

from megabar.structures.errors import SetupError

HEADER_BYTES = 400_000
"""A header may follow a long generation input; no known file has more than this before it."""

_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(["'])(.*?)\2""", re.DOTALL)
_RADIUS = re.compile(r"""cutoff_radius\s*=\s*["']\s*([^"']+?)\s*["']""")
# Exchange and correlation as Quantum ESPRESSO abbreviates them in files (Modules/funct.f90), whitespace removed.
_FUNCTIONALS = {
    "PBE": "PBE",
    "SLAPWPBXPBC": "PBE",
    "SLAPWPBEPBE": "PBE",
    "SLA+PW+PBX+PBC": "PBE",
    "PBESOL": "PBEsol",
    "SLAPWPSXPSC": "PBEsol",
    "SLA+PW+PSX+PSC": "PBEsol",
    "PZ": "LDA",
    "PW": "LDA",
    "LDA": "LDA",
    "SLAPZNOGXNOGC": "LDA",
    "SLAPWNOGXNOGC": "LDA",
}


@dataclass(frozen=True)
class Upf:
    """The header of a UPF file.

    kind: ``NC``, ``US``, ``PAW`` or as the file says; functional: in megabar's names, or as the file says.
    valence: number of valence electrons; radius_A: largest cutoff radius of the projectors (Å), 0 where unknown.
    suggested_Ry: cutoffs for wavefunctions and density that the file itself suggests (Ry), 0 where it does not.
    """

    path: Path
    element: str
    kind: str
    functional: str
    valence: float
    radius_A: float
    suggested_Ry: tuple[float, float]

    @property
    def norm_conserving(self) -> bool:
        """True where four times the wavefunction cutoff serves the density exactly."""
        return self.kind in ("NC", "SL")


def read_upf(path: Path) -> Upf:
    """Return the header of a UPF file, version 1 or 2.

    Raises SetupError where the file cannot be read or is not UPF.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"{path}: the pseudopotential cannot be read ({error.strerror})") from None
    start = text.find("<PP_HEADER", 0, HEADER_BYTES)
    if start < 0:
        raise SetupError(f"{path}: not a UPF file (it has no PP_HEADER)")
    end = text.find(">", start)
    try:
        if text[start:end].strip() == "<PP_HEADER":
            return _version_1(path, text[end + 1 : text.find("</PP_HEADER>", end)], text)
        return _version_2(path, text[start:end], text)
    except (KeyError, ValueError, IndexError) as error:
        raise SetupError(f"{path}: the UPF header is incomplete ({error})") from None


def element_of(path: Path) -> str | None:
    """Return the element that a UPF file says it is for, None where the file is not UPF."""
    try:
        return read_upf(path).element
    except SetupError:
        return None


def _version_2(path: Path, header: str, text: str) -> Upf:
    fields = {name: value.strip() for name, _, value in _ATTRIBUTE.findall(header)}
    radii = [_number(value) for value in _RADIUS.findall(text)]
    return Upf(
        path=path,
        element=_element(fields["element"]),
        kind={"USPP": "US"}.get(fields["pseudo_type"], fields["pseudo_type"]),
        functional=_functional(fields["functional"]),
        valence=_number(fields["z_valence"]),
        radius_A=max(radii, default=0.0) * Bohr,
        suggested_Ry=(_number(fields.get("wfc_cutoff", "0")), _number(fields.get("rho_cutoff", "0"))),
    )


def _version_1(path: Path, header: str, text: str) -> Upf:
    lines = [line for line in header.splitlines() if line.strip()]

    def line(comment: str) -> list[str]:
        for each in lines:
            if comment in each:
                return each[: each.index(comment)].split()
        raise KeyError(comment)

    words = line("Exchange-Correlation")
    cutoffs = line("Suggested cutoff")
    return Upf(
        path=path,
        element=_element(line("Element")[0]),
        kind=line("pseudopotential")[0] if "pseudopotential" in header else lines[2].split()[0],
        functional=_functional("".join(words[:4])),
        valence=_number(line("Z valence")[0]),
        radius_A=_version_1_radius(text) * Bohr,
        suggested_Ry=(_number(cutoffs[0]), _number(cutoffs[1])),
    )


def _version_1_radius(text: str) -> float:
    """Return the largest of the radii in the human-readable table of a version-1 file (bohr)."""
    block = text.partition("<PP_INFO>")[2].partition("</PP_INFO>")[0]
    rows = re.findall(r"^\s*\d[A-Z]\s+\d+\s+\d+\s+-?[\d.]+\s+([\d.]+)\s+([\d.]+)", block, re.MULTILINE)
    return max((float(value) for row in rows for value in row), default=0.0)


def _element(text: str) -> str:
    symbol = text.strip().capitalize()
    if symbol not in atomic_numbers:
        raise ValueError(f"{text!r} is not an element")
    return symbol


def _functional(text: str) -> str:
    return _FUNCTIONALS.get("".join(text.upper().split()), text.strip())


def _number(text: str) -> float:
    return float(text.strip().upper().replace("D", "E"))


def upf_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be UPF, by name.

    Raises SetupError where there is no such folder.
    """
    if not folder.is_dir():
        raise SetupError(f"the pseudopotential folder {folder} is not a folder; set it to one with UPF files")
    return sorted(_with_suffix(folder.iterdir()))


def _with_suffix(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() == ".upf" and path.is_file()]
