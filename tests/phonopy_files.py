"""Files of phonopy's own examples, as folders, and what may be done to them."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "phonopy"


def printed() -> dict[str, Any]:
    """What phonopy-load prints of them."""
    found: dict[str, Any] = json.loads((DATA / "printed.json").read_text())
    return found


def unpacked(name: str, folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Unpack an example into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for packed in (DATA / name).iterdir():
        if packed.stem not in without:
            (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
    return folder


def edited(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file, which must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
