"""The folder of a report: may we write to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from megabar.structures.errors import InputError, SetupError


def check_report_folder(folder: Path) -> None:
    """Raise InputError or SetupError where a report cannot be written to a folder."""
    parent = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not parent.is_dir():
        raise InputError(f"{folder} cannot be the report's folder: {parent} is a file")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise SetupError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another folder"
        ) from None
