"""Adapter to GPAW (Mortensen et al., J. Chem. Phys. 160, 092503 (2024), doi:10.1063/5.0182685), plane waves only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from megabar.workflows.codes.common import Adapter, DataAsked, cutoff_of_data
from megabar.workflows.codes.dispersion import dispersion_version
from megabar.workflows.codes.interface import AtomicData, Installation, Program, Request
from megabar.workflows.config import Config
from megabar.workflows.paw.choice import choose, file_of
from megabar.workflows.paw.generate import content_sha256, gpaw_version
from megabar.workflows.paw.location import GENERATED, located
from megabar.workflows.protocols import Protocol

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation


def _dielectric(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    from megabar.workflows.codes.gpaw.response import run_dielectric

    return run_dielectric(calculation, folder, config)


PROGRAMS: Mapping[str, Program] = MappingProxyType({"dielectric": _dielectric})


class Gpaw(Adapter):
    """GPAW, inside the Python process that calls it or, with ``launch`` configured, one process per geometry."""

    name = "gpaw"
    in_process = True
    forces = True
    programs: ClassVar[Mapping[str, Program]] = PROGRAMS
    functionals = ("PBE", "PBE+D3", "PBE+D4", "PBEsol", "RPBE", "LDA")

    def installation(self, config: Config) -> Installation:
        """Return GPAW's version; raises SetupError that says how to get it where it is missing."""
        return Installation(code=self.name, version=gpaw_version())

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return the PAW set of each element: GPAW's own, or one of smaller radius made under ``config.data``."""
        dispersion_version(asked.functional)
        gpaw_version()
        xc = _xc_of_sets(asked.functional)
        found = []
        for element, candidate in choose(asked.elements, xc, asked.protocol, asked.closest_A).items():
            path = file_of(candidate, xc, config.data / "paw")
            recipe = candidate.recipe
            origin = f"{GENERATED}{' '.join(recipe.command)}" if recipe else f"gpaw-data: {path.name}"
            sha256 = recipe.sha256(gpaw_version()) if recipe else content_sha256(path)
            found.append(AtomicData(element, str(path), sha256, candidate.radius_A, candidate.cutoff_eV, origin))
        return found

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return cutoff, dispersion and SCF thresholds of a phase."""
        own = protocol.code_settings
        return {
            "dispersion": dispersion_version(request.functional),
            "cutoff_eV": cutoff_of_data(request, own["cutoff_factor"], own["cutoff_eV"]),
            "scf": {
                "energy_eV_per_electron": own["scf_energy_eV_per_electron"],
                "density_per_electron": own["scf_density_per_electron"],
                "eigenstates_eV2_per_electron": own["scf_eigenstates_eV2_per_electron"],
                "steps": own["scf_steps"],
            },
        }

    def calculator(
        self,
        settings: Mapping[str, Any],
        data: Sequence[AtomicData],
        atoms: Atoms,
        folder: Path,
        config: Config,
    ) -> BaseCalculator:
        """Return a calculator that logs to ``gpaw.txt`` in the folder (a further start to ``gpaw-2.txt``).

        A geometry starts from the wavefunctions of the one before, in memory; the first one, where the calculation was
        interrupted, from those that it left in the folder.
        """
        data = [located(each, config.data / "paw") for each in data]
        launch = config.code(self.name).launch
        if launch:
            from megabar.workflows.codes.gpaw.process import GpawProcess

            return GpawProcess(dict(settings), tuple(data), folder, launch)
        from megabar.workflows.codes.gpaw.calculator import GpawCalculator

        return GpawCalculator(dict(settings), tuple(data), folder)


def _xc_of_sets(functional: str) -> str:
    """Return the functional of the PAW sets: GPAW takes PBE sets for PBEsol, and RPBE's are not generated here."""
    return "LDA" if functional == "LDA" else "PBE"


GPAW = Gpaw()
