"""The canonical form of values, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np


def only_known(data: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise TypeError where stored data have a field that this version does not know, and would lose."""
    unknown = [name for name in data if name not in names]
    if unknown:
        raise TypeError(f"unknown: {', '.join(unknown)}")


def canonical(value: Any) -> Any:
    """Return a value in the one form that is hashed: sorted keys, plain numbers, floats to ten significant digits."""
    # Plain types first: a study of thousands of calculations spends most of its planning here.
    kind = type(value)
    if kind is float:
        return float(f"{value:.10g}") + 0.0
    if kind is str or kind is int:
        return value
    if kind is tuple or kind is list:
        return [canonical(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return canonical(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.10g}") + 0.0
    return value


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(canonical(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
