"""Reads a study's archive, and tells in a sentence which member is damaged or of another version."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import json_util
from pydantic import ValidationError

from megabar import __version__
from megabar.structures.errors import InputError
from megabar.workflows.archive import CALCULATIONS, FORMAT, FORMAT_VERSION, HISTORIES, MANIFEST, STUDY
from megabar.workflows.archive_checks import check_record, check_rung, check_study, readable, shortened
from megabar.workflows.calculation import KEY_FORMAT, Calculation
from megabar.workflows.files import unpacked
from megabar.workflows.kinds.registry import plan_of
from megabar.workflows.store import CalculationRecord, StudyRecord

CHUNK_BYTES = 1 << 20
MOST_RATIO, LEAST_BYTES = 200, 10_000_000
"""A member that unpacks to more than so many times its size, and to more than so many bytes, is no member of ours."""
MOST_BYTES = 256_000_000
"""What is read as a whole may have so many bytes: the manifest, a study, a calculation, the arrays of one."""
NOT_OURS = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, StopIteration),
    *(RecursionError, InputError),
)
"""What reading something else as one of our documents raises."""


@dataclass(frozen=True)
class Archive:
    """An archive opened for reading; its methods raise InputError that names the file and the member in trouble."""

    path: Path
    content: zipfile.ZipFile
    manifest: Mapping[str, Any]

    def chunks(self, member: str) -> Iterator[bytes]:
        """Return a member's content in pieces."""
        left = self.manifest["members"][member]["bytes"] if member in self.manifest["members"] else 0
        try:
            _check_ratio(self.path, self.content.getinfo(member))
            with self.content.open(member) as file:
                while chunk := file.read(CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise self.damaged(member)
                    yield chunk
        except KeyError:
            raise InputError(f"{self.path} is damaged: {member} is missing; get it once more") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
            raise self.damaged(member) from None

    def damaged(self, member: str) -> InputError:
        """Return the error that says which member is damaged."""
        return InputError(f"{self.path} is damaged: {member} is not what was exported; get it once more")

    def whole(self, member: str) -> bytes:
        """Return a member's content at once; raises InputError where that is too large to be one of ours."""
        size = self.manifest["members"][member]["bytes"]
        if size > MOST_BYTES:
            raise InputError(f"{self.path}: {member} has {size / 1e6:.0f} MB, more than any of ours")
        return b"".join(self.chunks(member))

    def check(self) -> None:
        """Raise InputError where a member is missing, damaged or too many."""
        members: Mapping[str, Any] = self.manifest["members"]
        for member, entry in members.items():
            digest = hashlib.sha256()
            for chunk in self.chunks(member):
                digest.update(chunk)
            if digest.hexdigest() != entry["sha256"]:
                raise self.damaged(member)
            if member.startswith(HISTORIES):
                self._check_arrays(member)
        foreign = sorted(set(self.content.namelist()) - {*members, MANIFEST})
        if foreign:
            raise InputError(f"{self.path} is damaged: {shortened(foreign[0])} is not in its manifest")

    def study(self) -> StudyRecord:
        """Return the study."""
        try:
            study = StudyRecord(**json_util.loads(self.whole(STUDY).decode()))
            plan = plan_of(study)
            check_study(study)
            for rung in study.rungs:
                check_rung(rung, plan.calculation(rung))
        except NOT_OURS as error:
            raise self._unknown(STUDY, error) from None
        return study

    def records(self) -> Iterator[CalculationRecord]:
        """Return the calculations one after the other, each found to be what its key says."""
        for number, line in enumerate(self._lines(), start=1):
            try:
                record = CalculationRecord(**json_util.loads(line.decode()))
                calculation = Calculation.from_dict(record.calculation)
                key = calculation.key
                check_record(record, calculation)
            except NOT_OURS as error:
                raise self._unknown(f"{CALCULATIONS}, line {number}", error) from None
            if key != record.key:
                raise InputError(f"{self.path}: {CALCULATIONS}, line {number}: its key {record.key} is another one's")
            yield readable(record)

    def history(self, key: str) -> bytes | None:
        """Return a calculation's arrays as the content of an npz file, None where it has none."""
        member = f"{HISTORIES}{key}.npz"
        return self.whole(member) if member in self.manifest["members"] else None

    def _check_arrays(self, member: str) -> None:
        content = self.whole(member)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as arrays:
                size = sum(each.file_size for each in arrays.infolist())
            if size > MOST_BYTES:
                raise InputError(f"{self.path}: {member} unpacks to {size / 1e6:.0f} MB, more than any of ours")
            unpacked(content)
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RecursionError, MemoryError):
            raise self.damaged(member) from None

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self.chunks(CALCULATIONS):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > MOST_BYTES:
                raise self.damaged(CALCULATIONS)
        if rest:
            yield rest

    def _unknown(self, member: str, error: Exception) -> InputError:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else shortened(str(error))
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = shortened(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}")
        return InputError(
            f"{self.path}: {member} cannot be understood ({reason}); it was written by megabar "
            f"{shortened(str(self.manifest.get('megabar')))}, this is {__version__}"
        )


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Have an archive open while the block runs; raises InputError where it is none, or of another version."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        content = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InputError(f"{path} is no archive of megabar, or its end is missing; get it once more") from None
    with content:
        yield Archive(path, content, _manifest(path, content))


def _manifest(path: Path, content: zipfile.ZipFile) -> dict[str, Any]:
    try:
        info = content.getinfo(MANIFEST)
        _check_ratio(path, info)
        if info.file_size > MOST_BYTES:
            raise InputError(f"{path}: {MANIFEST} has {info.file_size / 1e6:.0f} MB, more than any of ours")
        manifest = json.loads(content.read(MANIFEST))
    except KeyError:
        # Half an archive may end in the end of a history, which is a ZIP file itself.
        raise InputError(f"{path} is no archive of megabar, or its end is missing: it has no {MANIFEST}") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise InputError(f"{path} is damaged: {MANIFEST} is not what was exported; get it once more") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path} is no archive of megabar: its {MANIFEST} is something else's")
    for name, known in (("format_version", FORMAT_VERSION), ("key_format", KEY_FORMAT)):
        if manifest.get(name) != known:
            raise InputError(
                f"{path} has the {name.replace('_', ' ')} {shortened(str(manifest.get(name)))} (written by megabar "
                f"{shortened(str(manifest.get('megabar')))}), this version knows {known}; nothing was imported"
            )
    members = manifest.get("members")
    if not isinstance(members, dict) or not {STUDY, CALCULATIONS} <= set(members):
        raise InputError(f"{path} is damaged: its {MANIFEST} does not name {STUDY} and {CALCULATIONS}")
    for member, entry in members.items():
        sized = isinstance(entry, dict) and type(entry.get("bytes")) is int and isinstance(entry.get("sha256"), str)
        if not sized:
            raise InputError(f"{path} is damaged: its {MANIFEST} does not tell size and hash of {shortened(member)}")
    return manifest


def _check_ratio(path: Path, info: zipfile.ZipInfo) -> None:
    """Raise InputError where a member would unpack to far more than it can be."""
    if info.file_size > max(LEAST_BYTES, MOST_RATIO * info.compress_size):
        raise InputError(
            f"{path}: {shortened(info.filename)} of {info.compress_size / 1e6:.1f} MB would unpack to "
            f"{info.file_size / 1e6:.0f} MB, as nothing of ours does; nothing was imported"
        )
