"""What is stored already: the database where there is one, and the studies in it by file, name or identifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from megabar.launchers.database.embedded import database_session
from megabar.structures.errors import InputError
from megabar.workflows.store import ResultStore

if TYPE_CHECKING:
    from megabar.workflows.config import Config
    from megabar.workflows.store import StudyRecord


def check_there(config: Config) -> None:
    """Raise InputError where nothing was ever run."""
    if config.database.uri is None and not (config.data / "mongodb").exists():
        raise InputError(f"there are no results in {config.data} yet; start with `megabar run STUDY.yaml`")


@contextmanager
def existing_store(config: Config) -> Iterator[ResultStore]:
    """Have the store while the block runs; raises InputError where nothing was ever run."""
    check_there(config)
    with database_session(config) as address, closing(ResultStore.connect(address.uri, address.name)) as store:
        yield store


def find_identifier(name: str, store: ResultStore) -> str:
    """Return the identifier of the stored study of a study file, a name or an identifier, of several the newest.

    Raises InputError with the names that there are where there is none.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        from megabar.workflows.kinds.registry import load_study

        identifier = load_study(path).identifier
        if not store.study_names(identifier):
            raise InputError(f"{name}: this study is not in the database; start it with `megabar run {name}`")
        return identifier
    found = store.study_names(name)
    if found:
        return found[0][0]
    from megabar.workflows.yaml_input import nearest

    known = sorted({each for _, each in store.study_names()})
    listed = f" (known: {', '.join(known)})" if known else " (there are none yet)"
    raise InputError(f"there is no study {name!r} in the database{nearest(name, known)}{listed}")


def find_study(name: str, store: ResultStore) -> StudyRecord:
    """Return the stored study of a study file, a name or an identifier, the newest where there are several."""
    study = store.get_study(find_identifier(name, store))
    assert study is not None
    return study


def check_phase(study: StudyRecord, phase: str | None) -> None:
    """Raise InputError with the phases that a study has where it has not this one."""
    from megabar.workflows.yaml_input import nearest

    planned = [ladder["phase"] for ladder in study.resolved.get("ladders", [])]
    known = list(dict.fromkeys([*planned, *(rung["phase"] for rung in study.rungs)]))
    answered = dict(study.resolved.get("copies", []))
    if phase in answered:
        raise InputError(f"{phase} is the same structure as {answered[phase]}, and is answered as that: ask for it")
    if phase is not None and phase not in known:
        raise InputError(
            f"{study.identifier} has no phase {phase!r}{nearest(phase, known)} (its phases: {', '.join(known)})"
        )
