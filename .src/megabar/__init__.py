"""First-principles workflows for matter under pressure, in Python.

>>> import megabar
>>> study = megabar.open("cu.yaml")

What this offers is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from megabar.launchers.api.functions import hull, open, phases, results, studies, tc
    from megabar.launchers.api.session import Session, connect
    from megabar.launchers.api.study import Study
    from megabar.structures.errors import InputError, SetupError

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Session",
    "SetupError",
    "Study",
    "__version__",
    "connect",
    "hull",
    "open",
    "phases",
    "results",
    "studies",
    "tc",
]

_WHERE = {
    **dict.fromkeys(("hull", "open", "phases", "results", "studies", "tc"), "megabar.launchers.api.functions"),
    **dict.fromkeys(("Session", "connect"), "megabar.launchers.api.session"),
    "Study": "megabar.launchers.api.study",
    **dict.fromkeys(("InputError", "SetupError"), "megabar.structures.errors"),
}


def __getattr__(name: str) -> Any:
    """Return what is offered, loaded now."""
    if name not in _WHERE:
        raise AttributeError(f"module 'megabar' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return found


def __dir__() -> list[str]:
    """Return what is offered."""
    return sorted({*globals(), *__all__})
