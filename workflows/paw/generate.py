"""PAW data sets made by `gpaw dataset`, cached by the hash of their recipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ase.units import Bohr

from megabar.structures.errors import SetupError
from megabar.structures.threads import outside
from megabar.workflows.files import sha256_of

TAG = "megabar"


@dataclass(frozen=True)
class Recipe:
    """What determines a generated PAW data set.

    projectors: as `gpaw dataset -P` takes them; radius: cutoff radii in bohr, as `-r` takes them.
    xc: functional of the atom, e.g. ``PBE``.
    """

    element: str
    projectors: str
    radius: str
    xc: str = "PBE"

    @property
    def radius_A(self) -> float:
        """Largest cutoff radius (Å)."""
        return float(max(float(each) for each in self.radius.split(",")) * Bohr)

    @property
    def command(self) -> tuple[str, ...]:
        """Words after `gpaw` that make the set, as a user could type them."""
        return ("dataset", self.element, "-P", self.projectors, "-r", self.radius, "-f", self.xc, "-w", "-t", TAG)

    def sha256(self, gpaw_version: str) -> str:
        """Return the hash of all that determines the set.

        Its content does not serve: the last digits of a generated set depend on the processor, which changes the
        energy of Na by less than 1e-7 eV (measured on three instruction sets), and each machine would compute alone.
        """
        text = json.dumps({**asdict(self), "gpaw": gpaw_version}, sort_keys=True)
        return sha256_of(text)

    def key(self, gpaw_version: str) -> str:
        """Return the name of the set's folder: the beginning of its hash."""
        return self.sha256(gpaw_version)[:16]

    @classmethod
    def from_command(cls, words: Sequence[str]) -> Recipe:
        """Return the recipe of a ``command``; raises ValueError where the words are none."""
        recipe = cls(words[1], *(words[words.index(option) + 1] for option in ("-P", "-r", "-f")))
        if list(words) != list(recipe.command):
            raise ValueError(f"{' '.join(words)} makes no PAW set of megabar")
        return recipe


def generated(recipe: Recipe, cache_folder: Path) -> Path:
    """Return the file of a set, made now where the cache has none; several processes may ask at once.

    Raises SetupError where gpaw is missing, the set cannot be made or the cache cannot be written.
    """
    folder = cache_folder / recipe.key(gpaw_version())
    path = folder / f"{recipe.element}.{TAG}.{recipe.xc}"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder, prefix="making-") as scratch:
            made = _make(recipe, Path(scratch))
            _sync(made)
            # Whoever comes second replaces the file by an identical one: generation is deterministic.
            os.replace(made, path)
    except OSError as error:
        raise SetupError(f"{cache_folder}: PAW sets cannot be kept there ({error.strerror or error})") from None
    return path


def gpaw_version() -> str:
    """Return the version of GPAW; raises SetupError that says how to get it where it is missing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gpaw")
    except PackageNotFoundError:
        raise SetupError(
            "GPAW is not installed; `python3 launchers setup` in the repository builds it, or says which system "
            "packages that needs"
        ) from None


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, uncompressed where its name ends in .gz."""
    return sha256_of(read_set(path))


def read_set(path: Path) -> bytes:
    """Return the XML text of a PAW set, uncompressed; raises SetupError where it cannot be read."""
    import gzip

    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        raise SetupError(f"{path}: the PAW set cannot be read ({error})") from None


@cache
def largest_radius_A(path: Path) -> float:
    """Return the largest cutoff radius (Å) of the partial waves of a PAW set."""
    radii = re.findall(rb'<state [^>]*\brc="([0-9.]+)"', read_set(path))
    if not radii:
        raise SetupError(f"{path} is not a PAW set of GPAW: it names no cutoff radius")
    return float(max(float(radius) for radius in radii) * Bohr)


def _make(recipe: Recipe, scratch: Path) -> Path:
    environment = {**outside(os.environ), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    run = subprocess.run(
        [sys.executable, "-m", "gpaw", *recipe.command],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    path = scratch / f"{recipe.element}.{TAG}.{recipe.xc}"
    if run.returncode != 0 or not path.is_file():
        said = (run.stderr.strip() or run.stdout.strip() or "nothing").splitlines()[-1]
        raise SetupError(f"`gpaw {' '.join(recipe.command)}` made no PAW set; it said: {said}")
    return path


def _sync(path: Path) -> None:
    """Have the content on disk before the name, so that a power cut leaves no empty set."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
