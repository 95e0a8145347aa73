"""Dispersion corrections on top of a density functional: D3(BJ) and D4, by the optional dftd3 and dftd4 packages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ase.calculators.calculator import BaseCalculator

from megabar.structures.errors import SetupError

PACKAGES = {"D3": "dftd3", "D4": "dftd4"}


def split_functional(functional: str) -> tuple[str, str]:
    """Return the density functional and the dispersion correction of a name: ``PBE+D3`` is ("PBE", "D3")."""
    base, _, correction = functional.partition("+")
    return base, correction


def dispersion_version(functional: str) -> str:
    """Return the package and version behind a functional's correction, empty where it has none.

    Raises SetupError that says how to get the package where it is missing.
    """
    from importlib.metadata import PackageNotFoundError, version

    correction = split_functional(functional)[1]
    if not correction:
        return ""
    package = PACKAGES[correction]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise SetupError(
            f"the functional {functional} needs the package {package}; `pip install {package}` gets it"
        ) from None


def dispersion_calculator(functional: str) -> BaseCalculator | None:
    """Return an ASE calculator of energy, forces and stress of the correction alone, None where there is none.

    D3 with Becke–Johnson damping: Grimme, Ehrlich & Goerigk, J. Comput. Chem. 32, 1456 (2011),
    doi:10.1002/jcc.21759. D4: Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019), doi:10.1063/1.5090222.
    """
    base, correction = split_functional(functional)
    if not correction:
        return None
    dispersion_version(functional)
    options = {"damping": "d3bj"} if correction == "D3" else {}
    module: Any = import_module(f"{PACKAGES[correction]}.ase")
    made: BaseCalculator = getattr(module, f"DFT{correction}")(method=base, **options)
    return made
