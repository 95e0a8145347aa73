"""Where the PAW set that a study was planned with lies on this machine: it may have been planned on another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from megabar.structures.errors import SetupError
from megabar.workflows.codes.interface import AtomicData
from megabar.workflows.paw.choice import own_set
from megabar.workflows.paw.generate import Recipe, content_sha256, generated, gpaw_version

GENERATED = "generated: gpaw "


def located(data: AtomicData, cache_folder: Path) -> AtomicData:
    """Return an element's PAW set with its path on this machine, made here where it is one of megabar's own.

    Raises SetupError where this machine has another one.
    """
    if Path(data.path).is_file():
        return data
    try:
        path = _here(data, cache_folder)
    except (ValueError, IndexError):
        path = None
    if path is None:
        raise SetupError(
            f"the PAW set of {data.element} that the study was planned with ({data.origin}, {Path(data.path).name}) is "
            "not on this machine; install the same gpaw and gpaw-data here"
        )
    return replace(data, path=str(path))


def _here(data: AtomicData, cache_folder: Path) -> Path | None:
    if data.origin.startswith(GENERATED):
        recipe = Recipe.from_command(data.origin.removeprefix(GENERATED).split())
        same = recipe.sha256(gpaw_version()) == data.sha256
        return generated(recipe, cache_folder) if same else None
    path = own_set(data.element, Path(data.path).name.removesuffix(".gz").rpartition(".")[2])
    return path if content_sha256(path) == data.sha256 else None
