"""The database that Python works with: opened when something stored is asked for, closed with the block or at exit."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from megabar.launchers.database.embedded import running
from megabar.launchers.database.stored import existing_store, find_study
from megabar.structures.errors import InputError
from megabar.workflows.config import Config, load_config
from megabar.workflows.places import have_home

if TYPE_CHECKING:
    from pandas import DataFrame
    from pymatgen.analysis.phase_diagram import PDEntry

    from megabar.launchers.api.results import Results
    from megabar.launchers.api.study import Study
    from megabar.workflows.kinds.stability.view import HullView
    from megabar.workflows.store import ResultStore


class Session:
    """Studies and results of one database; a context manager, and closed at exit by itself.

    Made by `megabar.connect`. The functions of `megabar` of the same names work with the configured one.
    """

    def __init__(self, config: Config) -> None:
        """Make a session for a configuration; nothing is opened before it is needed."""
        self.config = config
        self._stack = ExitStack()
        self._store: ResultStore | None = None
        self._process = os.getpid()

    @property
    def store(self) -> ResultStore:
        """The results, opened now where they are not open; raises InputError where nothing was ever run."""
        if self._store is None:
            self._store = self._stack.enter_context(existing_store(self.config))
        return self._store

    @property
    def anything_stored(self) -> bool:
        """Whether there is a database yet: a user's own, or one that a run has made."""
        config = self.config
        return config.database.uri is not None or running(config) is not None or (config.data / "mongodb").exists()

    def close(self) -> None:
        """Close the database; what is asked for next opens it again."""
        stack, self._stack, self._store = self._stack, ExitStack(), None
        if os.getpid() == self._process:  # a child that was forked has what is its parent's
            stack.close()

    def open(self, source: str | Path) -> Study:
        """Return a study: of a study file (``.yaml``), or the stored one of a name or an identifier.

        Raises InputError for a mistake in the file, and where there is no such study.
        """
        from megabar.launchers.api.study import Study
        from megabar.workflows.kinds.registry import load_study

        if Path(source).suffix in (".yaml", ".yml"):
            return Study(self, load_study(Path(source)), None)
        return Study(self, None, find_study(str(source), self.store))

    def studies(self) -> DataFrame:
        """Return all studies, unfinished ones first, then the newest: how each stands, a row each."""
        from megabar.launchers.api.results import studies_frame

        return studies_frame(self.store)

    def results(self, query: Mapping[str, Any] | None = None, **wanted: Any) -> Results:
        """Return the calculations that have ended and are as wanted; see `megabar.results`."""
        from megabar.launchers.api.results import find

        return find(self.store, query, **wanted)

    def hull(self, *sources: str | Path | Study | Sequence[PDEntry]) -> HullView:
        """Return the hull of a table of enthalpies, or of one or several studies; see `megabar.hull`."""
        from megabar.launchers.api.hulls import hull

        return hull(self, *sources)

    def __enter__(self) -> Session:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return where it is; addresses may hold passwords, and are not shown."""
        place = "a configured database" if self.config.database.uri else str(self.config.data)
        return f"<megabar session: {place}, {'open' if self._store else 'not open'}>"


def connect(data: str | Path | None = None) -> Session:
    """Return a session with the results of a data folder, or those that are configured where none is named.

    Used as a context manager it closes the database behind it:

    >>> with megabar.connect() as session:
    ...     study = session.open("cu.yaml")
    ...     study.kind
    'stability'
    """
    have_home()
    config = load_config()
    if data is not None:
        folder = Path(data).absolute()
        if config.database.uri is not None:
            raise InputError(
                f"a data folder ({folder}) and a database of your own (MEGABAR_DATABASE_URI or `database.uri`) are "
                "named; leave one of them out"
            )
        config = config.model_copy(update={"data": folder})
    return Session(config)


_sessions: list[Session] = []


def default() -> Session:
    """Return the session of the present configuration, the same as long as that stays as it is."""
    have_home()
    config = load_config()
    for each in _sessions:
        if each.config == config and each._process == os.getpid():
            return each
    found = Session(config)
    _sessions.append(found)
    atexit.register(found.close)
    return found
