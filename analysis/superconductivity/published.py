"""Published values of Tc, to stand beside ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.yaml")


@cache
def entries() -> tuple[dict[str, Any], ...]:
    """Return the published values: ``formula``, ``pressure_GPa``, ``tc_K``, ``measured``, ``source``."""
    from ruamel.yaml import YAML

    found: list[dict[str, Any]] = YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))
    return tuple(found)
