"""One calculator for all ionic steps of a calculation in its folder, on top of ASE's Espresso calculator.

The charge density of a finished step starts the next one; a run that is told to stop goes on where it was
(``espresso_restart.py``); what fails is mended by rule (``megabar.workflows.mending``).
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.espresso import EspressoProfile, EspressoTemplate
from ase.calculators.genericfileio import GenericFileIOCalculator

from megabar.workflows.codes.espresso.inputs import parameters, place_pseudopotentials, what_matters
from megabar.workflows.codes.espresso.output import check_output, iterations, number_of_bands, stopped_by_itself
from megabar.workflows.codes.espresso.programs import leave_exit_file
from megabar.workflows.codes.espresso.pw import run_pw, write_input
from megabar.workflows.codes.espresso.restart import (
    forget_files,
    note_density,
    note_stopped,
    prepare_start,
    remove_scratch,
    start_of,
)
from megabar.workflows.codes.finite import check_finite
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.codes.launch import divided, division
from megabar.workflows.hashing import digest
from megabar.workflows.mending.espresso import DEFAULTS, HANDLERS
from megabar.workflows.mending.record import Mendings, mended
from megabar.workflows.pseudopotentials.upf import read_upf
from megabar.workflows.stopping import Stopped, stop_wanted

LEAST_ITERATIONS = 20


class EspressoRun(GenericFileIOCalculator):  # type: ignore[misc]
    """ASE calculator for the structures of one calculation; ``mendings`` tells what had to be done differently.

    Settings may hold ``path``: path settings to begin with instead of ``mending.espresso.DEFAULTS``.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        data: tuple[AtomicData, ...],
        folder: Path,
        command: tuple[str, ...],
        launch: tuple[str, ...] = (),
    ) -> None:
        self.settings = {name: value for name, value in settings.items() if name != "path"}
        self.data = data
        self.command, self.launch = command, launch
        begin = {**DEFAULTS, **division(launch, command), **settings.get("path", {})}
        self.mendings = Mendings.of(folder, HANDLERS, begin)
        self._identity = digest([self.settings, [each.sha256 for each in data]])
        profile = EspressoProfile(shlex.join((*launch, *command)), pseudo_dir="./pseudo")
        super().__init__(template=EspressoTemplate(), profile=profile, directory=folder, parameters={})

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Run pw.x; raises CalculationFailed where it fails after all mendings, and Stopped where it was told to."""
        self.results: dict[str, Any] = {}
        # Constraints are the optimiser's business: ASE would write them into the input, and pw.x zero the forces.
        atoms = atoms.copy()
        atoms.set_constraint()
        self.directory.mkdir(parents=True, exist_ok=True)
        place_pseudopotentials(self.data, self.directory / "pseudo")
        if not self._finished_before(atoms):
            self.results = mended(lambda: self._attempt(atoms), self.mendings, self._stop_wanted)

    def _stop_wanted(self) -> bool:
        return stop_wanted(self.directory)

    def _finished_before(self, atoms: Atoms) -> bool:
        """Read the output that the folder holds where it is a finished run for exactly this input."""
        before = what_matters(self.directory / "espresso.pwi")
        if not before:
            return False
        wanted = self.directory / "wanted"
        wanted.mkdir(exist_ok=True)
        made = parameters(self.settings, self.data, atoms, self.mendings.path)
        same = what_matters(wanted / write_input(wanted, atoms, made)) == before
        shutil.rmtree(wanted)
        try:
            if same:
                check_output(self.directory, 0)
                self.results = read_results(self.directory)
        except CalculationFailed:
            same = False
        return same

    def _attempt(self, atoms: Atoms) -> dict[str, Any]:
        """Run pw.x once, with the path settings of now, and return its results."""
        facts = self.mendings.facts
        facts["start"] = "density"
        path = self._path_from_start(atoms)
        facts["start"] = path["start"]
        try:
            self._run(atoms, path)
            results = read_results(self.directory)
        except CalculationFailed as failure:
            facts["bands"] = number_of_bands(self.directory) or path.get("nbnd")
            facts["electrons"] = self._electrons(atoms)
            if failure.cause == "scf-slow":
                note_density(self.directory, atoms, self._identity)
            if failure.cause == "killed":
                forget_files(self.directory)  # in case that they were what killed it
            raise
        note_density(self.directory, atoms, self._identity)
        remove_scratch(self.directory)
        return results

    def _path_from_start(self, atoms: Atoms) -> dict[str, Any]:
        """Return the path settings of a run, with the best start that there is and that handlers allow."""
        path = self.mendings.path
        if self.mendings.changes.get("start") == "atoms":
            return {**path, "start": "atoms"}
        start, done = start_of(self.directory, atoms, self._identity, self._layout())
        if start == "stopped":
            # The steps of all parts together are limited, as those of a run that was never interrupted are.
            path["electron_maxstep"] = max(path["electron_maxstep"] - done, LEAST_ITERATIONS)
        return {**path, "start": start}

    def _layout(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on in the middle."""
        path = {name: value for name, value in self.mendings.path.items() if name in DEFAULTS or name == "nbnd"}
        path.pop("start", None)
        path.pop("electron_maxstep", None)
        return {"command": self._command(), "path": path}

    def _command(self) -> list[str]:
        return divided(self.launch, self.command, self.mendings.path)

    def _run(self, atoms: Atoms, path: dict[str, Any]) -> None:
        """Run pw.x to its end; raises CalculationFailed unless it finished and converged, Stopped where it stopped."""
        prepare_start(self.directory, path["start"])
        made = parameters(self.settings, self.data, atoms, path)
        code = run_pw(self._command(), self.directory, atoms, made, leave_exit_file(self.directory))
        if stopped_by_itself(self.directory):
            note_stopped(self.directory, atoms, self._identity, self._layout(), iterations(self.directory))
            self.mendings.left_a_restart()
            raise Stopped
        check_output(self.directory, code)

    def _electrons(self, atoms: Atoms) -> float:
        valence = {each.element: read_upf(Path(each.path)).valence for each in self.data}
        return sum(valence[symbol] for symbol in atoms.get_chemical_symbols())


def read_results(folder: Path) -> dict[str, Any]:
    """Return what ASE reads from a checked output; its assertions and omissions become CalculationFailed."""
    try:
        results: dict[str, Any] = EspressoTemplate().read_results(folder)
    except (AssertionError, ValueError, IndexError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CalculationFailed("incomplete-output", f"ASE cannot read it ({type(error).__name__}: {error})") from None
    missing = {"energy", "forces", "stress"} - set(results)
    if missing:
        raise CalculationFailed("incomplete-output", f"no {', '.join(sorted(missing))} could be read")
    check_finite(results, "pw.x")
    return results
