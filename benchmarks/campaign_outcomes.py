"""Lets some of the campaign's calculations fail or leave their phase: which ones follows from their keys.

A folder with this as ``sitecustomize`` on PYTHONPATH puts it into every process of megabar; nothing of the product
knows of it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FAILED, LEFT = 0.06, 0.06
AVOIDED_SECONDS = 4.0
"""Of workers that could not use a folder; users have a minute. The campaign's outages are shortened alike."""
PLACES = ("megabar.workflows.execution", "megabar.workflows.queue.firetask")


def outcome(key: str) -> str:
    """Return how the calculation with a key ends: ``done``, ``failed`` or ``left``."""
    share = int(key[:8], 16) / 2**32
    return "failed" if share < FAILED else "left" if share < FAILED + LEFT else "done"


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of processes in which calculations end so; the folder is made."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(Path(__file__).read_text() + "\nsys.meta_path.insert(0, Injector())\n")
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


class Injector(MetaPathFinder):
    """Changes modules as they are imported."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the module's own spec, with what is changed after it was executed."""
        if name not in PLACES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


def change(module: Any) -> None:
    """Have calculations end as their keys say, and folders be looked at again sooner."""
    if module.__name__.endswith("firetask"):
        module.AVOIDED_SECONDS = AVOIDED_SECONDS
        return
    run = module.Run

    def ending(calculation: Any, *rest: Any) -> Any:
        end = outcome(calculation.key)
        if end == "failed":
            raise module.CalculationFailed("scf-not-converged", "the campaign wants it so")
        if end == "left":
            raise module.CalculationFailed(module.LEFT_PHASE, "the campaign wants it so")
        return run(calculation, *rest)

    module.Run = ending
