"""What adapters to programs that run in a folder share: files in, one run, files out, and nothing run twice."""

from __future__ import annotations

import signal
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from megabar.workflows.codes.finite import check_finite
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.codes.running import Process, Stop, run_program, terminate, wait_for_stop
from megabar.workflows.files import read_json, sha256_of, sha256_of_file, text_of_file, write_atomically, write_json
from megabar.workflows.mending.record import note_step
from megabar.workflows.stopping import Stopped, stop_wanted

TAIL_LINES = 5
RESTART_NOTE = "restart.json"


class ExternalCalculator(Calculator):  # type: ignore[misc]
    """A calculator that writes input files, runs a program in its folder and reads what it wrote.

    A finished run that the folder holds for exactly these inputs is read, not repeated; anything else found there
    is removed before the program starts, so that no result can be older than its input. Where the calculation (the
    folder above) is told to stop, the program is ended; it starts afresh the next time unless it has restart files.
    """

    discard_results_on_any_change = True
    stdout_name: ClassVar[str] = "stdout.txt"
    output_names: ClassVar[tuple[str, ...]] = ()
    restart_names: ClassVar[tuple[str, ...]] = ()
    """Files that a program which was told to stop leaves whole, and can go on from."""

    def __init__(
        self, settings: Mapping[str, Any], data: Sequence[AtomicData], folder: Path, command: Sequence[str]
    ) -> None:
        super().__init__(directory=str(folder))
        self.settings = dict(settings)
        self.data = {each.element: each for each in data}
        self.folder = folder
        self.command = tuple(command)
        self.said: dict[str, Any] = {}

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
        restarted = self.restarted(files)
        for variant in (files, restarted) if restarted != files else (files,):
            if self._holds(variant):
                try:
                    self.results = self._checked_outputs()
                    return
                except CalculationFailed:
                    pass
        self._run(files)
        self.results = self._checked_outputs()

    def _checked_outputs(self) -> dict[str, Any]:
        results = self.outputs(self.atoms)
        check_finite(results, Path(self.command[0]).name)
        return results

    def restarted(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return the input files with which the program goes on from its restart files."""
        return dict(files)

    def tell_to_stop(self, process: Process) -> None:
        """End a running program; programs that know a gentler way have it here."""
        terminate(process)

    def _run(self, files: Mapping[str, str]) -> None:
        if self._stop_wanted():
            raise Stopped
        going_on = self._can_go_on(files)
        kept = self.restart_names if going_on else ()
        for name in (*self.output_names, self.stdout_name, RESTART_NOTE):
            if name not in kept:
                (self.folder / name).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in (self.restarted(files) if going_on else files).items():
            write_atomically(self.folder / name, content.encode())
        stop = Stop(self._stop_wanted, self.tell_to_stop)
        returned = run_program(self.command, self.folder, self.folder / self.stdout_name, stop=stop)
        if self._stop_wanted() or (returned < 0 and wait_for_stop(self._stop_wanted)):
            self._stopped(files, returned)
        if returned < 0:
            raise CalculationFailed("killed", f"{self.command[0]} was ended by {signal.Signals(-returned).name}")

    def _stopped(self, files: Mapping[str, str], returned: int) -> None:
        """Raise Stopped unless the program came to its end all the same; note what it can go on from."""
        try:
            self._checked_outputs()
        except CalculationFailed:
            if (
                returned == 0
                and self.restart_names
                and all((self.folder / each).is_file() for each in self.restart_names)
            ):
                write_json(self.folder / RESTART_NOTE, self._note(files))
            raise Stopped from None

    def _can_go_on(self, files: Mapping[str, str]) -> bool:
        """Return whether the restart files are those that a run with these inputs left when it was told to stop."""
        left = read_json(self.folder / RESTART_NOTE)
        if not isinstance(left, dict):
            return False
        found = self._note(files)
        damaged = [name for name in self.restart_names if left.get(name) != found[name]]
        if damaged and all(left.get(name) == found[name] for name in files):
            note_step(
                self.folder.parent, f"restart-damaged: started afresh ({', '.join(damaged)} was not as it was left)"
            )
        return left == found

    def _note(self, files: Mapping[str, str]) -> dict[str, str]:
        hashes = {name: sha256_of(content) for name, content in files.items()}
        for name in self.restart_names:
            hashes[name] = sha256_of_file(self.folder / name, "gone")
        return hashes

    def _stop_wanted(self) -> bool:
        return stop_wanted(self.folder.parent)

    def _holds(self, files: Mapping[str, str]) -> bool:
        return all(text_of_file(self.folder / name) == content for name, content in files.items())

    def tail(self, name: str | None = None) -> str:
        """Return the last lines that the program wrote (to its standard output where no file is named)."""
        lines = [line.strip() for line in text_of_file(self.folder / (name or self.stdout_name)).splitlines()]
        return " / ".join([line for line in lines if line][-TAIL_LINES:]) or "it wrote nothing"


def room(element: str, closest_A: Mapping[tuple[str, str], float]) -> float:
    """Return half the shortest distance (Å) from an element to any neighbour, infinite where none is known."""
    return min((distance / 2 for pair, distance in closest_A.items() if element in pair), default=float("inf"))
