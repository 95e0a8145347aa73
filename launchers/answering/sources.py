"""Whether what a command is given is a study or a file of somebody else's."""

from __future__ import annotations

from pathlib import Path

HEAD = 65536
"""Characters of a YAML file among which its kind is looked for."""


def is_study(source: Path) -> bool:
    """Return whether a source is a study: its file (YAML with a key ``kind``), or the name of a stored one."""
    if source.suffix.lower() in (".yaml", ".yml"):
        return not source.is_file() or _has_kind(source)
    if source.exists() or len(source.parts) != 1:
        return False
    from megabar.launchers.api.session import connect

    with connect() as session:
        return session.anything_stored and bool(session.store.study_names(str(source)))


def _has_kind(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return any(line.startswith(("kind:", '"kind":', "'kind':")) for line in head.splitlines())
