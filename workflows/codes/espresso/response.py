"""Phonons at one q-point, and the response of an insulator to electric fields, with ph.x; no electron-phonon coupling.

They are interrupted, go on and are mended as q-points with coupling are (``phonons.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso.ground import FIXED, HISTORY
from megabar.workflows.codes.espresso.output import output_facts
from megabar.workflows.codes.espresso.phonons import QPoint, mendings_of
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.config import Config
from megabar.workflows.files import packed, write_atomically
from megabar.workflows.mending.record import mended
from megabar.workflows.stopping import stop_wanted

if TYPE_CHECKING:
    from megabar.analysis.phonons.harmonic import Polar
    from megabar.analysis.superconductivity.readers.espresso_dyn import DynamicalMatrix


def run_matrix(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute the dynamical matrices of one q-point and its star, and return the result."""
    point = QPoint(calculation, folder, config, mendings_of(folder, config))
    files, dyn = _computed(point)
    _keep(point, files, _matrices(dyn))
    return _result(point, files, dyn, {})


def run_dielectric(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute ground state, dielectric tensor, Born charges and phonons at Γ of an insulator, and return the result.

    Raises CalculationFailed (``metallic``) where there is no gap on the k-points.
    """
    if calculation.settings.get("occupations") != FIXED:
        raise InputError("the response to a field is that of an insulator: `occupations` must be `fixed`")
    point = QPoint(calculation, folder, config, mendings_of(folder, config), fields=True)
    files, dyn = _computed(point)
    polar = _polar(folder / "dyn1", len(dyn.species))
    _keep(point, files, {**_matrices(dyn), "born_e": polar.born, "dielectric": polar.dielectric})
    facts = output_facts(folder)
    said: dict[str, Any] = {name: facts[name] for name in ("version", "band_gap_eV") if name in facts}
    return _result(point, files, dyn, {**said, "born_violation_e": round(polar.drift, 6)})


def _computed(point: QPoint) -> tuple[dict[str, bytes], DynamicalMatrix]:
    from megabar.analysis.superconductivity.readers.espresso_dyn import read_dyn

    files = mended(point.dynamics, point.mendings, lambda: stop_wanted(point.folder))
    try:
        return files, read_dyn(point.folder / f"dyn{point.number}")
    except InputError as error:
        raise CalculationFailed("incomplete-output", str(error)) from None


def _polar(path: Path, atoms: int) -> Polar:
    from megabar.analysis.phonons.readers.espresso import read_polar

    found = read_polar(path)
    if found is None or len(found.born) != atoms:
        raise CalculationFailed("incomplete-output", "ph.x wrote no dielectric tensor and Born charges at Γ")
    return found


def _matrices(dyn: DynamicalMatrix) -> dict[str, NDArray[Any]]:
    from megabar.analysis.phonons.readers.espresso import matrices_of

    found = matrices_of([dyn])
    return {"q": found.q, "force_constants_eV_A2": found.values}


def _keep(point: QPoint, files: Mapping[str, bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    as_they_are = {name: np.frombuffer(text, np.uint8) for name, text in files.items()}
    write_atomically(point.folder / HISTORY, packed({**arrays, **as_they_are}))


def _result(
    point: QPoint, files: Mapping[str, bytes], dyn: DynamicalMatrix, observables: Mapping[str, Any]
) -> dict[str, Any]:
    structure = point.calculation.structure
    q = dyn.q @ np.array(structure.cell).T / np.linalg.norm(structure.cell[0])
    point.clean_up()
    return {
        "state": "done",
        "volume_A3_per_atom": structure.volume_per_atom,
        "structure": structure.to_dict(),
        "observables": {
            **observables,
            "q_number": point.number,
            "q_fractions": [round(float(each), 6) + 0.0 for each in q],
            "q_points": int(files["dyn0"].split()[3]),
            "frequencies_THz": [round(float(each), 6) for each in dyn.frequencies_THz],
        },
    }
