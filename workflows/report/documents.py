"""Documents of a report as JSON."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import numpy as np


def document_json(document: dict[str, Any]) -> str:
    """Return a document as JSON; what is not a number is null there."""
    return json.dumps(_strict(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    if isinstance(value, np.generic):
        return _strict(value.item())
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
