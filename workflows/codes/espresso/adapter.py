"""Quantum ESPRESSO's pw.x through ASE: one self-consistent run a structure, checked, restarted, mended by rule.

P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017), doi:10.1088/1361-648X/aa8f79.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from megabar.structures.errors import SetupError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.common import Adapter, DataAsked
from megabar.workflows.codes.espresso.inputs import SMEARING
from megabar.workflows.codes.espresso.output import output_facts
from megabar.workflows.codes.espresso.run import EspressoRun
from megabar.workflows.codes.interface import AtomicData, Installation, Program, Request
from megabar.workflows.config import Config
from megabar.workflows.protocols import Protocol
from megabar.workflows.pseudopotentials.family import Member, member, member_of
from megabar.workflows.pseudopotentials.generate import generated

FUNCTIONALS = {"PBE": "PBE", "PBE+D3": "PBE", "PBEsol": "PBEsol", "LDA": "LDA"}
"""Functional: the one that its pseudopotentials are for. D3 is with Becke-Johnson damping, without three-body terms
(Grimme, Ehrlich & Goerigk, J. Comput. Chem. 32, 1456 (2011), doi:10.1002/jcc.21759)."""

SMOOTH_FROM, SMOOTH_WIDTH, SMOOTH_HEIGHT = 0.82, 0.045, 1.25
"""The constant-cutoff functional (see ``Espresso.own_settings``), in units of the cutoff."""


def _ground_state(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    from megabar.workflows.codes.espresso.ground import run_ground_state

    return run_ground_state(calculation, folder, config)


def _phonon(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    from megabar.workflows.codes.espresso.phonons import run_phonon

    return run_phonon(calculation, folder, config)


def _matrix(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    from megabar.workflows.codes.espresso.response import run_matrix

    return run_matrix(calculation, folder, config)


def _dielectric(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    from megabar.workflows.codes.espresso.response import run_dielectric

    return run_dielectric(calculation, folder, config)


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "ground-state": _ground_state,
        "phonon": _phonon,
        "dynamical-matrix": _matrix,
        "dielectric": _dielectric,
    }
)


class Espresso(Adapter):
    """Adapter to pw.x. Where no folder of pseudopotentials is configured, they are generated with ld1.x."""

    name = "espresso"
    programs = PROGRAMS
    functionals = tuple(FUNCTIONALS)
    smearings = tuple(SMEARING)

    def installation(self, config: Config) -> Installation:
        """Return pw.x as found; raises SetupError that says how to get it where it is missing."""
        configured = config.code(self.name)
        words = configured.command or ("pw.x",)
        if shutil.which(words[0]) is None:
            raise SetupError(
                f"Quantum ESPRESSO: {words[0]} was not found; install it (Debian, Ubuntu: apt-get install "
                "quantum-espresso) or set MEGABAR_ESPRESSO_COMMAND to pw.x with its path"
            )
        return Installation(self.name, _version(words, configured.launch), (*configured.launch, *words))

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return the pseudopotential of each element: of the configured folder, else generated and cached.

        Raises SetupError where one is missing, or made for another functional.
        """
        family = FUNCTIONALS[asked.functional]
        folder = config.code(self.name).pseudopotentials
        found = []
        for element in asked.elements:
            if folder is not None:
                each, origin = member(folder, element, family), f"folder {folder.name}"
            else:
                cache = config.data / "pseudopotentials" / self.name
                each = member_of(generated(element, family, cache, _ld1(config)))
                origin = f"generated: ld1.x, inputs/{element}.yaml"
            found.append(_atomic_data(each, origin))
        return found

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return the settings of a phase; the cutoffs follow from all elements of the study.

        At a constant number of plane waves the stress of a compressed solid is off by what the energy still lacks
        (Pulay stress: 23 GPa for He at 67 GPa with 70 Ry). The kinetic energy of plane waves beyond
        ``constant_cutoff.from_eV`` is therefore raised smoothly, which makes energy and stress those of a constant
        cutoff, and each the derivative of the other: M. Bernasconi et al., J. Phys. Chem. Solids 56, 501 (1995),
        doi:10.1016/0022-3697(94)00228-2.
        """
        members = [member_of(Path(each.path)) for each in request.data]
        factor = float(protocol.code_settings["cutoff_factor"])
        cutoff = factor * max(each.cutoff_eV for each in request.data)
        ratio = max(each.density_cutoff_eV / each.cutoff_eV for each in members)
        ratio = max(ratio, float(protocol.code_settings["density_cutoff_factor"]))
        return {
            "cutoff_eV": round(cutoff, 3),
            "density_cutoff_eV": round(ratio * cutoff, 3),
            "constant_cutoff": {
                "from_eV": round(SMOOTH_FROM * cutoff, 3),
                "width_eV": round(SMOOTH_WIDTH * cutoff, 3),
                "height_eV": round(SMOOTH_HEIGHT * cutoff, 3),
            },
            "scf_energy_eV": float(protocol.code_settings["scf_energy_eV"]),
        }

    def calculator(
        self,
        settings: Mapping[str, Any],
        data: Sequence[AtomicData],
        atoms: Atoms,
        folder: Path,
        config: Config,
    ) -> BaseCalculator:
        """Return an ASE calculator: see ``espresso_run.EspressoRun`` for its restarts and mendings."""
        configured = config.code(self.name)
        return EspressoRun(
            dict(settings), tuple(data), Path(folder), configured.command or ("pw.x",), configured.launch
        )

    def observables(self, calculator: BaseCalculator, folder: Path) -> dict[str, Any]:
        """Return ``version``, ``scf_steps``, ``fermi_eV``, ``band_gap_eV`` of the last run."""
        return output_facts(folder)


ESPRESSO = Espresso()


def _atomic_data(found: Member, origin: str) -> AtomicData:
    return AtomicData(
        element=found.upf.element,
        path=str(found.upf.path.absolute()),
        sha256=found.sha256,
        radius_A=round(found.radius_A, 4),
        cutoff_eV=round(found.cutoff_eV, 3),
        origin=origin,
    )


def _ld1(config: Config) -> str:
    """Return ld1.x: the one beside a configured pw.x, else the one on the path."""
    words = config.code("espresso").command
    beside = Path(words[0]).with_name("ld1.x") if words else None
    return str(beside) if beside and beside.is_file() else "ld1.x"


@lru_cache(maxsize=16)
def _version(words: tuple[str, ...], launch: tuple[str, ...]) -> str:
    """Return the version that pw.x prints, started alone, and where that fails by the launcher."""
    for command in (words, (*launch, *words)):
        with tempfile.TemporaryDirectory() as folder:
            try:
                output = subprocess.run(
                    command,
                    input="",
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=60,
                    check=False,
                    cwd=folder,
                ).stdout
            except (OSError, subprocess.TimeoutExpired):
                continue
        found = output.partition("Program PWSCF v.")[2].split()
        if found:
            return found[0]
    raise SetupError(f"{' '.join(words)} does not say which version it is: is it pw.x of Quantum ESPRESSO?")
