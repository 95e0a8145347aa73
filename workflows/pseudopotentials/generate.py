"""Pseudopotentials generated on the spot with ld1.x of Quantum ESPRESSO, from recipes in ``inputs/*.yaml``.

Method: Troullier & Martins, Phys. Rev. B 43, 1993 (1991), doi:10.1103/PhysRevB.43.1993, for norm-conserving ones;
Vanderbilt, Phys. Rev. B 41, 7892 (1990), doi:10.1103/PhysRevB.41.7892, for ultrasoft ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field

from megabar.structures.errors import SetupError
from megabar.structures.threads import outside
from megabar.workflows.files import sha256_of
from megabar.workflows.pseudopotentials.checks import check_generation
from megabar.workflows.yaml_input import read_yaml, validated

INPUTS = Path(__file__).with_name("inputs")
LD1_FUNCTIONALS = {"PBE": "PBE", "PBEsol": "PBESOL", "LDA": "PW"}
"""megabar's names: names of Modules/funct.f90."""

_L = {"S": 0, "P": 1, "D": 2, "F": 3}


class Orbital(BaseModel):
    """One pseudised state: its label (``3S``), occupation (-1: not bound), radii (bohr).

    us_radius: outer radius where the norm is not conserved (bohr); energy_Ry: reference energy, 0 for the eigenvalue.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    occupation: float
    radius: float
    us_radius: float | None = None
    energy_Ry: float = 0.0


class Recipe(BaseModel):
    """How a pseudopotential is made.

    configuration: of the all-electron atom. local: angular momentum of the local potential, or a radius (bohr)
    within which the all-electron potential is smoothed. core_radius: inside it the core charge of the non-linear
    core correction is smooth (bohr). cutoff_Ry, density_cutoff_Ry: for the protocol `moderate`. tested: what it was
    measured against; Delta is that of Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014), from the
    all-electron data of Bosoni et al., Nat. Rev. Phys. 6, 45 (2024), doi:10.1038/s42254-023-00655-3.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    element: str
    kind: Literal["norm-conserving", "ultrasoft"]
    configuration: str
    local_l: int | None = None
    local_radius: float | None = None
    core_radius: float | None = None
    orbitals: tuple[Orbital, ...]
    cutoff_Ry: float = Field(gt=0)
    density_cutoff_Ry: float = Field(gt=0)
    tested: str

    @property
    def radius_bohr(self) -> float:
        """Radius outside which the pseudo-atom is the true one (bohr)."""
        return max(each.us_radius or each.radius for each in self.orbitals)


@cache
def recipes() -> dict[str, Recipe]:
    """Return the recipes by element."""
    found = (validated(Recipe, read_yaml(path), path) for path in sorted(INPUTS.glob("*.yaml")))
    return {recipe.element: recipe for recipe in found}


def ld1_input(recipe: Recipe, functional: str) -> str:
    """Return the input of ld1.x that makes and tests the pseudopotential (INPUT_LD1 of Quantum ESPRESSO)."""
    ultrasoft = recipe.kind == "ultrasoft"
    highest = max(_L[each.label[1]] for each in recipe.orbitals)
    local = f"lloc={recipe.local_l}" if recipe.local_l is not None else f"lloc=-1, rcloc={recipe.local_radius}"
    core = f"nlcc=.true., rcore={recipe.core_radius}" if recipe.core_radius else "nlcc=.false."
    augmentation = "which_augfun='PSQ', rmatch_augfun_nc=.true., " if ultrasoft else ""
    rows = [_orbital_row(each, recipe) for each in recipe.orbitals]
    return "\n".join(
        [
            "&input",
            f"  title='{recipe.element}', zed={atomic_numbers[recipe.element]}, rel=1, iswitch=3,",
            f"  dft='{LD1_FUNCTIONALS[functional]}', config='{recipe.configuration}',",
            f"  rlderiv={recipe.radius_bohr + 0.5:.2f}, eminld=-6.0, emaxld=3.0, deld=0.01, nld={highest + 2}",
            "/",
            "&inputp",
            f"  pseudotype={3 if ultrasoft else 2}, file_pseudopw='{recipe.element}.upf', tm=.true., {local},",
            f"  {augmentation}{core}",
            "/",
            str(len(rows)),
            *rows,
            "",
        ]
    )


def _orbital_row(orbital: Orbital, recipe: Recipe) -> str:
    l_value = _L[orbital.label[1]]
    lowest = min(int(each.label[0]) for each in recipe.orbitals if each.label[1] == orbital.label[1])
    n_pseudo = int(orbital.label[0]) - lowest + l_value + 1
    us_radius = orbital.us_radius or orbital.radius
    return (
        f"{orbital.label} {n_pseudo} {l_value} {orbital.occupation:.2f} {orbital.energy_Ry:.2f}"
        f" {orbital.radius:.2f} {us_radius:.2f} 0.0"
    )


def generated(element: str, functional: str, cache_folder: Path, ld1: str) -> Path:
    """Return the UPF file of an element, generated unless the cache has it. Takes about a second.

    cache_folder: one folder an element, functional, recipe and version of ld1.x is made in it, complete or not at
    all, so that any number of processes may ask at once. Beside the UPF file lie ``cutoffs.json`` (in the
    manner of SSSP), the input and the output of ld1.x.

    Raises SetupError where there is no recipe, ld1.x is missing, or what it made fails the checks.
    """
    known = recipes()
    if element not in known:
        raise SetupError(
            f"there is no pseudopotential for {element}: megabar can make them for {', '.join(known)}; "
            "for others set codes.espresso.pseudopotentials to a folder with UPF files (SSSP, PseudoDojo)"
        )
    if functional not in LD1_FUNCTIONALS:
        raise SetupError(f"megabar makes pseudopotentials for {', '.join(LD1_FUNCTIONALS)}, not for {functional}")
    recipe = known[element]
    text = ld1_input(recipe, functional)
    cutoffs = _cutoffs(recipe)
    identity = sha256_of(f"{ld1_version(ld1)}\n{text}\n{cutoffs}")[:16]
    final = cache_folder / f"{element}-{functional}-{identity}"
    if not final.is_dir():
        _generate_in(final, element, text, cutoffs, ld1)
    return final / f"{element}.upf"


def _cutoffs(recipe: Recipe) -> str:
    entry = {
        "filename": f"{recipe.element}.upf",
        "cutoff_wfc": recipe.cutoff_Ry,
        "cutoff_rho": recipe.density_cutoff_Ry,
        "radius_bohr": recipe.radius_bohr,
    }
    return json.dumps({recipe.element: entry}, indent=2)


def _generate_in(final: Path, element: str, text: str, cutoffs: str, ld1: str) -> None:
    """Make the folder under another name and rename it, so that it is never there half-made."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{element}-", dir=final.parent))
    except OSError as error:
        raise SetupError(f"the folder {final.parent} cannot be written ({error.strerror})") from None
    try:
        (scratch / "ld1.in").write_text(text)
        _run_ld1(scratch, text, ld1)
        check_generation(element, scratch)
        _strip_dates(scratch / f"{element}.upf")
        (scratch / "cutoffs.json").write_text(cutoffs)
        for path in scratch.iterdir():
            if path.name not in (f"{element}.upf", "cutoffs.json", "ld1.in", "ld1.out"):
                path.unlink()
        scratch.chmod(0o755)
        try:
            scratch.rename(final)
        except OSError:
            # Another process was first; what it made from the same input serves as well.
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _strip_dates(path: Path) -> None:
    """Take the day of generation out of a UPF file: the same content must have the same hash everywhere."""
    text = re.sub(r'(\bdate=)"[^"]*"', r'\1""', path.read_text())
    path.write_text(re.sub(r"(Generation date:).*", r"\1", text))


def _run_ld1(folder: Path, text: str, ld1: str) -> None:
    environment = {**outside(os.environ), "OMP_NUM_THREADS": "1", "GFORTRAN_UNBUFFERED_ALL": "1"}
    with open(folder / "ld1.out", "w") as output:
        try:
            subprocess.run(
                [ld1],
                input=text,
                text=True,
                errors="replace",
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=300,
                check=False,
            )
        except FileNotFoundError:
            raise SetupError(f"{ld1} was not found; it comes with Quantum ESPRESSO") from None
        except subprocess.TimeoutExpired:
            raise SetupError(f"{ld1} did not end within 5 minutes") from None


@cache
def ld1_version(ld1: str) -> str:
    """Return the version that ld1.x prints, e.g. ``6.7MaX``; raises SetupError where it cannot be started."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            output = subprocess.run(
                [ld1], input="", capture_output=True, text=True, errors="replace", timeout=60, check=False, cwd=folder
            ).stdout
    except (OSError, subprocess.TimeoutExpired):
        raise SetupError(
            f"{ld1} cannot be started; it makes pseudopotentials and comes with Quantum ESPRESSO "
            "(Debian: apt-get install quantum-espresso)"
        ) from None
    words = output.partition("Program LD1 v.")[2].split()
    if not words:
        raise SetupError(f"{ld1} does not say which version it is: is it ld1.x of Quantum ESPRESSO?")
    return words[0]
