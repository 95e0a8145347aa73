"""Opens the LaunchPad beside a store's database; FireWorks is loaded where that is done, and not before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from megabar.workflows.indexes import LAUNCHPAD, make_indexes
from megabar.workflows.store import LAUNCHPAD_SUFFIX

if TYPE_CHECKING:
    from fireworks import LaunchPad


def launchpad(uri: str, name: str) -> LaunchPad:
    """Return the LaunchPad beside the store's database, made ready on first use."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from fireworks import fw_config
    from fireworks.core import launchpad as launchpad_module
    from fireworks.core import rocket as rocket_module

    from megabar.workflows.queue.launchpad import SinglePad

    fw_config.PRINT_FW_JSON = rocket_module.PRINT_FW_JSON = False
    rocket_module.ROCKET_STREAM_LOGLEVEL = "WARNING"
    launchpad_module.SORT_FWS = "FIFO"
    pad = SinglePad(
        host=uri,
        name=name + LAUNCHPAD_SUFFIX,
        uri_mode=True,
        strm_lvl="CRITICAL",
        user_indices=["spec.key"],
    )
    if pad.fw_id_assigner.find_one() is None:
        pad.fw_id_assigner.update_one(
            {"_id": -1}, {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}, upsert=True
        )
        pad.tuneup()
    make_indexes(pad.db, LAUNCHPAD)
    return pad
