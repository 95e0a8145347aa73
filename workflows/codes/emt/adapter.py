"""ASE's effective-medium theory as a toy code: milliseconds a calculation, for tutorials and tests of the machinery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from megabar.structures.errors import InputError
from megabar.workflows.codes.common import Adapter, DataAsked, check_functional
from megabar.workflows.codes.interface import AtomicData, Installation, Request
from megabar.workflows.config import Config
from megabar.workflows.files import sha256_of
from megabar.workflows.protocols import Protocol
from megabar.workflows.stopping import Stopped, stop_wanted


class Emt(Adapter):
    """Adapter to `ase.calculators.emt.EMT` (Jacobsen, Stoltze & Nørskov, Surf. Sci. 366, 394 (1996),
    doi:10.1016/0039-6028(96)00816-3).

    Its H, C, N and O have invented parameters and its metals were fitted at ambient pressure, hence ``toy``.
    """

    name = "emt"
    toy = True
    in_process = True
    functionals = ("EMT",)

    def installation(self, config: Config) -> Installation:
        """Return ASE and its version."""
        from ase import __version__

        return Installation(code=self.name, version=f"ASE {__version__}")

    def find_data(self, asked: DataAsked, config: Config) -> list[AtomicData]:
        """Return the parameters of each element; raises InputError for elements that EMT does not know."""
        from ase.calculators.emt import parameters

        missing = [element for element in asked.elements if element not in parameters]
        if missing:
            raise InputError(f"the toy code emt does not know {', '.join(missing)}; it knows {', '.join(parameters)}")
        return [
            AtomicData(
                element=element,
                path="",
                sha256=sha256_of(repr(parameters[element])),
                radius_A=0.0,
                cutoff_eV=0.0,
                origin="parameters in ASE",
            )
            for element in asked.elements
        ]

    def settings(self, request: Request) -> dict[str, Any]:
        """Return the settings that every code has: one k-point and no smearing, since EMT has no electrons."""
        check_functional(self.name, request.functional, self.functionals)
        return {"functional": "EMT", "kpoints": [1, 1, 1], "smearing": {"kind": "none", "width_eV": 0.0}}

    def calculator(
        self,
        settings: Mapping[str, Any],
        data: Sequence[AtomicData],
        atoms: Atoms,
        folder: Path,
        config: Config,
    ) -> BaseCalculator:
        """Return ASE's calculator, which looks before each geometry whether to stop; nothing is kept in the folder."""
        from ase.calculators.emt import EMT as AseEmt

        class StoppableEmt(AseEmt):  # type: ignore[misc]
            def calculate(self, *arguments: Any, **options: Any) -> None:
                if stop_wanted(folder):
                    raise Stopped
                super().calculate(*arguments, **options)

        return StoppableEmt()

    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return nothing: EMT has no settings of its own."""
        return {}


EMT = Emt()
