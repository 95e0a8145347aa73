"""The LaunchPad of workflows that have one firework each, without what such workflows do not need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fireworks import LaunchPad

SET_ASIDE = ("ARCHIVED", "DEFUSED", "PAUSED")
"""States that a firework keeps, however its launch ended."""


class SinglePad(LaunchPad):  # type: ignore[misc]
    """A LaunchPad on which no firework has others that follow from it, and workers tell of their lives elsewhere.

    Two thirds of what FireWorks asks the database for a firework are about those that depend on it, and about pings.
    """

    def _refresh_wf(self, fw_id: int) -> None:
        """Give a firework and its workflow the state of its last launch."""
        last = self.launches.find_one({"fw_id": fw_id}, {"_id": 0, "state": 1}, sort=[("launch_id", -1)])
        if last is None:
            return
        state, now = last["state"], datetime.now(UTC).replace(tzinfo=None).isoformat()
        query = {"fw_id": fw_id, "state": {"$nin": list(SET_ASIDE)}}
        if self.fireworks.update_one(query, {"$set": {"state": state, "updated_on": now}}).matched_count:
            states = {"state": state, f"fw_states.{fw_id}": state, "updated_on": now}
            self.workflows.update_one({"nodes": fw_id}, {"$set": states})

    def ping_launch(self, launch_id: int, ptime: Any = None, checkpoint: Any = None) -> None:
        """Do nothing: whether a worker lives is known from itself (``presence``)."""
