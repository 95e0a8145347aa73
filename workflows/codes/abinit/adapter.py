"""Adapter to ABINIT (Gonze et al., Comput. Phys. Commun. 248, 107042 (2020), doi:10.1016/j.cpc.2019.107042)."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree

from megabar.structures.errors import SetupError
from megabar.workflows.codes.abinit.data import choose, read_pseudo
from megabar.workflows.codes.common import DataAsked, cutoff_of_data
from megabar.workflows.codes.external import ExternalCalculator
from megabar.workflows.codes.finite import NOT_A_NUMBER, number
from megabar.workflows.codes.installed import InstalledProgram, program
from megabar.workflows.codes.interface import AtomicData, CalculationFailed, Request
from megabar.workflows.config import Config
from megabar.workflows.files import sha256_of_file, text_of_file
from megabar.workflows.protocols import Protocol

IXC = {"PBE": 11, "PBEsol": -116133, "LDA": -1012}
OCCOPT = {"fermi-dirac": 3, "cold": 4, "methfessel-paxton": 6}
HOW_TO_GET = "install it (Debian, Ubuntu: apt install abinit abinit-data) or set codes.abinit.command"
DEBIAN_FOLDERS = {
    "PBE": ("Pseudodojo_nc_sr_04_pbe_standard_psp8", "Pseudodojo_paw_pbe_standard"),
    "LDA": ("Pseudodojo_nc_sr_04_pw_standard_psp8", "Pseudodojo_paw_pw_standard"),
}
FINE_GRID_FACTOR = 2.0
BANDS_FACTOR, BANDS_MORE = 1.2, 4
SCF_STEPS = 60


class Abinit(InstalledProgram):
    """ABINIT with norm-conserving (psp8) or PAW (XML) data from the configured folder or Debian's abinit-data."""

    name = "abinit"
    functionals = tuple(IXC)
    smearings = tuple(OCCOPT)
    names = ("abinit",)
    how_to_get = HOW_TO_GET
    arguments = ("run.abi",)

    def version_of(self, command: tuple[str, ...]) -> str:
        """Return the version, as the program says it."""
        return _version(command)

    def calculator_class(self) -> type[ExternalCalculator]:
        """Return the calculator below."""
        return AbinitCalculator

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return a pseudopotential file of each element, all norm-conserving or all PAW."""
        return [
            AtomicData(
                element=each.element,
                path=str(each.path),
                sha256=sha256_of_file(each.path),
                radius_A=each.radius_A,
                cutoff_eV=each.cutoff_eV,
                origin=f"{each.path.parent.name}/{each.path.name}",
            )
            for each in choose(_folders(asked.functional, config), asked.elements, asked.functional, asked.closest_A)
        ]

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return cutoffs and SCF thresholds of a phase.

        Raises SetupError where nothing says which cutoff a pseudopotential needs.
        """
        unknown = [each for each in request.data if not each.cutoff_eV]
        if unknown:
            names = ", ".join(Path(each.path).name for each in unknown)
            raise SetupError(
                f"abinit: nothing says which plane-wave cutoff {names} needs; put PseudoDojo's .djrepo file beside it"
            )
        own = protocol.code_settings
        cutoff = cutoff_of_data(request, own["cutoff_factor"])
        paw = any(each.path.endswith(".xml") for each in request.data)
        return {
            "cutoff_eV": cutoff,
            **({"fine_grid_cutoff_eV": FINE_GRID_FACTOR * cutoff} if paw else {}),
            "scf": {"energy_eV": own["scf_energy_eV"], "steps": SCF_STEPS},
        }


class AbinitCalculator(ExternalCalculator):
    """One ABINIT ground state per geometry.

    said: ``scf_steps`` (of the last geometry), ``fermi_eV`` and ``code_warnings`` (their number).
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]
    output_names = ("run.abo",)

    def inputs(self, atoms: Atoms) -> dict[str, str]:
        """Return ``run.abi``; the pseudopotentials are named in it by path."""
        return {"run.abi": abinit_input(atoms, self.settings, self.data)}

    def outputs(self, atoms: Atoms) -> dict[str, Any]:
        """Return energy (eV; with smearing the Mermin free energy), forces (eV/Å) and stress (eV/Å³)."""
        text, log = text_of_file(self.folder / "run.abo"), text_of_file(self.folder / self.stdout_name)
        check_output(text, log, self.tail())
        found = _read(text)
        fermi = re.findall(r"^fermie\s*:\s*(\S+)", text, flags=re.MULTILINE)
        self.said = {
            "scf_steps": len(re.findall(r"^ ETOT\s+\d+", text, flags=re.MULTILINE)),
            "fermi_eV": number(fermi[-1], "the Fermi energy", "ABINIT") * Hartree if fermi else None,
            "code_warnings": int((re.findall(r"Delivered\s+(\d+) WARNINGs", text) or ["0"])[-1]),
        }
        return {name: found[name] for name in self.implemented_properties}


def _read(text: str) -> dict[str, Any]:
    """Return what ASE reads from a checked output; raises CalculationFailed where it finds no numbers or not all."""
    from ase.io.abinit import read_abinit_out

    try:
        found: dict[str, Any] = read_abinit_out(StringIO(text))
    except (ValueError, IndexError, KeyError, AssertionError, StopIteration, RuntimeError) as error:
        cause = NOT_A_NUMBER if re.search(r"\bNaN\b|\*{6}", text, flags=re.IGNORECASE) else "incomplete-output"
        raise CalculationFailed(cause, f"run.abo cannot be read ({type(error).__name__}: {error})") from None
    missing = set(AbinitCalculator.implemented_properties) - set(found)
    if missing:
        raise CalculationFailed("incomplete-output", f"run.abo does not tell {', '.join(sorted(missing))}")
    return found


def abinit_input(atoms: Atoms, settings: Mapping[str, Any], data: Mapping[str, AtomicData]) -> str:
    """Return ABINIT's input (names: docs.abinit.org/variables). ASE's writer shifts even k-point grids, hence ours."""
    elements = sorted(set(atoms.get_chemical_symbols()))
    paths = [Path(data[element].path) for element in elements]
    fine = settings.get("fine_grid_cutoff_eV")
    lines = [
        f"ixc {IXC[settings['functional']]}",
        f"ecut {settings['cutoff_eV']:.6f} eV",
        *([f"pawecutdg {fine:.6f} eV"] if fine else []),
        "kptopt 1",
        f"ngkpt {' '.join(map(str, settings['kpoints']))}",
        "nshiftk 1",
        "shiftk 0 0 0",
        f"occopt {OCCOPT[settings['smearing']['kind']]}",
        f"tsmear {settings['smearing']['width_eV']:.8f} eV",
        f"nband {bands(atoms, data)}",
        f"toldfe {settings['scf']['energy_eV']:.3e} eV",
        f"nstep {settings['scf']['steps']}",
        "optforces 1",
        "optstress 1",
        "chkprim 0",
        "chksymbreak 0",
        *(f"{name} 0" for name in ("prtwf", "prtden", "prteig", "prtebands", "prtgsr")),
        "acell 3*1.0",
        "rprim",
        *(_row(vector / Bohr) for vector in atoms.cell.array),
        f"natom {len(atoms)}",
        f"ntypat {len(elements)}",
        f"znucl {' '.join(str(atomic_numbers[element]) for element in elements)}",
        f"typat {' '.join(str(elements.index(symbol) + 1) for symbol in atoms.get_chemical_symbols())}",
        "xred",
        *(_row(position) for position in atoms.get_scaled_positions(wrap=False)),
        f'pseudos "{", ".join(map(str, paths))}"',
    ]
    return "\n".join(lines) + "\n"


def bands(atoms: Atoms, data: Mapping[str, AtomicData]) -> int:
    """Return the number of bands: a fifth and four more than the electrons fill."""
    electrons = 0.0
    for symbol in atoms.get_chemical_symbols():
        pseudo = read_pseudo(Path(data[symbol].path))
        if pseudo is None:
            raise SetupError(f"{data[symbol].path} is no pseudopotential that ABINIT reads")
        electrons += pseudo.valence
    return math.ceil(BANDS_FACTOR * electrons / 2) + BANDS_MORE


def check_output(text: str, log: str, tail: str) -> None:
    """Raise CalculationFailed unless the output tells of a finished and converged run."""
    if "was not enough SCF cycles to converge" in text + log or "!ScfConvergenceWarning" in text + log:
        steps = re.findall(r"nstep=\s*(\d+) was not enough", text)
        change = re.findall(r"^ ETOT\s+\d+\s+\S+\s+(\S+)", text, flags=re.MULTILINE)
        left = f", the energy still changing by {change[-1].lstrip('-')} hartree" if change else ""
        raise CalculationFailed("scf-not-converged", f"ABINIT reached its {steps[-1] if steps else ''} SCF steps{left}")
    errors = re.findall(r"--- !(?:ERROR|BUG)\n.*?message: \|\n(.*?)\n\.\.\.", log, flags=re.DOTALL)
    if errors:
        raise CalculationFailed("code-error", " ".join(errors[-1].split()))
    if "Calculation completed." not in text or "etot is converged" not in text:
        raise CalculationFailed("incomplete-output", f"ABINIT stopped before its end: {tail}")


def _folders(functional: str, config: Config) -> list[Path]:
    configured = config.code("abinit").pseudopotentials
    if configured is not None:
        if not configured.is_dir():
            raise SetupError(f"codes.abinit.pseudopotentials is {configured}, which is not a folder")
        return [configured]
    binary = Path(program("abinit", ("abinit",), config, HOW_TO_GET)[0]).resolve()
    base = binary.parents[1] / "share" / "abinit" / "psp"
    return [base / name for name in DEBIAN_FOLDERS.get(functional, ()) if (base / name).is_dir()]


@cache
def _version(command: tuple[str, ...]) -> str:
    run = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
    )
    match = re.search(r"^\s*(\d+\.\d+\S*)\s*$", run.stdout, flags=re.MULTILINE)
    if not match:
        raise SetupError(f"{command[0]} does not say a version of ABINIT: is it ABINIT?")
    return match.group(1)


def _row(values: Any) -> str:
    return " ".join(f"{float(value):.12f}" for value in values)


ABINIT = Abinit()
