"""What the heads of all adapters say alike: functionals and smearings refused, cutoffs rounded, shared settings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from megabar.structures.errors import InputError
from megabar.workflows.codes.interface import Request
from megabar.workflows.protocols import Protocol

CUTOFF_STEP_eV = 10.0


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
