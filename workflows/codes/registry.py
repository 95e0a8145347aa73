"""The codes that a study may name, each adapter imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from megabar.structures.errors import InputError
from megabar.workflows.codes.interface import Code
from megabar.workflows.yaml_input import nearest

ADAPTERS = {
    "gpaw": "megabar.workflows.codes.gpaw.adapter:GPAW",
    "espresso": "megabar.workflows.codes.espresso.adapter:ESPRESSO",
    "abinit": "megabar.workflows.codes.abinit.adapter:ABINIT",
    "vasp": "megabar.workflows.codes.vasp.adapter:VASP",
    "elk": "megabar.workflows.codes.elk.adapter:ELK",
    "emt": "megabar.workflows.codes.emt.adapter:EMT",
}
"""Name in study files: where its adapter is, as ``module:singleton``."""


class _Codes(Mapping[str, Code]):
    """The adapters by name; looking one up imports its module, listing them does not."""

    def __getitem__(self, name: str) -> Code:
        module, singleton = ADAPTERS[name].split(":")
        return cast(Code, getattr(import_module(module), singleton))

    def __iter__(self) -> Iterator[str]:
        return iter(ADAPTERS)

    def __len__(self) -> int:
        return len(ADAPTERS)

    def __contains__(self, name: object) -> bool:
        return name in ADAPTERS


CODES: Mapping[str, Code] = _Codes()


def code(name: str) -> Code:
    """Return the adapter of a code; raises InputError with the nearest names where there is none of that name."""
    if name not in ADAPTERS:
        known = list(ADAPTERS)
        raise InputError(f"there is no code {name!r}{nearest(name, known)} (known: {', '.join(known)})")
    return CODES[name]
