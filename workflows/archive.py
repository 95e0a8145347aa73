"""A study with all its results as one file, to publish with a paper or to take to another database: how it is written.

A ZIP file with plain members (``README.md`` in it says what they hold) and a manifest with the SHA-256 of each, but
nothing of the machine: neither folders nor users nor addresses. The same content makes the same file, byte by byte.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import IO, Any

from bson import json_util

from megabar import __version__
from megabar.structures.errors import InputError
from megabar.workflows.calculation import KEY_FORMAT
from megabar.workflows.kinds.registry import kind_of
from megabar.workflows.publishing import with_file_names, without_local, without_places
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord

FORMAT = "megabar study archive"
FORMAT_VERSION = 1
MANIFEST, STUDY, CALCULATIONS, HISTORIES, README = (
    "manifest.json",
    "study.json",
    "calculations.jsonl",
    "histories/",
    "README.md",
)
SUFFIX = ".zip"
BATCH = 200
STUDY_FIELDS = ("identifier", "name", "kind", "definition", "resolved", "wanted", "rungs", "complete", "created")
_DATE = (1980, 1, 1, 0, 0, 0)

README_TEXT = """\
# {name}

A study computed with megabar {version}, with all its calculations. `megabar import THIS-FILE` puts it into a database,
and `megabar hull {name}` and `megabar report {name}` then make every table and figure, without any DFT run.

The format, version {format_version}, needs no megabar to be read:

- `study.json`: what was asked (`definition`), the plan made of it (`resolved`: method, pseudopotentials or PAW sets by
  SHA-256, phases with their cells and settings), the calculations it asked for (`rungs`, `wanted`: their keys).
- `calculations.jsonl`: one JSON object a line and calculation: `key` (hash of all that determines the answer),
  `calculation` (code, version, settings, structure, limits of the relaxation), `state` (`done`, or how it ended else,
  with `cause` and `detail`), the result, and `provenance` (host, times, versions of the packages).
- `histories/KEY.npz`: NumPy arrays of each ionic step of a calculation: `energy_eV`, `cell_A` (rows are vectors),
  `positions` (fractional), `forces_eV_A`, `stress_GPa` (xx, yy, zz, yz, xz, xy; negative under compression).
- `manifest.json`: format, version, and the size and SHA-256 of every member.

Units are in the names: energies in eV or eV/atom, pressures in GPa, lengths in Å, volumes in Å³/atom. A number that
JSON does not have is written as {{"$numberDouble": "NaN"}} (MongoDB Extended JSON).
"""


@dataclass(frozen=True)
class Exported:
    """What an archive holds: calculations asked for, those that have ended, histories, and its size (bytes)."""

    path: Path
    study: str
    complete: bool
    asked: int
    calculations: int
    histories: int
    size_bytes: int


def write_archive(path: Path, study: StudyRecord, store: ResultStore) -> Exported:
    """Write a study and what has been computed of it to a file, whole or not at all; one batch is in memory at a time.

    Raises InputError where the file is there already or has another ending than ``.zip``.
    """
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path}: an archive's name ends in {SUFFIX}")
    if path.exists():
        raise InputError(f"{path} is there already; remove it or choose another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    keys = sorted(set(study.wanted))
    study = study.model_copy(update={"rungs": store.with_structures(study.rungs)})
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as target, zipfile.ZipFile(target, "w", allowZip64=True) as content:
            with suppress(OSError):  # a file system without locks: nothing is swept there
                _lock(target)
            members, calculations = _write_members(content, study, keys, store)
            manifest = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "key_format": KEY_FORMAT,
                "megabar": __version__,
                "study": study.identifier,
                "complete": study.complete,
                "calculations": calculations,
                "members": members,
            }
            _add(content, MANIFEST, [json.dumps(manifest, indent=1).encode()])
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    histories = sum(name.startswith(HISTORIES) for name in members)
    size = path.stat().st_size
    return Exported(path, study.identifier, study.complete, len(keys), calculations, histories, size)


def _sweep(path: Path) -> None:
    """Remove what exports to the same file that were killed have left: their locks are gone with them."""
    for left in path.parent.glob(f".{escape(path.name)}.*"):
        if left.suffix[1:].isdigit():
            with suppress(OSError), left.open("rb") as file:
                _lock(file)
                left.unlink()


def _lock(file: IO[bytes]) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_members(
    content: zipfile.ZipFile, study: StudyRecord, keys: Sequence[str], store: ResultStore
) -> tuple[dict[str, dict[str, Any]], int]:
    """Write all members but the manifest; return the manifest's entries, and how many calculations there are."""
    text = README_TEXT.format(name=study.name, version=__version__, format_version=FORMAT_VERSION)
    written: list[str] = []

    def lines() -> Iterator[bytes]:
        for batch in batches(keys):
            records = store.get_many(batch)
            for key in batch:
                if key in records:
                    written.append(key)
                    yield as_json(published_record(records[key])) + b"\n"

    members = {
        README: _add(content, README, [text.encode()]),
        STUDY: _add(content, STUDY, [as_json(published_study(study), indent=1)]),
        CALCULATIONS: _add(content, CALCULATIONS, lines()),
    }
    for key in written:
        history = store.packed_history(key)
        if history is not None:
            name = f"{HISTORIES}{key}.npz"
            members[name] = _add(content, name, [history], compressed=False)  # npz files are compressed themselves
    return members, len(written)


def _add(content: zipfile.ZipFile, name: str, chunks: Iterable[bytes], compressed: bool = True) -> dict[str, Any]:
    """Write one member and return its entry in the manifest."""
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = 0o644 << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    digest, size = hashlib.sha256(), 0
    with content.open(info, "w", force_zip64=True) as member:
        for chunk in chunks:
            member.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return keys in parts that fit into memory with their records."""
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]


def as_json(value: Any, indent: int | None = None) -> bytes:
    """Return a value as JSON; what JSON has not, such as NaN, as MongoDB Extended JSON writes it."""
    text: str = json_util.dumps(
        value, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False, allow_nan=False, indent=indent
    )
    return text.encode()


def published_record(record: CalculationRecord) -> dict[str, Any]:
    """Return a calculation's record as it is published: all of it but the machine's folders."""
    content = record.model_dump()
    folders = [
        str(each["folder"])
        for each in (record.provenance, *(record.provenance.get("attempts") or ()))
        if isinstance(each, Mapping) and each.get("folder")
    ]
    others = {name: each for name, each in content.items() if name != "calculation"}
    published: dict[str, Any] = without_places(others, *folders)
    published["calculation"] = with_file_names(content["calculation"])
    published["provenance"] = without_local(published["provenance"])
    return {name: published[name] for name in content}


def published_study(study: StudyRecord) -> dict[str, Any]:
    """Return a study's record as it is published: neither its owner nor where its files lie, as its kind says."""
    content = study.model_dump(include=set(STUDY_FIELDS))
    kind = kind_of(study.kind)
    content |= {"resolved": kind.read(study.resolved).published(), "definition": kind.publish(study.definition)}
    return {name: content[name] for name in STUDY_FIELDS}
