"""One run of pw.x in a folder, as single points, relaxations and the ground state of phonons all have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from megabar.workflows.codes.espresso.programs import launched
from megabar.workflows.codes.running import Process


def write_input(folder: Path, atoms: Atoms, made: Mapping[str, Any]) -> str:
    """Write pw.x's input into a folder and return its name; made: see ``inputs.parameters``."""
    from ase.calculators.espresso import EspressoProfile, EspressoTemplate

    template = EspressoTemplate()
    profile = EspressoProfile("pw.x", pseudo_dir="./pseudo")
    template.write_input(profile, folder, atoms, dict(made), ["energy"])  # which properties: ``made`` says it
    return str(template.inputname)


def run_pw(
    command: Sequence[str], folder: Path, atoms: Atoms, made: Mapping[str, Any], tell: Callable[[Process], None]
) -> int:
    """Write the input, run pw.x to its end and return its exit code, negative for the signal that ended it.

    command: pw.x with its launcher. tell: how it is told to stop. Raises CalculationFailed where it cannot be started;
    what it came to is for ``output.check_output`` to say.
    """
    return launched([*command, "-in", write_input(folder, atoms, made)], folder, "espresso.pwo", tell)
