"""Published values of Tc, to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.yaml")


def entries(isotopes: Mapping[str, float] | None = None) -> tuple[dict[str, Any], ...]:
    """Return the published values: ``formula``, ``pressure_GPa``, ``tc_K``, ``measured``, ``source``.

    isotopes: of which masses (u) by element; of the natural elements where it is not given.
    """
    wanted = dict(isotopes or {})
    return tuple(
        {name: value for name, value in each.items() if name != "isotopes"}
        for each in _all()
        if each.get("isotopes", {}) == wanted
    )


@cache
def _all() -> tuple[dict[str, Any], ...]:
    from ruamel.yaml import YAML

    found: list[dict[str, Any]] = YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))
    return tuple(found)
