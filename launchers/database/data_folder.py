"""The data folder: may we write to it, is there room."""

from __future__ import annotations

import shutil
import tempfile

from megabar.structures.errors import SetupError
from megabar.workflows.config import Config

LEAST_FREE_BYTES = 500_000_000


def check_data_folder(config: Config) -> None:
    """Raise SetupError where the data folder cannot be written or the disk is nearly full."""
    try:
        config.data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.data):
            free = shutil.disk_usage(config.data).free
    except OSError as error:
        raise SetupError(
            f"the data folder {config.data} cannot be written ({error.strerror}); "
            "set MEGABAR_DATA or `data` in megabar.yaml to one that can"
        ) from None
    if free < LEAST_FREE_BYTES:
        raise SetupError(
            f"the disk of the data folder {config.data} has {free / 1e6:.0f} MB left; "
            f"at least {LEAST_FREE_BYTES / 1e6:.0f} MB are needed"
        )
