"""The ground state that ph.x starts from: pw.x, for electron-phonon coupling on two k-grids with one prefix.

Where the settings have ``kpoints_dense``, first on that grid with ``la2F`` (eigenvalues for the double delta, and for
N(ε)); then on the grid that ph.x works on. Where they ask for ``fixed`` occupations, once more with these, if there is
a gap: with a smearing ph.x takes a crystal for a metal. What they leave stays in the calculation's folder. The smooth
kinetic energy of a constant cutoff, which energies of compressed solids need, is no part of this: ph.x does not know of
it (its second-order changes take the plain kinetic energy).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso.dos import density_of_states_of
from megabar.workflows.codes.espresso.inputs import parameters, place_pseudopotentials
from megabar.workflows.codes.espresso.output import check_output, number_of_bands, output_facts
from megabar.workflows.codes.espresso.pw import run_pw
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.running import terminate
from megabar.workflows.config import Config
from megabar.workflows.files import packed, read_json, sha256_of_file, text_of_file, write_atomically, write_json
from megabar.workflows.mending.espresso import DEFAULTS
from megabar.workflows.mending.record import note_step, of_a_stop
from megabar.workflows.stopping import Stopped, stop_wanted
from megabar.workflows.tasks.electrons import AT_FERMI, STATES

OUT, NOTE, HISTORY = "out", "ground-state.json", "history.npz"
MENDINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "metallic": (),
    "too-few-bands": ({"more_bands": 1.5},),
    "diagonalization-failed": ({"diagonalization": "cg"},),
}
SLOWER: tuple[dict[str, Any], ...] = ({"mixing_beta": 0.3, "electron_maxstep": 200}, {"mixing_beta": 0.1})
"""What is done differently where a self-consistency fails; ``SLOWER`` for all that has no entry."""
LARGEST_GAP_EV, LEAST_AT_FERMI = 0.1, 1e-3
"""Gap, and density of states at the Fermi level as a share of its mean, from which a structure is an insulator."""
DENSE, USUAL, FIXED = "dense", "usual", "fixed"
"""The runs of pw.x; the last is the value of the setting ``occupations`` too."""
_FREE = ("ecfixed", "qcutz", "q2sigma")


def run_ground_state(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute the ground state, keep it in the folder, and return the result; with a dense k-grid its array is N(ε)."""
    facts = ground_state(calculation, folder, config)
    if "kpoints_dense" not in calculation.settings:
        return _result(calculation, facts)
    arrays, of_dos = density_of_states_of(folder / OUT, calculation.structure, text_of_file(folder / "espresso.pwo"))
    if (facts.get("band_gap_eV") or 0.0) > LARGEST_GAP_EV:
        raise CalculationFailed(
            "insulating",
            f"a gap of {facts['band_gap_eV']:.2f} eV at the Fermi level: an insulator has no α²F and no Tc",
        )
    if arrays:
        at_fermi, mean = of_dos[AT_FERMI], float(arrays[STATES].mean())
        if at_fermi <= LEAST_AT_FERMI * mean:
            raise CalculationFailed(
                "insulating",
                f"{at_fermi:.3g} states/eV/spin/cell at the Fermi level, {mean:.3g} on average: an insulator has no Tc",
            )
        write_atomically(folder / HISTORY, packed(arrays))
    return _result(calculation, facts | of_dos)


def _result(calculation: Calculation, observables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": "done",
        "volume_A3_per_atom": calculation.structure.volume_per_atom,
        "structure": calculation.structure.to_dict(),
        "observables": dict(observables),
    }


def ground_state(
    calculation: Calculation, folder: Path, config: Config, begin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run pw.x on the dense grid, where there is one, and on that of ph.x; notes what lies there.

    Returns facts of the last run. begin: path settings to begin with: ``nbnd``. Raises CalculationFailed (``metallic``)
    where occupations are to be fixed and there is no gap.
    """
    place_pseudopotentials(calculation.data, folder / "pseudo")
    (folder / NOTE).unlink(missing_ok=True)
    steps: list[dict[str, Any]] = [dict(begin or {})]
    tried: list[dict[str, Any]] = []
    while True:
        try:
            shutil.rmtree(folder / OUT, ignore_errors=True)
            if "kpoints_dense" in calculation.settings:
                _scf(calculation, folder, config, DENSE, steps[-1])
            _scf(calculation, folder, config, USUAL, steps[-1])
            if calculation.settings.get("occupations") == FIXED:
                _check_gap(folder)
                _scf(calculation, folder, config, FIXED, {"nbnd": number_of_bands(folder), **steps[-1]})
            break
        except CalculationFailed as failure:
            if of_a_stop(failure, lambda: stop_wanted(folder)):
                raise Stopped from failure
            further = next((each for each in MENDINGS.get(failure.cause, SLOWER) if each not in tried), None)
            if further is None or failure.cause in ("killed", "disk-full", "out-of-memory", "cannot-start"):
                raise
            tried.append(further)
            changes = _with_number(further, folder)
            note_step(folder, f"{failure.cause}: ground state with {', '.join(f'{k} {v}' for k, v in changes.items())}")
            steps.append({**(begin or {}), **changes})
    facts = output_facts(folder)
    write_json(folder / NOTE, {"files": digests(folder / OUT), "facts": facts})
    return {**facts, "changed": steps[-1]} if steps[-1] else facts


def _check_gap(folder: Path) -> None:
    gap = output_facts(folder).get("band_gap_eV") or 0.0
    if gap <= LARGEST_GAP_EV:
        raise CalculationFailed(
            "metallic",
            f"a gap of {gap:.2f} eV on its k-points: a metal screens every field and has neither Born charges nor a "
            "dielectric constant; its phonons need no correction for them",
        )


def _scf(calculation: Calculation, folder: Path, config: Config, which: str, changes: Mapping[str, Any]) -> None:
    """Run pw.x: on the ``dense`` grid, the ``usual`` one, or on that with ``fixed`` occupations from its density."""
    settings, atoms, dense = dict(calculation.settings), calculation.structure.atoms(), which == DENSE
    if dense:
        settings["kpoints"] = settings["kpoints_dense"]
    path = {**DEFAULTS, **changes, **({"start": "density"} if which == FIXED else {})}
    settings["constant_cutoff"] = {"from_eV": 0.0, "width_eV": 0.0, "height_eV": 0.0}
    made = parameters(settings, calculation.data, atoms, path)
    system = made["input_data"]["system"]
    for name in _FREE:
        del system[name]
    if which == FIXED:
        del system["smearing"], system["degauss"]
        system["occupations"] = FIXED
    if dense:
        system["la2F"] = True
    if stop_wanted(folder):
        raise Stopped
    command = [*config.code("espresso").launch, *(config.code("espresso").command or ("pw.x",))]
    check_output(folder, run_pw(command, folder, atoms, made, terminate))
    if dense and not (folder / OUT / "pwscf.a2Fsave").is_file():
        raise CalculationFailed("incomplete-output", "pw.x wrote no a2Fsave on the dense grid of k-points")


def take_ground_state(calculation: Calculation, folder: Path, config: Config, more_bands: float = 1.0) -> None:
    """Have the ground state in the folder of a q-point: copied, or computed here where it is not to be had whole.

    Without an input that is one it is computed here. more_bands: factor of their number; it is computed again then.
    """
    place_pseudopotentials(calculation.data, folder / "pseudo")
    shutil.rmtree(folder / OUT, ignore_errors=True)
    ground = next((each.key for each in calculation.inputs if each.role == "ground-state"), None)
    source = folder if ground is None else folder.parent.parent / ground[:2] / ground
    note = None if ground is None else read_json(source / NOTE)
    if more_bands == 1.0 and isinstance(note, dict) and note.get("files"):
        try:
            shutil.copytree(source / OUT, folder / OUT)
            if digests(folder / OUT) == note["files"]:
                return
        except (OSError, shutil.Error):
            pass
    if more_bands == 1.0:
        ground_state(calculation, folder, config)
        return
    if number_of_bands(source) is None:
        ground_state(calculation, folder, config)
        source = folder
    ground_state(calculation, folder, config, _with_number({"more_bands": more_bands}, source))


def _with_number(changes: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return changes with the number of bands instead of its ratio to that of the run in a folder."""
    found = {name: value for name, value in changes.items() if name != "more_bands"}
    if "more_bands" in changes:
        found["nbnd"] = math.ceil(changes["more_bands"] * (number_of_bands(folder) or 8))
    return found


def digests(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """Return the hash of every file in a folder, by its place there."""
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): sha256_of_file(path) for path in paths}
