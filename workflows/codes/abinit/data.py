"""Pseudopotential files that ABINIT reads: which there are in a folder, and what their headers say.

psp8 (ONCVPSP; PseudoDojo: van Setten et al., Comput. Phys. Commun. 226, 39 (2018), doi:10.1016/j.cpc.2018.01.012)
and PAW XML (JTH: Jollet, Torrent & Holzwarth, Comput. Phys. Commun. 185, 1246 (2014), doi:10.1016/j.cpc.2013.12.023).
ABINIT does not read UPF files of version 2, which ld1.x and today's libraries are written in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase.data import chemical_symbols
from ase.units import Bohr, Hartree

from megabar.structures.errors import SetupError
from megabar.workflows.codes.external import room
from megabar.workflows.files import sha256_of_file
from megabar.workflows.yaml_input import plain, read_yaml

FAMILIES = ("psp8", "xml")
PSPXC = {"PBE": (11, -101130), "PBEsol": (-116133,), "LDA": (7, -1012)}
"""Functional codes in psp8 headers: ABINIT's own, or minus two numbers of libxc."""
XML_NAMES = {
    "PBE": ("PBE", "GGA_X_PBE+GGA_C_PBE"),
    "PBEsol": ("PBEsol", "GGA_X_PBE_SOL+GGA_C_PBE_SOL"),
    "LDA": ("PW", "LDA_X+LDA_C_PW"),
}
CUTOFFS = Path(__file__).with_name("abinit_cutoffs.yaml")


@dataclass(frozen=True)
class Pseudo:
    """What the header of a pseudopotential file says.

    valence: electrons that are not in the core. radius_A: largest core or augmentation radius (Å).
    cutoff_eV: plane-wave cutoff (eV) that it needs, 0 where nothing says it.
    """

    path: Path
    family: str
    element: str
    functional: str
    valence: float
    radius_A: float
    cutoff_eV: float


def read_pseudo(path: Path) -> Pseudo | None:
    """Return what a psp8 or PAW XML file says of itself, None where it is something else."""
    family = path.suffix[1:].lower()
    if family not in FAMILIES:
        return None
    with path.open(errors="replace") as stream:
        head = "".join(line for line, _ in zip(stream, range(400), strict=False))
    try:
        return _psp8(path, head) if family == "psp8" else _xml(path, head)
    except (ValueError, IndexError, AttributeError):
        return None


def _psp8(path: Path, head: str) -> Pseudo:
    lines = head.splitlines()
    number, valence = (float(word) for word in lines[1].split()[:2])
    code, pspxc = (int(word) for word in lines[2].split()[:2])
    if code != 8:
        raise ValueError
    radii = re.findall(r"r_core=\s*([\d.\s]+)", lines[0])[0].split()
    functional = next((name for name, codes in PSPXC.items() if pspxc in codes), f"pspxc {pspxc}")
    element = _element(round(number))
    cutoff = _hint(path) or _known_cutoff(element, functional, path)
    return Pseudo(path, "psp8", element, functional, valence, max(map(float, radii)) * Bohr, cutoff * Hartree)


def _xml(path: Path, head: str) -> Pseudo:
    atom = re.search(r'<atom symbol="\s*(\w+)".*?valence="\s*([\d.]+)"', head)
    xc = re.search(r'<xc_functional [^>]*name="\s*([^"]+?)\s*"', head)
    ecut = re.search(r'<pw_ecut [^>]*medium="\s*([\d.]+)"', head)
    radii = re.findall(r'\brc="\s*([\d.]+)"', head)
    assert atom is not None and xc is not None
    functional = next((name for name, names in XML_NAMES.items() if xc[1] in names), xc[1])
    cutoff = float(ecut[1]) if ecut else _hint(path)
    return Pseudo(path, "xml", atom[1], functional, float(atom[2]), max(map(float, radii)) * Bohr, cutoff * Hartree)


def _element(number: int) -> str:
    return str(chemical_symbols[number])


def _hint(path: Path) -> float:
    """Return the `normal` cutoff (hartree) that PseudoDojo's ``.djrepo`` file beside it recommends, 0 without one."""
    try:
        content = json.loads(path.with_suffix(".djrepo").read_text())
    except (OSError, ValueError):
        return 0.0
    hints = content.get("hints") or content.get("ppgen_hints") or {}
    return float(hints.get("normal", {}).get("ecut", 0.0))


def _known_cutoff(element: str, functional: str, path: Path) -> float:
    """Return the cutoff (hartree) measured for a file of Debian's abinit-data, 0 for other files."""
    known: Mapping[str, Mapping[str, object]] = plain(read_yaml(CUTOFFS))
    entry = known.get(element, {})
    if entry.get("functional") == functional and entry.get("sha256") == sha256_of_file(path):
        return float(str(entry["cutoff_hartree"]))
    return 0.0


def choose(
    folders: Iterable[Path],
    elements: Sequence[str],
    functional: str,
    closest_A: Mapping[tuple[str, str], float],
) -> tuple[Pseudo, ...]:
    """Return a file for each element, all of one family (ABINIT does not mix norm-conserving and PAW).

    Of several files of an element, the softest whose core leaves room for its neighbours is taken, else the one of
    smallest radius. Raises SetupError that names what is missing.
    """
    folders = list(folders)
    found = [pseudo for folder in folders for path in sorted(folder.iterdir()) if (pseudo := read_pseudo(path))]
    missing: dict[str, list[str]] = {}
    for family in FAMILIES:
        ours = [each for each in found if each.family == family and each.functional == functional]
        missing[family] = [element for element in elements if element not in {each.element for each in ours}]
        if not missing[family]:
            return tuple(_best([each for each in ours if each.element == element], closest_A) for element in elements)
    places = ", ".join(map(str, folders)) or "no folder"
    lacks = "; ".join(f"{family} lacks {', '.join(names)}" for family, names in missing.items())
    raise SetupError(
        f"abinit: no complete set of {functional} pseudopotentials for {', '.join(elements)} in {places} ({lacks}); "
        "set codes.abinit.pseudopotentials to a PseudoDojo folder of psp8 or JTH folder of XML files "
        "(UPF files of version 2 are not read by ABINIT)"
    )


def _best(candidates: Sequence[Pseudo], closest_A: Mapping[tuple[str, str], float]) -> Pseudo:
    space = room(candidates[0].element, closest_A)
    fitting = [each for each in candidates if each.radius_A <= space]
    if fitting:
        return min(fitting, key=lambda each: (each.cutoff_eV or float("inf"), each.path.name))
    return min(candidates, key=lambda each: (each.radius_A, each.path.name))
