"""What `megabar export` and `megabar import` do, apart from printing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from megabar.launchers.database.data_folder import check_data_folder
from megabar.launchers.database.embedded import database_session
from megabar.launchers.database.sharing import current_user
from megabar.launchers.database.stored import existing_store, find_study
from megabar.workflows.archive import Exported, write_archive
from megabar.workflows.archive_import import Imported, import_archive
from megabar.workflows.archive_reading import opened
from megabar.workflows.config import load_config
from megabar.workflows.store import ResultStore


def export_to(study: str, path: Path) -> Exported:
    """Write a stored study (its file, name or identifier) to an archive."""
    with existing_store(load_config()) as store:
        return write_archive(path, find_study(study, store), store)


def import_from(path: Path) -> Imported:
    """Take an archive into the configured database; an archive that is none is told before a database is started."""
    config = load_config()
    with opened(path):
        pass
    check_data_folder(config)
    with database_session(config) as address, closing(ResultStore.connect(address.uri, address.name)) as store:
        return import_archive(path, store, current_user(config, store.client))
