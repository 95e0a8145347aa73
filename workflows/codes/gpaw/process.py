"""GPAW under a launcher such as mpiexec: one process group per geometry, ``python -m`` this module."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from megabar.workflows.codes.gpaw import restart
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.codes.running import run_program
from megabar.workflows.files import read_json, text_of_file, write_json
from megabar.workflows.mending.gpaw import CAUSES, DEFAULTS, HANDLERS
from megabar.workflows.mending.record import Mendings, mended
from megabar.workflows.mending.symptoms import cause_of
from megabar.workflows.stopping import Stopped, stop_wanted

LAST_CHARACTERS = 4000
REQUEST, ANSWER, OUTPUT = "gpaw-request.json", "gpaw-answer.json", "gpaw-output.txt"


class GpawProcess(Calculator):  # type: ignore[misc]
    """The same answers as GpawCalculator, each geometry computed from atoms by ``launch + python -m …``.

    Failures of GPAW are mended there, those of the process group here.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(
        self, settings: Mapping[str, Any], data: Sequence[AtomicData], folder: Path, launch: Sequence[str]
    ) -> None:
        super().__init__()
        self.folder = folder
        self.said: dict[str, Any] = {}
        self._settings, self._data, self._launch = dict(settings), tuple(data), tuple(launch)
        self.mendings = Mendings.of(folder, HANDLERS, {**DEFAULTS, "start": "unknown"})

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy, forces and stress; raises CalculationFailed as GpawCalculator does, or for a dead process."""
        super().calculate(atoms, list(properties), list(system_changes))
        self.folder.mkdir(parents=True, exist_ok=True)
        request = {
            "numbers": self.atoms.numbers.tolist(),
            "cell": self.atoms.cell.tolist(),
            "positions": self.atoms.positions.tolist(),
            "settings": self._settings,
            "data": [asdict(each) for each in self._data],
        }
        write_json(self.folder / REQUEST, request)
        answer = mended(self._run, self.mendings, self._stop_wanted)
        if "cause" in answer:
            raise CalculationFailed(answer["cause"], answer["detail"])
        self.said = answer["said"]
        self.results.update({name: np.asarray(value)[()] for name, value in answer["results"].items()})

    def _stop_wanted(self) -> bool:
        return stop_wanted(self.folder)

    def _run(self) -> dict[str, Any]:
        """Return what a process group answers; raises CalculationFailed where it does not, Stopped where it stopped."""
        (self.folder / ANSWER).unlink(missing_ok=True)
        command = [*self._launch, sys.executable, "-m", "megabar.workflows.codes.gpaw.process", str(self.folder)]
        ended = run_program(command, self.folder, self.folder / OUTPUT)
        self.mendings.read()
        answer = read_json(self.folder / ANSWER)
        if not isinstance(answer, dict):
            said = text_of_file(self.folder / OUTPUT)[-LAST_CHARACTERS:]
            killed = ended < 0 or 128 < ended < 160
            restart.forget(self.folder)  # in case that it was what killed it
            cause = cause_of(said, CAUSES) or ("killed" if killed else "incomplete-output")
            place = self.folder / OUTPUT
            raise CalculationFailed(cause, f"the process ended with code {ended} and no answer; see {place}")
        if answer.get("stopped"):
            raise Stopped
        return answer


def answer_request(folder: Path) -> None:
    """Compute what the request in a folder asks for and write the answer there, on the first process of the group."""
    from gpaw.mpi import world

    from megabar.workflows.codes.gpaw.calculator import GpawCalculator

    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    atoms = Atoms(request["numbers"], cell=request["cell"], positions=request["positions"], pbc=True)
    data = [AtomicData(**each) for each in request["data"]]
    calculator = GpawCalculator(request["settings"], data, folder)
    answer: dict[str, Any]
    try:
        calculator.calculate(atoms, ("energy", "forces", "stress"))
        results = {name: np.asarray(value).tolist() for name, value in calculator.results.items()}
        answer = {"results": results, "said": calculator.said}
    except CalculationFailed as failure:
        answer = {"cause": failure.cause, "detail": failure.detail}
    except Stopped:
        answer = {"stopped": True}
    if world.rank == 0:
        write_json(folder / ANSWER, answer)


if __name__ == "__main__":
    answer_request(Path(sys.argv[1]))
