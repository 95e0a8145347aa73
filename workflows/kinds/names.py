"""Whether a kind of study is here, asked without loading any."""

from __future__ import annotations

from pathlib import Path

GROUP = "megabar.kinds"
"""Entry points by which other packages offer kinds."""


def is_here(kind: str) -> bool:
    """Return whether this version, or another package that is installed, has a kind of study."""
    if kind.isidentifier() and (Path(__file__).parent / kind / "kind.py").is_file():
        return True
    from importlib.metadata import entry_points

    return any(each.name == kind for each in entry_points(group=GROUP))
