"""The files of a calculation in its folder."""

from __future__ import annotations

INPUT, STATE, RESULT, HISTORY = "input.json", "state.json", "result.json", "history.npz"
BEGIN = "begin.npz"
"""Arrays of its inputs that a calculation begins with."""
SPENT = "spent.json"
"""Time that the parts of a calculation took before they were stopped; where one was killed, ``state.json`` has that of
its last ionic step."""
