"""GPAW under a launcher such as mpiexec: one process group per geometry, ``python -m`` this module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from megabar.workflows.codes.interface import AtomicData, CalculationFailed

REQUEST, ANSWER, OUTPUT = "gpaw-request.json", "gpaw-answer.json", "gpaw-output.txt"


class GpawProcess(Calculator):  # type: ignore[misc]
    """The same answers as GpawCalculator, each geometry computed from atoms by ``launch + python -m …``."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(
        self, settings: Mapping[str, Any], data: Sequence[AtomicData], folder: Path, launch: Sequence[str]
    ) -> None:
        super().__init__()
        self.folder = folder
        self.said: dict[str, Any] = {}
        self._settings, self._data, self._launch = dict(settings), tuple(data), tuple(launch)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy, forces and stress; raises CalculationFailed as GpawCalculator does, or for a dead process."""
        super().calculate(atoms, list(properties), list(system_changes))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / ANSWER).unlink(missing_ok=True)
        request = {
            "numbers": self.atoms.numbers.tolist(),
            "cell": self.atoms.cell.tolist(),
            "positions": self.atoms.positions.tolist(),
            "settings": self._settings,
            "data": [asdict(each) for each in self._data],
        }
        (self.folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        answer = self._run()
        if "cause" in answer:
            raise CalculationFailed(answer["cause"], answer["detail"])
        self.said = answer["said"]
        self.results.update({name: np.asarray(value)[()] for name, value in answer["results"].items()})

    def _run(self) -> dict[str, Any]:
        with (self.folder / OUTPUT).open("ab") as output:
            run = subprocess.run(
                [*self._launch, sys.executable, "-m", "megabar.workflows.codes.gpaw_process", str(self.folder)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": "1", **os.environ},
                check=False,
            )
        try:
            answer: dict[str, Any] = json.loads((self.folder / ANSWER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise CalculationFailed(
                "killed" if run.returncode < 0 else "incomplete-output",
                f"the process ended with code {run.returncode} and no answer; see {self.folder / OUTPUT}",
            ) from None
        return answer


def answer_request(folder: Path) -> None:
    """Compute what the request in a folder asks for and write the answer there, on the first process of the group."""
    from gpaw.mpi import world

    from megabar.workflows.codes.gpaw_calculator import GpawCalculator

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
    if world.rank == 0:
        scratch = folder / f"{ANSWER}.part"
        scratch.write_text(json.dumps(answer), encoding="utf-8")
        scratch.replace(folder / ANSWER)


if __name__ == "__main__":
    answer_request(Path(sys.argv[1]))
