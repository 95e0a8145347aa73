"""GPAW's new interface as an ASE calculator that says plainly why a calculation failed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from megabar.structures.errors import SetupError
from megabar.workflows.codes.dispersion import dispersion_calculator, split_functional
from megabar.workflows.codes.gpaw_symmetry import symmetry_parameter
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.paw.generate import read_set

LOG = "gpaw.txt"

SMEARING: dict[str, dict[str, Any]] = {
    "fermi-dirac": {"name": "fermi-dirac"},
    "methfessel-paxton": {"name": "methfessel-paxton", "order": 1},
    "cold": {"name": "marzari-vanderbilt"},
}


class GpawCalculator(Calculator):  # type: ignore[misc]
    """Energy (Mermin free energy), forces and stress of GPAW in plane waves, dispersion added where asked for.

    A new cell or new positions start from the wavefunctions of the geometry before; where these do not converge,
    once more from atoms. ``said`` holds what else the last geometry told.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, settings: Mapping[str, Any], data: Sequence[AtomicData], folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.said: dict[str, Any] = {}
        self._parameters = parameters(settings)
        self._setups = {each.element: setup_data(each) for each in data}
        self._dispersion = dispersion_calculator(settings["functional"])
        self._dft: Any = None
        self._symmetry: dict[str, Any] = {}
        self._steps = 0
        self._started_afresh = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute what is asked for; raises CalculationFailed where GPAW does not converge or stops."""
        super().calculate(atoms, list(properties), list(system_changes))
        try:
            self._converge()
            results = self._collect(properties)
        except CalculationFailed:
            raise
        except Exception as error:
            raise CalculationFailed(_cause(error), f"{type(error).__name__}: {error}".rstrip(": ")) from error
        if not all(np.all(np.isfinite(value)) for value in results.values()):
            raise CalculationFailed("not-a-number", "GPAW returned a value that is not finite")
        self.results.update(results)
        self.said = self._say()

    def _converge(self) -> None:
        from gpaw import KohnShamConvergenceError

        symmetry = symmetry_parameter(self.atoms)
        # GPAW keeps the operations of its first geometry: others need another start.
        reused = self._dft is not None and symmetry == self._symmetry
        self._symmetry = symmetry
        if not reused:
            self._dft = self._fresh()
        try:
            self._run_scf()
        except (KohnShamConvergenceError, np.linalg.LinAlgError):
            if not reused:
                raise
            self._started_afresh += 1
            self._dft = self._fresh()
            self._run_scf()

    def _run_scf(self) -> None:
        steps = 0
        for _ in self._dft.iconverge(self.atoms):
            steps += 1
        self._steps = steps or self._steps

    def _fresh(self) -> Any:
        from gpaw.new.ase_interface import GPAW

        self.folder.mkdir(parents=True, exist_ok=True)
        return GPAW(**self._parameters, symmetry=self._symmetry, setups=self._setups, txt=_free_log(self.folder))

    def _collect(self, properties: Sequence[str]) -> dict[str, Any]:
        # The free energy is the one whose derivatives GPAW's forces and stress are.
        energy = float(self._dft.get_potential_energy(self.atoms, force_consistent=True))
        results: dict[str, Any] = {"energy": energy}
        if "forces" in properties:
            results["forces"] = self._dft.get_forces(self.atoms)
        if "stress" in properties:
            results["stress"] = self._dft.get_stress(self.atoms)
        if self._dispersion is not None:
            results = {name: value + self._dispersion.get_property(name, self.atoms) for name, value in results.items()}
        return {**results, "free_energy": results["energy"]}

    def _say(self) -> dict[str, Any]:
        eigenvalues = np.asarray(self._dft.eigenvalues())[0]
        return {
            "scf_steps": self._steps,
            "fermi_eV": float(self._dft.get_fermi_level()),
            "band_gap_eV": band_gap(eigenvalues, float(self._dft.dft.density.nvalence)),
            "bands": int(eigenvalues.shape[1]),
            "started_afresh": self._started_afresh,
        }


def parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return GPAW's parameters of concrete settings, all but the PAW sets and the symmetry operations."""
    scf = settings["scf"]
    smearing = settings["smearing"]
    return {
        "mode": {"name": "pw", "ecut": settings["cutoff_eV"]},
        "xc": split_functional(settings["functional"])[0],
        "kpts": {"size": tuple(settings["kpoints"]), "gamma": True},
        "occupations": {**SMEARING[smearing["kind"]], "width": smearing["width_eV"]},
        "convergence": {
            "energy": scf["energy_eV_per_electron"],
            "density": scf["density_per_electron"],
            "eigenstates": scf["eigenstates_eV2_per_electron"],
        },
        "maxiter": scf["steps"],
    }


def setup_data(data: AtomicData) -> Any:
    """Return GPAW's object of a PAW set, read from its file without GPAW's global search path.

    Raises SetupError where the file is not the one that the study was planned with.
    """
    from gpaw.setup_data import PAWXMLParser, SetupData

    content = read_set(Path(data.path))
    # One of megabar's own is told by its recipe, whose hash names its folder.
    generated_here = Path(data.path).parent.name == data.sha256[:16]
    if not generated_here and hashlib.sha256(content).hexdigest() != data.sha256:
        raise SetupError(f"{data.path}: the PAW set has changed since the study was planned")
    made = SetupData(data.element, None, readxml=False)
    PAWXMLParser(made).parse(source=content)
    waves = len(made.l_j)
    made.e_kin_jj = made.e_kin_jj.reshape((waves, waves))
    return made


def band_gap(eigenvalues_eV: NDArray[np.float64], electrons: float) -> float | None:
    """Return the gap (eV) between the occupied and empty bands of a spin-paired system, 0 where they overlap.

    eigenvalues_eV: by k-point and band. An odd number of electrons has no gap; without an empty band (solid helium
    in its smallest cell) the gap is not known: None.
    """
    occupied = round(electrons / 2)
    if abs(electrons - 2 * occupied) > 1e-6 or occupied == 0:
        return 0.0
    if occupied >= eigenvalues_eV.shape[1]:
        return None
    return max(0.0, float(eigenvalues_eV[:, occupied].min() - eigenvalues_eV[:, occupied - 1].max()))


def _free_log(folder: Path) -> Path:
    """Return ``gpaw.txt`` in a folder, or gpaw-2.txt and so on where earlier starts left theirs."""
    return next(
        path for number in count(1) if not (path := folder / (LOG if number == 1 else f"gpaw-{number}.txt")).exists()
    )


def _cause(error: Exception) -> str:
    from gpaw import KohnShamConvergenceError
    from gpaw.utilities import AtomsTooClose

    name = type(error).__name__
    if name == "TooFewBandsError":
        return "too-few-bands"
    if isinstance(error, KohnShamConvergenceError):
        return "scf-not-converged"
    if isinstance(error, AtomsTooClose):
        return "atoms-too-close"
    if isinstance(error, MemoryError):
        return "out-of-memory"
    return "crashed"
