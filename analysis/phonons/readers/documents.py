"""Files of phonopy as text and as documents, compressed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from megabar.structures.errors import InputError

PACKED = ("", ".xz", ".lzma", ".gz", ".bz2")


def beside(folder: Path, *names: str) -> Path | None:
    """Return the first file of a folder with one of some names, packed or not; None where there is none."""
    return next((folder / (name + end) for name in names for end in PACKED if (folder / (name + end)).is_file()), None)


def text_of(path: Path) -> str:
    """Return the text of a file, unpacked; InputError where it is none."""
    import bz2
    import gzip
    import lzma

    openers: dict[str, Any] = {".xz": lzma.open, ".lzma": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
    if not path.is_file():
        raise InputError(f"{path}: there is no such file or folder")
    try:
        with openers.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            found: str = file.read()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None
    if not found.strip():
        raise InputError(f"{path}: the file is empty")
    return found


def document_of(path: Path) -> dict[str, Any]:
    """Return the document of a YAML file; InputError where it is none."""
    import yaml

    try:
        loader = yaml.CSafeLoader
    except AttributeError:  # PyYAML without libyaml
        loader = yaml.SafeLoader  # type: ignore[assignment]
    text = text_of(path)
    try:
        found = yaml.load(text, loader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" near line {where.line + 1}" if where is not None else ""
        raise InputError(f"{path}: it is no whole YAML document{line}; is it cut off?") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: it is no file of phonopy: its YAML holds no keys")
    return found


def numbers_of(text: str, path: Path) -> list[float]:
    """Return all numbers of a text; InputError names the first word that is none."""
    words = [word for line in text.splitlines() if not line.lstrip().startswith("#") for word in line.split()]
    try:
        return [float(word) for word in words]
    except ValueError:
        for word in words:
            try:
                float(word)
            except ValueError:
                raise InputError(f"{path}: {word[:40]!r} stands where a number should") from None
        raise
