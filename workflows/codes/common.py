"""What all adapters do alike: functionals and smearings refused, cutoffs rounded, settings shared, observables told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ase.calculators.calculator import BaseCalculator

from megabar.structures.errors import InputError
from megabar.workflows.codes.interface import NO_PROGRAMS, AtomicData, Program, Request
from megabar.workflows.config import Config
from megabar.workflows.protocols import Protocol, protocol

CUTOFF_STEP_eV = 10.0


@dataclass(frozen=True)
class DataAsked:
    """Which atomic data are asked for: as ``Code.atomic_data`` has it."""

    elements: tuple[str, ...]
    functional: str
    protocol: str
    closest_A: Mapping[tuple[str, str], float]


class Adapter(ABC):
    """What adapters share of ``interface.Code``; what is a code's own they have in ``find_data`` and ``own_settings``.

    smearings: kinds that the code has; None where the protocol's need not be checked.
    """

    name: ClassVar[str]
    toy: ClassVar[bool] = False
    in_process: ClassVar[bool] = False
    forces: ClassVar[bool] = True
    programs: ClassVar[Mapping[str, Program]] = NO_PROGRAMS
    functionals: ClassVar[tuple[str, ...]]
    smearings: ClassVar[Iterable[str] | None] = None

    def atomic_data(
        self,
        elements: Sequence[str],
        functional: str,
        protocol: str,
        closest_A: Mapping[tuple[str, str], float],
        config: Config,
    ) -> tuple[AtomicData, ...]:
        """Return the data set of each element, as ``find_data`` of the code finds it.

        Raises InputError for a functional that the code has not, SetupError where a set is missing and cannot be made.
        """
        check_functional(self.name, functional, self.functionals)
        return tuple(self.find_data(DataAsked(tuple(elements), functional, protocol, closest_A), config))

    def settings(self, request: Request) -> dict[str, Any]:
        """Return the settings of a phase: those that every code has, and the code's ``own_settings``.

        Raises InputError for a functional or a smearing that the code has not.
        """
        check_functional(self.name, request.functional, self.functionals)
        chosen = protocol(self.name, request.protocol)
        if self.smearings is not None:
            check_smearing(self.name, chosen.smearing_kind, self.smearings)
        return {**shared_settings(request, chosen), **self.own_settings(request, chosen)}

    def observables(self, calculator: BaseCalculator, folder: Path) -> dict[str, Any]:
        """Return what the calculator noted of its last run."""
        return dict(getattr(calculator, "said", {}))

    @abstractmethod
    def find_data(self, asked: DataAsked, config: Config) -> Iterable[AtomicData]:
        """Return the data set of each element asked for."""

    @abstractmethod
    def own_settings(self, request: Request, protocol: Protocol) -> dict[str, Any]:
        """Return the settings of a phase besides functional, k-points and smearing."""


def check_functional(code: str, functional: str, known: Iterable[str]) -> None:
    """Raise InputError with the functionals that a code has here unless the one asked for is among them."""
    names = list(known)
    if functional not in names:
        raise InputError(f"{code} has no functional {functional!r} here (known: {', '.join(names)})")


def check_smearing(code: str, kind: str, known: Iterable[str]) -> None:
    """Raise InputError with the kinds of smearing that a code has unless the protocol's is among them."""
    names = list(known)
    if kind not in names:
        raise InputError(f"{code} has no {kind} smearing (known: {', '.join(names)})")


def cutoff_of_data(request: Request, factor: float, least_eV: float = 0.0) -> float:
    """Return the plane-wave cutoff (eV): what the hardest atomic data need, times a factor, to the next 10 eV."""
    needed = max((each.cutoff_eV for each in request.data), default=0.0) * factor
    return CUTOFF_STEP_eV * math.ceil(max(needed, least_eV) / CUTOFF_STEP_eV - 1e-9)


def shared_settings(request: Request, protocol: Protocol) -> dict[str, Any]:
    """Return the settings that every DFT code has: functional, k-point grid and smearing."""
    return {
        "functional": request.functional,
        "kpoints": protocol.kpoints(request.smallest, request.insulating),
        "smearing": protocol.smearing,
    }
