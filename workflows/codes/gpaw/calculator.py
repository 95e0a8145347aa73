"""GPAW's new interface as an ASE calculator that says plainly why a calculation failed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.units import Ha
from numpy.typing import NDArray

from megabar.structures.errors import SetupError
from megabar.workflows.codes.dispersion import dispersion_calculator, split_functional
from megabar.workflows.codes.finite import check_finite
from megabar.workflows.codes.gpaw import restart
from megabar.workflows.codes.gpaw.symmetry import symmetry_parameter
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.files import sha256_of
from megabar.workflows.hashing import digest
from megabar.workflows.mending.gpaw import CAUSES, DEFAULTS, HANDLERS
from megabar.workflows.mending.record import Mendings, mended
from megabar.workflows.mending.symptoms import cause_of, scf_cause
from megabar.workflows.paw.generate import gpaw_version, read_set
from megabar.workflows.stopping import Stopped, stop_wanted

LOG = "gpaw.txt"
CHECKPOINT_SECONDS = 600.0
"""How often a long self-consistency keeps its state on disk, for machines that vanish without a word."""
LEAST_STEPS = 15
LARGEST_OCCUPATION = 0.005
"""Occupation of the highest band above which bands are lacking (sodium: see ``espresso_output``)."""
SURE_STEPS = 2
SURE_RESIDUAL_eV2 = 4e-3
"""Least steps of GPAW's own eigensolver, which finds the lowest bands, and the residual per valence electron that it
must reach, before a quicker one that only polishes them: calcium's 0.3 after two steps left a d band out, and the
energy came out 60 meV too high."""
LEAST_EMPTY_BANDS = 3
"""Bands beyond those that the electrons fill: GPAW takes no more than its bound atomic waves make, in calcium none."""
PATIENCE, LEAST_GAIN = 4, 0.1
"""The quicker one is given up where, after that many steps, what is left of the bands' residual is more than that part:
in silicon at 900 eV it ran off to states 150 eV too high, where it works two orders of magnitude are gone by then."""
WITHOUT_SYMMETRY: dict[str, Any] = {"point_group": False}

SMEARING: dict[str, dict[str, Any]] = {
    "fermi-dirac": {"name": "fermi-dirac"},
    "methfessel-paxton": {"name": "methfessel-paxton", "order": 1},
    "cold": {"name": "marzari-vanderbilt"},
}


class GpawCalculator(Calculator):  # type: ignore[misc]
    """Energy (Mermin free energy), forces and stress of GPAW in plane waves, dispersion added where asked for.

    A new cell or new positions start from the wavefunctions of the geometry before; a run that was told to stop goes
    on from its own, on disk. What fails is mended by rule (``megabar.workflows.mending.gpaw``).
    ``said`` holds what else the last geometry told. Settings may hold ``path``: path settings to begin with.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, settings: Mapping[str, Any], data: Sequence[AtomicData], folder: Path) -> None:
        from gpaw.mpi import world

        super().__init__()
        self.folder = folder
        self.said: dict[str, Any] = {}
        self._settings = {name: value for name, value in settings.items() if name != "path"}
        begin = {**DEFAULTS, "maxiter": settings["scf"]["steps"], **settings.get("path", {})}
        self._world = world
        self.mendings = Mendings.of(folder, HANDLERS, begin, writes=world.rank == 0)
        self._setups = {each.element: setup_data(each, split_functional(settings["functional"])[0]) for each in data}
        self._data_sha256 = [each.sha256 for each in data]
        self._dispersion = dispersion_calculator(settings["functional"])
        self._dft: Any = None
        self._polish: Polish | None = None
        self._symmetry: dict[str, Any] = {}
        self._steps = 0
        self._errors: list[float] = []

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute what is asked for; raises CalculationFailed where all mendings fail, Stopped where that is wanted."""
        super().calculate(atoms, list(properties), list(system_changes))
        if self._dft is not None and self._stop_wanted():
            restart.keep(self.folder, self._dft, self._identity(), 0)
            raise Stopped
        self.results.update(mended(lambda: self._attempt(properties), self.mendings, self._stop_wanted))
        self.said = self._say()

    def _attempt(self, properties: Sequence[str]) -> dict[str, Any]:
        try:
            self._converge()
            results = self._collect(properties)
        except Exception as error:
            self._note_facts()
            self._dft = None
            if isinstance(error, CalculationFailed):
                raise
            raise CalculationFailed(self._cause(error), f"{type(error).__name__}: {error}".rstrip(": ")) from error
        try:
            check_finite(results, "GPAW")
        except CalculationFailed:
            self._dft = None
            raise
        return results

    def _converge(self) -> None:
        symmetry = symmetry_parameter(self.atoms) if self.mendings.path["symmetry"] == "on" else WITHOUT_SYMMETRY
        # GPAW keeps the operations of its first geometry: others need another start.
        if symmetry != self._symmetry or self.mendings.changes.get("start") == "atoms":
            self._dft = None
        self._symmetry = symmetry
        done = self._start()
        self._run_scf(done)
        if self._world.rank == 0:
            restart.forget(self.folder)
        self._check_bands()

    def _start(self) -> int:
        """Have a calculator with the best start there is; return the self-consistent steps behind it."""
        facts, path = self.mendings.facts, self.mendings.path
        if self._dft is not None:
            facts["start"] = "before"
            return 0
        if self.mendings.changes.get("start") != "atoms":
            facts["start"] = "stopped"
            done = restart.kept(self.folder, self._identity())
            if done is not None:
                left = max(path["maxiter"] - done, LEAST_STEPS)
                self._dft = restart.restored(self.folder, self._setups, _free_log(self.folder), left)
                return done
        facts["start"] = "atoms"
        self._dft = self._fresh(path)
        return 0

    def _run_scf(self, done: int) -> None:
        """Iterate to self-consistency; raises Stopped, with the state kept on disk, where that is wanted."""
        steps, saved = 0, time.monotonic()
        self._errors = []
        if self._polish is not None:
            self._polish.give_up()  # each geometry begins with GPAW's own, whatever served the one before
        self._polish = polish = None
        quickened = False
        for context in self._dft.iconverge(self.atoms):
            steps += 1
            residual = float(context.wfs.eigensolver.error) * Ha**2 / max(float(context.wfs.nvalence), 1.0)
            if not quickened and steps >= SURE_STEPS and residual <= SURE_RESIDUAL_eV2:
                quickened = True
                own = self.mendings.changes.keys() <= {"start"} and self.mendings.path["eigensolver"] is None
                polish = quicken(self._dft.dft) if own else None
                self._polish = polish
            elif polish is not None and not polish.works(residual):
                polish.give_up()
                polish = None
            self._errors.append(float(context.dens.error) / max(float(context.wfs.nvalence), 1.0))
            stop = self._stop_wanted()
            if stop or self._agreed(time.monotonic() - saved > CHECKPOINT_SECONDS):
                restart.keep(self.folder, self._dft, self._identity(), done + steps)
                self.mendings.left_a_restart()
                saved = time.monotonic()
            if stop:
                raise Stopped
        self._steps = done + steps or self._steps

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on from the wavefunctions of another."""
        path = {name: value for name, value in self.mendings.path.items() if name in DEFAULTS and name != "start"}
        symbols = self.atoms.get_chemical_symbols()
        return {"hash": digest([gpaw_version(), self._settings, self._data_sha256, path, symbols, self._symmetry])}

    def _stop_wanted(self) -> bool:
        return self._agreed(self._world.rank == 0 and stop_wanted(self.folder))

    def _agreed(self, wanted: bool) -> bool:
        """Return what the first process of the group says, so that all do the same."""
        return bool(self._world.sum_scalar(float(wanted and self._world.rank == 0)) > 0)

    def _check_bands(self) -> None:
        """Raise CalculationFailed where the highest band is filled: bands are lacking.

        Where there are no more bands than electrons fill in an insulator, GPAW leaves nothing to judge by.
        """
        electrons = float(self._dft.dft.density.nvalence)
        bands = int(self._dft.dft.ibzwfs.nbands)
        occupation = float(np.abs(np.asarray(self._dft.occupations())[..., -1]).max())
        if bands > electrons / 2 and occupation > LARGEST_OCCUPATION:
            raise CalculationFailed("too-few-bands", f"the highest of {bands} bands is filled by {occupation:.3f}")

    def _note_facts(self) -> None:
        symbols = self.atoms.get_chemical_symbols()
        facts = self.mendings.facts
        facts["electrons"] = sum(float(self._setups[symbol].Nv) for symbol in symbols)
        facts["bands"] = self.mendings.path["nbands"]
        wavefunctions = getattr(getattr(self._dft, "_dft", None), "ibzwfs", None)
        if wavefunctions is not None:
            facts["bands"] = int(wavefunctions.nbands)

    def _cause(self, error: Exception) -> str:
        found = cause_of(f"{type(error).__name__}: {error}", CAUSES) or "error"
        if found == "scf-not-converged":
            return scf_cause(self._errors, self._settings["scf"]["density_per_electron"])
        return found

    def _fresh(self, path: Mapping[str, Any]) -> Any:
        from gpaw.new.ase_interface import GPAW

        self.folder.mkdir(parents=True, exist_ok=True)
        made = parameters(self._settings, path)
        made.setdefault("nbands", self._bands())
        return GPAW(**made, symmetry=self._symmetry, setups=self._setups, txt=_free_log(self.folder))

    def _bands(self) -> int:
        """Return GPAW's own number of bands, but some beyond those that the electrons fill."""
        setups = [self._setups[symbol] for symbol in self.atoms.get_chemical_symbols()]
        pairs = sum(float(each.Nv) for each in setups) / 2
        waves = [wave for each in setups for wave in zip(each.n_j, each.l_j, strict=True)]
        bound = sum(2 * int(momentum) + 1 for number, momentum in waves if number > 0)
        return max(min(math.ceil(1.2 * pairs) + 4, bound), math.ceil(pairs) + LEAST_EMPTY_BANDS)

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
        }


def parameters(settings: Mapping[str, Any], path: Mapping[str, Any]) -> dict[str, Any]:
    """Return GPAW's parameters of concrete settings, all but the PAW sets and the symmetry operations.

    path: path settings (see ``mending.gpaw.DEFAULTS``).
    """
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
        "maxiter": path["maxiter"],
        **{name: path[name] for name in ("mixer", "eigensolver", "nbands") if path.get(name) is not None},
    }


@dataclass
class Polish:
    """RMM-DIIS in the place of GPAW's own block solver, and how the bands' residual went since.

    It finds bands only near to those it is given. First a block solver, then RMM-DIIS: Kresse & Furthmüller,
    Phys. Rev. B 54, 11169 (1996), doi:10.1103/PhysRevB.54.11169.
    """

    loop: Any
    before: Any
    residuals: list[float] = field(default_factory=list)

    def works(self, residual: float) -> bool:
        """Return whether the residual of the bands still falls as it should."""
        self.residuals.append(residual)
        if len(self.residuals) < PATIENCE:
            return True
        wanted = LEAST_GAIN * self.residuals[0] if len(self.residuals) == PATIENCE else min(self.residuals) / LEAST_GAIN
        return residual <= wanted

    def give_up(self) -> None:
        """Let GPAW's own solver, which finds the lowest bands from anywhere, do the rest."""
        self.loop.eigensolver = self.before
        # What the mixing has learned from bands that were not there yet keeps it from moving: in MgO for 20 steps.
        self.loop.mixer.reset()


def quicken(dft: Any) -> Polish | None:
    """Let RMM-DIIS do the rest of the steps, at half the cost; None where another solver was asked for."""
    from gpaw.new.pwfd.ppcg import PPCG
    from gpaw.new.pwfd.rmmdiis import RMMDIIS

    loop = dft.scf_loop
    before = loop.eigensolver
    if not isinstance(before, PPCG):
        return None
    convergence = {"bands": before.converge_bands, "eigenstates": before.residual_target}
    bands, group = dft.ibzwfs.nbands, before.domain_band_comm
    loop.eigensolver = RMMDIIS(bands, None, None, loop.hamiltonian, convergence, group)
    return Polish(loop, before)


def setup_data(data: AtomicData, functional: str = "") -> Any:
    """Return GPAW's object of a PAW set, read from its file without GPAW's global search path.

    functional: the one that it is used with; GPAW refuses a set made for another, and sets of PBE serve for PBEsol and
    RPBE here, as no other ones are made: the frozen core is PBE's then.
    Raises SetupError where the file is not the one that the study was planned with.
    """
    from gpaw.setup_data import PAWXMLParser, SetupData

    content = read_set(Path(data.path))
    # One of megabar's own is told by its recipe, whose hash names its folder.
    generated_here = Path(data.path).parent.name == data.sha256[:16]
    if not generated_here and sha256_of(content) != data.sha256:
        raise SetupError(f"{data.path}: the PAW set has changed since the study was planned")
    made = SetupData(data.element, None, readxml=False)
    PAWXMLParser(made).parse(source=content)
    waves = len(made.l_j)
    made.e_kin_jj = made.e_kin_jj.reshape((waves, waves))
    made.setupname = functional or made.setupname
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
