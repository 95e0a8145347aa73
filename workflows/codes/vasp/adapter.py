"""Adapter to VASP (Kresse & Furthmüller, Phys. Rev. B 54, 11169 (1996), doi:10.1103/PhysRevB.54.11169).

Tested on its input and output files only: VASP's licence does not let everybody run it. Formats: the VASP Wiki.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.units import GPa

from megabar.structures.errors import SetupError
from megabar.workflows.codes.common import DataAsked, cutoff_of_data
from megabar.workflows.codes.external import ExternalCalculator
from megabar.workflows.codes.finite import NOT_A_NUMBER, number
from megabar.workflows.codes.installed import InstalledProgram
from megabar.workflows.codes.interface import AtomicData, CalculationFailed, Request
from megabar.workflows.codes.vasp.potcar import choose, header
from megabar.workflows.config import Config
from megabar.workflows.files import sha256_of, sha256_of_file, text_of_file
from megabar.workflows.protocols import Protocol

FUNCTIONALS: dict[str, dict[str, Any]] = {
    "PBE": {"GGA": "PE"},
    "PBE+D3": {"GGA": "PE", "IVDW": 12},
    "PBEsol": {"GGA": "PS"},
    "LDA": {},
}
"""INCAR tags by functional; IVDW 12 is D3 with Becke-Johnson damping."""
ISMEAR = {"fermi-dirac": -1, "methfessel-paxton": 1}
HOW_TO_GET = "set codes.vasp.command to it (VASP needs a licence, vasp.at)"
SCF_STEPS = 100
FINISHED = "General timing and accounting informations for this job"
TROUBLE = (
    (r"TOO FEW BANDS", "too-few-bands"),
    (r"number of bands is not sufficient", "too-few-bands"),
    (r"BRMIX: very serious problems", "wrong-charge"),
    (r"ZBRENT: fatal", "error"),
    (r"EDDDAV: Call to ZHEGV failed", "diagonalization-failed"),
    (r"EDDRMM: call to ZHEGV failed", "diagonalization-failed"),
    (r"EDDIAG: Call to routine ZHEEV failed", "diagonalization-failed"),
    (r"EDWAV: internal error", "diagonalization-failed"),
    (r"subspace rotation PSSYEVX", "diagonalization-failed"),
    (r"Routine ZPOTRF failed", "overlap-not-positive"),
    (r"nicht konvergent", "error"),
    (r"REAL_OPT(?:LAY)?: internal error", "error"),
    (r"Tetrahedron method fails", "input-refused"),
    (r"unable to match k-point", "symmetry-error"),
    (r"(?:inverse of )?rotation matrix was not found", "symmetry-error"),
    (r"group operation missing", "symmetry-error"),
    (r"REFUSE TO CONTINUE WITH THIS SICK JOB", "input-refused"),
    (r"VERY BAD NEWS", "error"),
)
"""What VASP 5 and 6 say of a run whose numbers are worth nothing, though it may come to its end (boxes, lines in
OUTCAR or on standard output), and the cause that it tells of. Words: vasp.at's wiki and forum; the error handlers of
custodian (Ong et al., Comput. Mater. Sci. 68, 314 (2013), doi:10.1016/j.commatsci.2012.10.028)."""


class Vasp(InstalledProgram):
    """VASP with POTCAR files of the user's folder, one calculation per geometry (NSW = 0)."""

    name = "vasp"
    functionals = tuple(FUNCTIONALS)
    smearings = tuple(ISMEAR)
    names = ("vasp_std",)
    how_to_get = HOW_TO_GET

    def version_of(self, command: tuple[str, ...]) -> str:
        """Return the hash of the program: it says its version only in the output of a run, which ``said`` has."""
        return _version(Path(command[0]))

    def calculator_class(self) -> type[ExternalCalculator]:
        """Return the calculator below."""
        return VaspCalculator

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return a POTCAR of each element: the softest whose core leaves room, else that of smallest core radius."""
        folder = config.code(self.name).pseudopotentials
        if folder is None or not folder.is_dir():
            raise SetupError(
                "vasp: set codes.vasp.pseudopotentials to the folder of POTCAR folders (potpaw_PBE with Na, Na_pv, …)"
            )
        found = []
        for element in asked.elements:
            potcar = choose(folder, element, "LDA" if asked.functional == "LDA" else "PBE", asked.closest_A)
            digest = sha256_of(text_of_file(potcar.path))
            found.append(AtomicData(element, str(potcar.path), digest, potcar.radius_A, potcar.cutoff_eV, potcar.title))
        return found

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return cutoff and SCF thresholds of a phase."""
        return {
            "cutoff_eV": cutoff_of_data(request, protocol.code_settings["cutoff_factor"]),
            "scf": {"energy_eV": protocol.code_settings["scf_energy_eV"], "steps": SCF_STEPS},
        }


class VaspCalculator(ExternalCalculator):
    """One VASP run per geometry. said: ``version``, ``scf_steps`` and ``fermi_eV`` of the last one."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]
    # WAVECAR and CHGCAR would be read by the next run, whose result would then depend on its past.
    output_names = ("OUTCAR", "OSZICAR", "vasprun.xml", "CONTCAR", "WAVECAR", "CHGCAR")

    def inputs(self, atoms: Atoms) -> dict[str, str]:
        """Return INCAR, KPOINTS, POSCAR and POTCAR; raises SetupError where a POTCAR is not the one of the study."""
        return {
            "INCAR": incar(self.settings),
            "KPOINTS": kpoints(self.settings["kpoints"]),
            "POSCAR": poscar(atoms),
            "POTCAR": potcar_of(atoms, self.data),
        }

    def outputs(self, atoms: Atoms) -> dict[str, Any]:
        """Return energy (eV; VASP's free energy TOTEN), forces (eV/Å) and stress (eV/Å³) of a finished run."""
        text = text_of_file(self.folder / "OUTCAR")
        check_words(text + "\n" + text_of_file(self.folder / self.stdout_name))
        check_outcar(text, self.settings["scf"], self.tail())
        results, self.said = read_outcar(text, atom_order(atoms))
        return results


def incar(settings: Mapping[str, Any]) -> str:
    """Return INCAR of a single point: every tag that changes the answer is written out."""
    smearing = settings["smearing"]
    tags = {
        **FUNCTIONALS[settings["functional"]],
        "PREC": "Accurate",
        "ENCUT": f"{settings['cutoff_eV']:.3f}",
        "EDIFF": f"{settings['scf']['energy_eV']:.3e}",
        "NELM": settings["scf"]["steps"],
        "ISMEAR": ISMEAR[smearing["kind"]],
        "SIGMA": f"{smearing['width_eV']:.6f}",
        "ALGO": "Normal",
        "LREAL": ".FALSE.",
        "LASPH": ".TRUE.",
        "ISPIN": 1,
        "IBRION": -1,
        "NSW": 0,
        "ISIF": 2,
        "ISYM": 2,
        "LWAVE": ".FALSE.",
        "LCHARG": ".FALSE.",
    }
    return "".join(f"{name} = {value}\n" for name, value in tags.items())


def kpoints(grid: Sequence[int]) -> str:
    """Return KPOINTS of a Γ-centred grid."""
    return f"megabar\n0\nGamma\n{' '.join(map(str, grid))}\n0 0 0\n"


def atom_order(atoms: Atoms) -> list[int]:
    """Return the indices of the atoms in the order of POSCAR: element by element as they first appear."""
    symbols = atoms.get_chemical_symbols()
    return [index for element in dict.fromkeys(symbols) for index, symbol in enumerate(symbols) if symbol == element]


def poscar(atoms: Atoms) -> str:
    """Return POSCAR (format 5, fractional positions), atoms grouped by element, all positions wrapped as given."""
    from ase.io.vasp import write_vasp

    stream = StringIO()
    plain = Atoms(atoms.get_chemical_symbols(), cell=atoms.cell, positions=atoms.positions, pbc=True)
    write_vasp(stream, plain[atom_order(atoms)], direct=True)
    return stream.getvalue()


def potcar_of(atoms: Atoms, data: Mapping[str, AtomicData]) -> str:
    """Return POTCAR: the files of the elements in the order of POSCAR.

    Raises SetupError where a file's TITEL is not of its element or its content is not what the study began with.
    """
    parts = []
    for element in dict.fromkeys(atoms.get_chemical_symbols()):
        each = data[element]
        content = text_of_file(Path(each.path))
        if header(Path(each.path)).element != element:
            raise SetupError(f"{each.path} is not a POTCAR of {element}: its TITEL is {header(Path(each.path)).title}")
        if sha256_of(content) != each.sha256:
            raise SetupError(f"{each.path} has changed since the study was planned")
        parts.append(content if content.endswith("\n") else content + "\n")
    return "".join(parts)


def check_words(said: str) -> None:
    """Raise CalculationFailed where VASP itself speaks of trouble, however the run ended. said: OUTCAR and output."""
    for words, cause in TROUBLE:
        found = re.search(rf"^.*{words}.*$", said, flags=re.MULTILINE)
        if found:
            raise CalculationFailed(cause, f"VASP says: {' '.join(found.group().replace('|', ' ').split())}")


def check_outcar(text: str, scf: Mapping[str, Any], tail: str) -> None:
    """Raise CalculationFailed unless OUTCAR tells of a finished run that converged.

    scf: ``steps`` (NELM) and ``energy_eV`` (EDIFF). VASP 6 says that EDIFF was not reached. VASP 5 says after NELM
    steps that it was, whatever the last change of energy and eigenvalues: there these two decide.
    """
    steps = max((int(each) for each in _iterations(text)), default=0)
    last_loop = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached)", text)
    change = re.findall(r"total energy-change \(2\. order\)\s*:\s*(\S+)\s*\(\s*([^\s)]+)", text)
    changes = [abs(number(word, "the change of energy", "VASP")) for word in (change[-1] if change else ())]
    at_nelm = steps >= scf["steps"] and not (changes and max(changes) <= scf["energy_eV"])
    if "EDIFF was not reached" in last_loop or at_nelm:
        left = f", the energy still changing by {max(changes):.2g} eV" if changes else ""
        raise CalculationFailed("scf-not-converged", f"VASP reached its {steps} electronic steps{left}")
    if FINISHED not in text or not last_loop:
        raise CalculationFailed("incomplete-output", f"VASP stopped before its end: {tail}")


def read_outcar(text: str, order: Sequence[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ASE's results and what else a finished OUTCAR says.

    order: index in the structure of each atom of POSCAR. VASP prints stresses in kB (0.1 GPa), pressure positive.
    """
    energy = re.findall(r"free\s+energy\s+TOTEN\s*=\s*(\S+)", text)
    stress = re.findall(r"^\s+in kB(.*)$", text, flags=re.MULTILINE)
    table = re.findall(r"TOTAL-FORCE \(eV/Angst\)\n\s*-+\n(.*?)\n\s*-+", text, flags=re.DOTALL)
    if not (energy and stress and table):
        raise CalculationFailed("incomplete-output", "OUTCAR lacks the energy, the stress or the forces")
    rows = [_columns(row, "the forces") for row in table[-1].splitlines()]
    if len(rows) != len(order):
        raise CalculationFailed("incomplete-output", f"OUTCAR has forces of {len(rows)} atoms, not of {len(order)}")
    forces = np.empty((len(order), 3))
    forces[list(order)] = np.array(rows)[:, 3:6]
    xx, yy, zz, xy, yz, zx = (-value * 0.1 * GPa for value in _columns(stress[-1], "the stress"))
    total = number(energy[-1], "the energy", "VASP")
    version = re.search(r"^\s*vasp\.(\S+)", text, flags=re.MULTILINE)
    fermi = re.findall(r"E-fermi\s*:\s*(\S+)", text)
    results = {
        "energy": total,
        "free_energy": total,
        "forces": forces,
        "stress": np.array([xx, yy, zz, yz, zx, xy]),
    }
    said = {
        "version": version[1] if version else None,
        "scf_steps": max((int(each) for each in _iterations(text)), default=0),
        "fermi_eV": float(fermi[-1]) if fermi else None,
    }
    return results, said


@cache
def _version(path: Path) -> str:
    return f"program sha256 {sha256_of_file(path)[:16]}"


def _iterations(text: str) -> list[str]:
    return re.findall(r"Iteration\s+\d+\(\s*(\d+)\)", text)


def _columns(row: str, what: str) -> list[float]:
    """Return the six numbers of a row; wide ones stand without a space between, and stars stand for too wide ones."""
    words = re.findall(r"-?\d+\.\d+|[^\s\d.-]+", row)
    if len(words) != 6:
        raise CalculationFailed(NOT_A_NUMBER, f"VASP wrote {row.strip()!r} for {what}")
    return [number(word, what, "VASP") for word in words]


VASP = Vasp()
