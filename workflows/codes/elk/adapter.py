"""Adapter to Elk, an all-electron full-potential LAPW code (elk.sourceforge.io): the judge of pseudopotentials.

Energies of fixed geometries only: there is no stress, and LAPW forces at these settings are good to about 15 % (He
moved in Na2He, against finite differences), not enough to relax with, and take longer than the energy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from megabar.structures.errors import SetupError
from megabar.workflows.codes.common import DataAsked
from megabar.workflows.codes.elk.smearing import entropy_term
from megabar.workflows.codes.elk.species import muffin_tin_radii, species_text, with_radius
from megabar.workflows.codes.external import ExternalCalculator
from megabar.workflows.codes.finite import number
from megabar.workflows.codes.installed import InstalledProgram, program
from megabar.workflows.codes.interface import AtomicData, CalculationFailed, Request
from megabar.workflows.codes.running import Process, run_program
from megabar.workflows.config import Config
from megabar.workflows.files import sha256_of, text_of_file, write_atomically
from megabar.workflows.protocols import Protocol

XC_TYPES = {"PBE": 20, "PBEsol": 22, "LDA": 3}
SMEARING_TYPES = {"methfessel-paxton": 1, "fermi-dirac": 3}
HOW_TO_GET = "install it (Debian, Ubuntu: apt install elk-lapw) or set codes.elk.command"
LEAST_GMAX_OVER_GKMAX = 4.0
POTENTIAL_TOLERANCE_HARTREE = 5e-5
RADIAL_MESH_FACTOR = 2
EMPTY_STATES_PER_ATOM = 6
SCF_STEPS = 80


class Elk(InstalledProgram):
    """Elk with muffin-tin radii and plane-wave cutoff that are the same for all phases of a study.

    The cutoff of the augmented plane waves is rgkmax of the protocol over the smallest radius. ``nxlo`` adds local
    orbitals of higher angular momentum: without them compressed Na and He are off by 8-18 meV/atom.
    """

    name = "elk"
    forces = False
    functionals = tuple(XC_TYPES)
    smearings = tuple(SMEARING_TYPES)
    names = ("elk-lapw", "elk")
    how_to_get = HOW_TO_GET

    def version_of(self, command: tuple[str, ...]) -> str:
        """Return the version, as the program says it."""
        return _version(command)

    def calculator_class(self) -> type[ExternalCalculator]:
        """Return the calculator below."""
        return ElkCalculator

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return a species file for each element: Elk's own with a radius that leaves room for its neighbours."""
        folder = _species_folder(config)
        texts = {element: species_text(folder, element) for element in asked.elements}
        radii = muffin_tin_radii(texts, asked.closest_A)
        found = []
        for element in asked.elements:
            content = with_radius(texts[element], radii[element])
            digest = sha256_of(content)
            path = config.data / "elk" / f"{element}-{radii[element]:.2f}-{digest[:8]}.in"
            if text_of_file(path) != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content.encode())
            origin = f"Elk's species {element}.in, muffin-tin radius {radii[element]:.2f} bohr"
            found.append(AtomicData(element, str(path), digest, radii[element] * Bohr, 0.0, origin))
        return found

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return cutoffs, local orbitals, meshes and SCF thresholds of a phase."""
        own = protocol.code_settings
        gkmax = own["rgkmax"] * Bohr / min(each.radius_A for each in request.data)
        return {
            "cutoff_eV": round(gkmax**2 / 2 * Hartree, 3),
            # Twice gkmax is the least that Elk takes; with three times it compressed Na2He may diverge at once.
            "gmaxvr_per_bohr": round(max(float(own["gmaxvr"]), LEAST_GMAX_OVER_GKMAX * gkmax), 3),
            "nxlo": own["nxlo"],
            # Elk's own meshes lose 0.01 electrons a sphere and 20 meV, by amounts that change with the radius.
            "radial_mesh_factor": RADIAL_MESH_FACTOR,
            "empty_states_per_atom": EMPTY_STATES_PER_ATOM,
            "scf": {
                "energy_eV": own["scf_energy_eV"],
                "potential_hartree": POTENTIAL_TOLERANCE_HARTREE,
                "steps": SCF_STEPS,
            },
        }


class ElkCalculator(ExternalCalculator):
    """One Elk ground state per geometry. Units in ``elk.in``: Hartree and bohr.

    said: ``scf_steps``, ``fermi_eV``, ``band_gap_eV`` (on the k-points used), ``charge_error`` (electrons that
    integration over the meshes loses), ``core_leakage`` (core electrons outside their sphere, the largest),
    ``local_orbitals`` and ``code_warnings`` by kind.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy"]
    output_names = ("INFO.OUT", "TOTENERGY.OUT", "STATE.OUT", "EIGVAL.OUT", "KPOINTS.OUT", "STOP")
    restart_names = ("STATE.OUT",)

    def inputs(self, atoms: Atoms) -> dict[str, str]:
        """Return ``elk.in`` and the species files."""
        order = species_order(atoms)
        files = {f"{element}.in": text_of_file(Path(self.data[element].path)) for element in order}
        radii = {element: self.data[element].radius_A / Bohr for element in order}
        return {"elk.in": elk_input(atoms, self.settings, radii), **files}

    def restarted(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return the inputs with task 1: the ground state from ``STATE.OUT`` on."""
        return {**files, "elk.in": files["elk.in"].replace("tasks\n  0\n", "tasks\n  1\n", 1)}

    def tell_to_stop(self, process: Process) -> None:
        """Leave the file for which Elk looks after each loop: it writes ``STATE.OUT`` and ends."""
        (self.folder / "STOP").touch()

    def outputs(self, atoms: Atoms) -> dict[str, Any]:
        """Return the energy (eV; with smearing the generalised free energy) of a finished run."""
        text, said = text_of_file(self.folder / "INFO.OUT"), text_of_file(self.folder / self.stdout_name)
        radii = {element: self.data[element].radius_A / Bohr for element in species_order(atoms)}
        check_info(text, said, self.tail(), radii)
        energy = number(_last(r"total energy\s*:\s*(\S+)", text), "the total energy", "Elk") * Hartree
        self.said = observed(text, said)
        smearing = self.settings["smearing"]
        if smearing["kind"] == "methfessel-paxton":
            energy += entropy_term(self.folder, self.said["fermi_eV"], smearing["width_eV"])
        return {"energy": energy, "free_energy": energy}


def species_order(atoms: Atoms) -> list[str]:
    """Return the elements of a cell in the order in which they first appear, which is Elk's."""
    return list(dict.fromkeys(atoms.get_chemical_symbols()))


def atom_order(atoms: Atoms) -> list[int]:
    """Return the indices of the atoms as Elk lists them: element by element."""
    symbols = atoms.get_chemical_symbols()
    return [index for element in species_order(atoms) for index, symbol in enumerate(symbols) if symbol == element]


def elk_input(atoms: Atoms, settings: Mapping[str, Any], radii_bohr: Mapping[str, float]) -> str:
    """Return ``elk.in`` (names: the Elk manual). ASE's writer shifts even k-point grids, so it is not used.

    isgkmax=1 refers rgkmax to the first species, so that the cutoff is the one asked for whatever the phase holds.
    """
    order = species_order(atoms)
    gkmax = float(np.sqrt(2 * settings["cutoff_eV"] / Hartree))
    blocks = {
        "tasks": "0",
        "xctype": XC_TYPES[settings["functional"]],
        "sppath": "'./'",
        "ngridk": " ".join(map(str, settings["kpoints"])),
        "vkloff": "0.0 0.0 0.0",
        "stype": SMEARING_TYPES[settings["smearing"]["kind"]],
        "swidth": f"{settings['smearing']['width_eV'] / Hartree:.10f}",
        "isgkmax": "1",
        "rgkmax": f"{gkmax * radii_bohr[order[0]]:.8f}",
        "gmaxvr": f"{settings['gmaxvr_per_bohr']:.6f}",
        "nxlo": settings["nxlo"],
        "nrmtscf": settings["radial_mesh_factor"],
        "nempty": settings["empty_states_per_atom"],
        "epsengy": f"{settings['scf']['energy_eV'] / Hartree:.3e}",
        "epspot": f"{settings['scf']['potential_hartree']:.3e}",
        "maxscl": settings["scf"]["steps"],
        "avec": "\n  ".join(_numbers(vector / Bohr) for vector in atoms.cell.array),
    }
    fractions = atoms.get_scaled_positions(wrap=False)
    symbols = atoms.get_chemical_symbols()
    lines = [f"{name}\n  {value}\n" for name, value in blocks.items()]
    lines.append(f"atoms\n  {len(order)}")
    for element in order:
        rows = [
            f"  {_numbers(fractions[index])} 0.0 0.0 0.0" for index in atom_order(atoms) if symbols[index] == element
        ]
        lines += [f"  '{element}.in'", f"  {len(rows)}", *rows]
    return "\n".join(lines) + "\n"


def check_info(text: str, said: str, tail: str, radii_bohr: Mapping[str, float]) -> None:
    """Raise CalculationFailed unless ``INFO.OUT`` tells of a finished, converged run with the radii asked for."""
    errors = re.findall(r"Error\(\w+\):?.*", said)
    if errors:
        raise CalculationFailed("code-error", errors[-1].strip())
    if "Reached self-consistent loops maximum" in text:
        change = re.findall(r"Absolute change in total energy[^:]*:\s*(\S+)", text)
        left = f", the energy still changing by {change[-1]} hartree" if change else ""
        raise CalculationFailed("scf-not-converged", f"Elk reached its {_loops(text)} self-consistent loops{left}")
    if not re.search(r"Elk version \S+ stopped", text) or "Convergence targets achieved" not in text:
        raise CalculationFailed("incomplete-output", f"Elk stopped before its end: {tail}")
    used = dict(re.findall(r"Species :\s*\d+ \((\w+)\).*?muffin-tin radius :\s*(\S+)", text, flags=re.DOTALL))
    for element, radius in radii_bohr.items():
        if abs(float(used[element]) - radius) > 1e-6:
            raise CalculationFailed(
                "spheres-overlap",
                f"Elk shrank the muffin-tin radius of {element} from {radius:.3f} to {float(used[element]):.3f} bohr",
            )
    last = _loops(text)
    for kind, loop in re.findall(r"Warning\((rhonorm|occupy)\): (?!minimum)[^W]*?s\.c\. loop\s+(\d+)", said):
        if int(loop) == last:
            what = "lost charge" if kind == "rhonorm" else "has too few empty states"
            raise CalculationFailed("unreliable-density", f"Elk's last self-consistent loop {what}")


def observed(text: str, said: str) -> dict[str, Any]:
    """Return what else a finished run says, from ``INFO.OUT`` and the standard output."""
    leakage = [float(each) for each in re.findall(r"atom\s+\d+\s*:\s*\S+\s*\(\s*(\S+)\s*\)", text)]
    kinds = re.findall(r"Warning\((\w+)\)", said)
    return {
        "scf_steps": _loops(text),
        "fermi_eV": number(_last(r"Fermi\s*:\s*(\S+)", text), "the Fermi energy", "Elk") * Hartree,
        "band_gap_eV": float(_last(r"Estimated indirect band gap\s*:\s*(\S+)", text)) * Hartree,
        "charge_error": abs(number(_last(r"\n error\s*:\s*(\S+)", text), "the error of the charge", "Elk")),
        "core_leakage": max(leakage, default=0.0),
        "local_orbitals": int(_last(r"Total number of local-orbitals\s*:\s*(\d+)", text)),
        "code_warnings": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def _species_folder(config: Config) -> Path:
    """Return the folder of Elk's species files: the configured one, or that of the installed program."""
    configured = config.code("elk").pseudopotentials
    if configured is not None:
        if not configured.is_dir():
            raise SetupError(f"codes.elk.pseudopotentials is {configured}, which is not a folder of species files")
        return configured
    binary = Path(program("elk", ("elk-lapw", "elk"), config, HOW_TO_GET)[0]).resolve()
    for place in (binary.parents[1] / "share" / "elk-lapw" / "species", binary.parents[1] / "species"):
        if place.is_dir():
            return place
    raise SetupError("Elk's species files were not found; set codes.elk.pseudopotentials to their folder")


@cache
def _version(command: tuple[str, ...]) -> str:
    """Return the version that Elk prints when it starts; it stops at once without an input file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run_program(command, Path(folder), Path(folder) / "stdout.txt")
        said = text_of_file(Path(folder) / "stdout.txt")
    match = re.search(r"Elk code version (\S+)", said)
    if not match:
        raise SetupError(f"{command[0]} does not say a version of Elk: is it Elk?")
    return match.group(1)


def _loops(text: str) -> int:
    """Return the number of the last self-consistent loop."""
    return max(map(int, re.findall(r"Loop number :\s*(\d+)", text)), default=0)


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    if not found:
        raise CalculationFailed("incomplete-output", f"INFO.OUT has nothing like {pattern!r}")
    return str(found[-1])


def _numbers(values: Any) -> str:
    return " ".join(f"{float(value):.12f}" for value in values)


ELK = Elk()
