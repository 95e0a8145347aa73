"""What adapters to programs that run in a folder share: files in, one run, files out, and nothing run twice."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from megabar.structures.errors import SetupError
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.config import Config
from megabar.workflows.files import write_atomically

TAIL_LINES = 5
_PR_SET_PDEATHSIG = 1


class ExternalCalculator(Calculator):  # type: ignore[misc]
    """A calculator that writes input files, runs a program in its folder and reads what it wrote.

    A finished run that the folder holds for exactly these inputs is read, not repeated; anything else found there
    is removed before the program starts, so that no result can be older than its input.
    """

    discard_results_on_any_change = True
    stdout_name: ClassVar[str] = "stdout.txt"
    output_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        super().__init__(directory=str(folder))
        self.folder = folder
        self.command = tuple(command)

    @abstractmethod
    def inputs(self, atoms: Atoms) -> dict[str, str]:
        """Return the input files: their content by name."""

    @abstractmethod
    def outputs(self, atoms: Atoms) -> dict[str, Any]:
        """Return ASE's results of a finished run; raises CalculationFailed where it is not finished or converged."""

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Run the program where its results are not there yet; raises CalculationFailed where it fails."""
        super().calculate(atoms, list(properties), list(system_changes))
        files = self.inputs(self.atoms)
        if self._holds(files):
            try:
                self.results = self.outputs(self.atoms)
                return
            except CalculationFailed:
                pass
        for name in (*self.output_names, self.stdout_name):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(self.folder / name, content.encode())
        returned = run_program(self.command, self.folder, self.folder / self.stdout_name)
        if returned < 0:
            raise CalculationFailed("killed", f"{self.command[0]} was ended by {signal.Signals(-returned).name}")
        self.results = self.outputs(self.atoms)

    def _holds(self, files: Mapping[str, str]) -> bool:
        return all(read_text(self.folder / name) == content for name, content in files.items())

    def tail(self, name: str | None = None) -> str:
        """Return the last lines that the program wrote (to its standard output where no file is named)."""
        lines = [line.strip() for line in read_text(self.folder / (name or self.stdout_name)).splitlines()]
        return " / ".join([line for line in lines if line][-TAIL_LINES:]) or "it wrote nothing"


def read_text(path: Path) -> str:
    """Return the text of a file, empty where there is none."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def run_program(command: Sequence[str], folder: Path, output: Path) -> int:
    """Run a program in a folder to its end, its output in a file; it dies with us. Returns its exit code.

    Raises SetupError where it cannot be started.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def die_with_parent() -> None:
        # A program that outlives its killed worker would write into the folder of the run that replaces it.
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))

    try:
        with output.open("wb") as stream:
            return subprocess.run(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": "1", **os.environ},
                preexec_fn=die_with_parent,
                check=False,
            ).returncode
    except OSError as error:
        raise SetupError(f"{command[0]} cannot be started: {error.strerror}") from None


def program(code: str, names: Sequence[str], config: Config, how_to_get: str) -> tuple[str, ...]:
    """Return the words that start a code: the configured command, or the first of some names that is installed.

    Raises SetupError that says how to get it where there is none.
    """
    command = config.code(code).command
    for first in command[:1] or tuple(names):
        found = shutil.which(first)
        if found:
            return (found, *command[1:])
    missing = command[0] if command else " or ".join(names)
    raise SetupError(f"{code}: the program {missing} was not found; {how_to_get}")


def parallel(command: Sequence[str], code: str, config: Config) -> tuple[str, ...]:
    """Return a command behind the configured parallel launch (``mpiexec -n 4``), if any."""
    return (*config.code(code).launch, *command)


def sha256_of(content: str) -> str:
    """Return the hash of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


def room(element: str, closest_A: Mapping[tuple[str, str], float]) -> float:
    """Return half the shortest distance (Å) from an element to any neighbour, infinite where none is known."""
    return min((distance / 2 for pair, distance in closest_A.items() if element in pair), default=float("inf"))
