"""The place that is set up: the repository's environment, what is done in it, and how packages get into it.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

VERSION = "1"  # raised when what is set up changes in a way that pyproject.toml does not show
LOCK_NAME = ".setup.lock"


class SetupFailed(Exception):
    """The set-up cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What is done: hashes of what it was done from.

    unfinished: True while packages are being installed, so a kill in the middle is seen.
    gpaw_failed: hash of what GPAW could not be built from, so that not every command tries again.
    """

    package: str = ""
    extras: list[str] = field(default_factory=list)
    gpaw: str = ""
    gpaw_failed: str = ""
    unfinished: bool = False


@dataclass
class Site:
    """The repository and its environment.

    lowest: the environment with the lowest versions that megabar promises to work with, beside the usual one.
    """

    root: Path
    lowest: bool = False

    @property
    def venv(self) -> Path:
        """The Python environment."""
        return self.root / (".venv-lowest" if self.lowest else ".venv")

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.venv / "bin" / "python"

    @property
    def log(self) -> Path:
        """What the tools wrote."""
        return self.venv / "setup.log"

    def stamp(self) -> Stamp:
        """Return what is done; nothing where that cannot be read."""
        try:
            return Stamp(**json.loads((self.venv / "setup.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Stamp()

    def write_stamp(self, stamp: Stamp) -> None:
        """Replace the stamp at once."""
        temporary = self.venv / ".setup.json"
        temporary.write_text(json.dumps(asdict(stamp)), encoding="utf-8")
        temporary.replace(self.venv / "setup.json")

    def key(self, *names: str) -> str:
        """Return a hash of this bootstrap's version, the environment's Python and some files of the repository."""
        digest = hashlib.sha256(VERSION.encode())
        for path in (self.venv / "pyvenv.cfg", *(self.root / name for name in names)):
            with contextlib.suppress(OSError):
                digest.update(path.read_bytes())
        return digest.hexdigest()


def install(site: Site, requirements: Sequence[str], again: bool, environment: Mapping[str, str] | None = None) -> bool:
    """Install Python packages with uv, where that fails with pip; return whether it worked.

    again: also those that seem to be there, since an installation was killed in the middle. The lowest versions of what
    megabar itself requires are for uv alone: pip knows only the newest.
    """
    environment = dict(environment or {})
    uv = site.venv / "bin" / "uv"
    lowest = site.lowest and "-e" in requirements
    if uv.exists():
        command = [str(uv), "pip", "install", "--python", str(site.python), *(["--reinstall"] if again else [])]
        command += ["--upgrade", "--resolution", "lowest-direct"] if lowest else []  # also of what is there
        translated = [word.replace("--force-reinstall", "--reinstall") for word in requirements]
        if run([*command, *translated], site.log, {**index_of_pip(site), **environment}):
            return True
    if lowest:
        return False
    options = ["--force-reinstall"] if again else []
    translated = [word.replace("--no-cache", "--no-cache-dir") for word in requirements]
    return run([str(site.python), "-m", "pip", "install", *options, *translated], site.log, environment)


def index_of_pip(site: Site) -> dict[str, str]:
    """Return uv's variables for the package index that pip is configured to use: uv does not read pip's files."""
    done = subprocess.run(
        [str(site.python), "-m", "pip", "config", "list"], capture_output=True, text=True, errors="replace", check=False
    )
    settings = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        settings[key.split(".", 1)[-1]] = value.strip("'\"")
    found = {}
    for key, variables in (("index-url", ("UV_DEFAULT_INDEX", "UV_INDEX_URL")), ("cert", ("SSL_CERT_FILE",))):
        if key in settings and not any(variable in os.environ for variable in variables):
            found[variables[0]] = settings[key]
    return found


def run(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> bool:
    """Run a command, its output to the end of a log file; return whether it succeeded."""
    with open(log, "ab") as stream:
        stream.write(f"\n$ {' '.join(command)}\n".encode())
        stream.flush()
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **(environment or {})},
                check=False,
            )
        except OSError as error:
            stream.write(f"{error}\n".encode())
            return False
    return done.returncode == 0


def tail(log: Path) -> str:
    """Return the last line that says something, and where the rest is."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and not line.startswith("$")]
    last = (telling or lines or ["no output"])[-1]
    return f"{last[:200]} (the whole story: {log})"


def say(message: str) -> None:
    """Tell the user, on standard error."""
    print(f"megabar: {message}", file=sys.stderr, flush=True)
