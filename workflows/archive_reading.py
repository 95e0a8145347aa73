"""Reads a study's archive, and tells in a sentence which member is damaged or of another version."""

from __future__ import annotations

import hashlib
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
from megabar.workflows.calculation import KEY_FORMAT, Calculation
from megabar.workflows.files import unpacked
from megabar.workflows.kinds import KINDS, plan_of
from megabar.workflows.store import CalculationRecord, StudyRecord

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Archive:
    """An archive opened for reading; its methods raise InputError that names the file and the member in trouble."""

    path: Path
    content: zipfile.ZipFile
    manifest: Mapping[str, Any]

    def chunks(self, member: str) -> Iterator[bytes]:
        """Return a member's content in pieces."""
        try:
            with self.content.open(member) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except KeyError:
            raise InputError(f"{self.path} is damaged: {member} is missing; get it once more") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
            raise self.damaged(member) from None

    def damaged(self, member: str) -> InputError:
        """Return the error that says which member is damaged."""
        return InputError(f"{self.path} is damaged: {member} is not what was exported; get it once more")

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
            raise InputError(f"{self.path} is damaged: {foreign[0]} is not in its manifest")

    def study(self) -> StudyRecord:
        """Return the study."""
        try:
            study = StudyRecord(**json_util.loads(b"".join(self.chunks(STUDY)).decode()))
            if study.kind not in KINDS:
                raise ValueError(f"a study of the kind {study.kind!r}; this version knows {', '.join(KINDS)}")
            plan_of(study)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._unknown(STUDY, error) from None
        return study

    def records(self) -> Iterator[CalculationRecord]:
        """Return the calculations one after the other, each found to be what its key says."""
        for number, line in enumerate(self._lines(), start=1):
            try:
                record = CalculationRecord(**json_util.loads(line.decode()))
                key = Calculation.from_dict(record.calculation).key
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise self._unknown(f"{CALCULATIONS}, line {number}", error) from None
            if key != record.key:
                raise InputError(f"{self.path}: {CALCULATIONS}, line {number}: its key {record.key} is another one's")
            yield record

    def history(self, key: str) -> bytes | None:
        """Return a calculation's arrays as the content of an npz file, None where it has none."""
        member = f"{HISTORIES}{key}.npz"
        return b"".join(self.chunks(member)) if member in self.manifest["members"] else None

    def _check_arrays(self, member: str) -> None:
        try:
            unpacked(b"".join(self.chunks(member)))
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
            raise self.damaged(member) from None

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self.chunks(CALCULATIONS):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def _unknown(self, member: str, error: Exception) -> InputError:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        return InputError(
            f"{self.path}: {member} cannot be understood ({reason}); it was written by megabar "
            f"{self.manifest.get('megabar')}, this is {__version__}"
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
        manifest = json.loads(content.read(MANIFEST))
    except KeyError:
        # Half an archive may end in the end of a history, which is a ZIP file itself.
        raise InputError(f"{path} is no archive of megabar, or its end is missing: it has no {MANIFEST}") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError):
        raise InputError(f"{path} is damaged: {MANIFEST} is not what was exported; get it once more") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path} is no archive of megabar: its {MANIFEST} is something else's")
    for name, known in (("format_version", FORMAT_VERSION), ("key_format", KEY_FORMAT)):
        if manifest.get(name) != known:
            raise InputError(
                f"{path} has the {name.replace('_', ' ')} {manifest.get(name)} (written by megabar "
                f"{manifest.get('megabar')}), this version knows {known}; nothing was imported"
            )
    members = manifest.get("members")
    if not isinstance(members, dict) or not {STUDY, CALCULATIONS} <= set(members):
        raise InputError(f"{path} is damaged: its {MANIFEST} does not name {STUDY} and {CALCULATIONS}")
    return manifest
