"""Adapters to programs that are installed, and run in a folder of their own."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from megabar.structures.errors import SetupError
from megabar.workflows.codes.common import Adapter
from megabar.workflows.codes.external import ExternalCalculator
from megabar.workflows.codes.interface import AtomicData, Installation
from megabar.workflows.config import Config


class InstalledProgram(Adapter):
    """An adapter to a program. names: of the program, the usual one first; how_to_get: it, in words.

    arguments: words behind the command. It runs in a folder with the name of the code.
    """

    names: ClassVar[tuple[str, ...]]
    how_to_get: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()

    def installation(self, config: Config) -> Installation:
        """Return the program with its version; raises SetupError that says how to get it where it is missing."""
        command = program(self.name, self.names, config, self.how_to_get)
        return Installation(self.name, self.version_of(command), parallel(command, self.name, config))

    def calculator(
        self,
        settings: Mapping[str, Any],
        data: Sequence[AtomicData],
        atoms: Atoms,
        folder: Path,
        config: Config,
    ) -> BaseCalculator:
        """Return a calculator that runs below the folder; a finished run found there is not repeated."""
        command = (*self.installation(config).command, *self.arguments)
        return self.calculator_class()(settings, data, folder / self.name, command)

    @abstractmethod
    def version_of(self, command: tuple[str, ...]) -> str:
        """Return the version of the program that a command starts."""

    @abstractmethod
    def calculator_class(self) -> type[ExternalCalculator]:
        """Return the class of the calculator."""


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
