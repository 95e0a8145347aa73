"""What every adapter to a DFT code offers, and the plain data that pass through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from megabar.workflows.config import Config

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation


class CalculationFailed(Exception):
    """The code did not finish or did not converge.

    cause: short name of the failure, e.g. ``scf-not-converged``, ``incomplete-output``, ``killed``.
    detail: what the code said, in its own words where it said something.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True)
class Installation:
    """A code as found on this machine.

    version: as the code itself says it.
    command: words that start it; empty where it runs inside Python.
    """

    code: str
    version: str
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class AtomicData:
    """The pseudopotential or PAW data set of one element.

    path: the file; its content, not its place, determines results.
    sha256: hash of the content (uncompressed), of a set that megabar made with GPAW of its recipe.
    radius_A: largest core or augmentation radius (Å); spheres of neighbours should not overlap.
    cutoff_eV: plane-wave cutoff that the data set needs for the `moderate` protocol (eV), 0 where not known.
    origin: where it comes from, e.g. "generated: ld1.x, inputs/na.in" or "SSSP folder".
    """

    element: str
    path: str
    sha256: str
    radius_A: float
    cutoff_eV: float
    origin: str


@dataclass(frozen=True)
class Request:
    """What settings are asked for: one phase at all its volumes has the same settings.

    smallest: the cell at the smallest volume of the study's pressures, from which the k-point grid follows.
    protocol: `fast`, `moderate` or `precise`.
    functional: e.g. ``PBE``; see each adapter's ``functionals``.
    insulating: True where the phase is known to be an insulator at all pressures of the study.
    data: atomic data of the elements of the *study* (so that cutoffs are the same for all phases).
    """

    smallest: Atoms
    protocol: str
    functional: str
    insulating: bool
    data: Sequence[AtomicData]


Program = Callable[["Calculation", Path, Config], dict[str, Any]]
"""Runs a calculation in its folder and returns its result."""
NO_PROGRAMS: Mapping[str, Program] = MappingProxyType({})


class Code(Protocol):
    """An adapter to a DFT code. Adapters hold no state; module-level singletons are in ``registry.CODES``."""

    @property
    def name(self) -> str:
        """Name in study files, e.g. ``gpaw``."""

    @property
    def toy(self) -> bool:
        """True where results have no physical meaning; every report says so."""

    @property
    def in_process(self) -> bool:
        """True where the code runs inside the Python process that calls it."""

    @property
    def forces(self) -> bool:
        """True where the code gives forces and stresses here; else energies of fixed geometries alone."""

    @property
    def programs(self) -> Mapping[str, Program]:
        """The code's own programs for tasks that no ASE calculator does, by the task's name."""

    @property
    def functionals(self) -> tuple[str, ...]:
        """Functionals that may be asked for, in megabar's names (``PBE``, ``PBE+D4``, ``PBEsol``, ``LDA``, …)."""

    def installation(self, config: Config) -> Installation:
        """Return the code as found; raises SetupError that says how to get it where it is missing."""

    def atomic_data(
        self,
        elements: Sequence[str],
        functional: str,
        protocol: str,
        closest_A: Mapping[tuple[str, str], float],
        config: Config,
    ) -> tuple[AtomicData, ...]:
        """Return the data set of each element, generated and cached under ``config.data`` where needed.

        closest_A: shortest distances (Å) expected in the study at its highest pressure, by sorted pair of
        elements; the data sets are chosen so that their spheres do not overlap there where that is possible.
        Raises SetupError where a data set is missing and cannot be made.
        """

    def settings(self, request: Request) -> dict[str, Any]:
        """Return the concrete settings of a phase: JSON-able, complete, no paths.

        Keys that every code has: ``functional``, ``cutoff_eV`` (where it has one), ``kpoints`` (three whole numbers),
        ``smearing`` ({"kind", "width_eV"}). Everything that changes the answer is in it.
        """

    def calculator(
        self,
        settings: Mapping[str, Any],
        data: Sequence[AtomicData],
        atoms: Atoms,
        folder: Path,
        config: Config,
    ) -> BaseCalculator:
        """Return an ASE calculator working in a folder, restarting from what is there where that is safe.

        Its ``calculate`` raises CalculationFailed where the run did not finish or did not converge; its energy is
        the one consistent with the forces (Mermin free energy with smearing), in eV.
        """

    def observables(self, calculator: BaseCalculator, folder: Path) -> dict[str, Any]:
        """Return what else the finished run says, JSON-able: e.g. ``scf_steps``, ``fermi_eV``, ``band_gap_eV``."""
