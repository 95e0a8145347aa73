"""Quantum ESPRESSO's way to electron-phonon coupling: the ground state on two k-grids, then ph.x, one q-point a run.

``ground-state``: pw.x on the dense grid with ``la2F`` (eigenvalues for the double delta), then on the grid that ph.x
works on, with one prefix; what they leave stays in the calculation's folder. ``phonon``: ph.x at one q-point of a grid
(``start_q = last_q``, ``electron_phonon = 'interpolated'``), on a copy of that. Where it is not to be had, the ground
state is computed again beside it. A q-point that is interrupted begins again: ``recover`` loses electron-phonon data
before version 7.0.

The smooth kinetic energy of a constant cutoff, which energies of compressed solids need, is no part of this: ph.x does
not know of it (its second-order changes take the plain kinetic energy).
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from megabar.structures.errors import InputError, SetupError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso_dos import density_of_states_of
from megabar.workflows.codes.espresso_input import parameters, place_pseudopotentials
from megabar.workflows.codes.espresso_output import check_output, error_message, output_facts
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.running import Process, Stop, run_program, terminate, wait_for_stop
from megabar.workflows.config import Config
from megabar.workflows.files import packed, read_json, write_atomically, write_json
from megabar.workflows.mending.espresso import DEFAULTS
from megabar.workflows.stopping import Stopped, stop_wanted

GROUND_STATE, PHONON = "ground-state", "phonon"
OUT, NOTE, HISTORY = "out", "ground-state.json", "history.npz"
MENDINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "too-few-bands": ({"more_bands": 1.5},),
    "diagonalization-failed": ({"diagonalization": "cg"},),
}
SLOWER: tuple[dict[str, Any], ...] = ({"mixing_beta": 0.3, "electron_maxstep": 200}, {"mixing_beta": 0.1})
"""What is done differently where a self-consistency fails; ``SLOWER`` for all that has no entry."""
LARGEST_GAP_EV = 0.1
_FREE = ("ecfixed", "qcutz", "q2sigma")


def run_ground_state(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute the ground state on both k-grids, keep it in the folder, and return the result; its array is N(ε)."""
    facts = _ground_state(calculation, folder, config)
    arrays, of_dos = density_of_states_of(folder / OUT, calculation.structure, _text(folder / "espresso.pwo"))
    if (facts.get("band_gap_eV") or 0.0) > LARGEST_GAP_EV:
        raise CalculationFailed(
            "insulating",
            f"a gap of {facts['band_gap_eV']:.2f} eV at the Fermi level: an insulator has no α²F and no Tc",
        )
    write_atomically(folder / HISTORY, packed(arrays))
    return {
        "state": "done",
        "volume_A3_per_atom": calculation.structure.volume_per_atom,
        "structure": _plain(calculation),
        "observables": facts | of_dos,
    }


def run_phonon(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute phonons and electron-phonon matrix elements at one q-point, and return the result.

    The files of ph.x (dyn0, dynN, elph.inp_lambda.N, a2Fq2r.*.N) are kept as the calculation's arrays.
    """
    settings, number = calculation.settings, int(calculation.settings["q_number"])
    _take_ground_state(calculation, folder, config)
    for path in (*folder.glob("dyn*"), folder / "CRASH"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "elph_dir", ignore_errors=True)
    (folder / "phonon.in").write_text(_phonon_input(settings))
    code = _run(_phonon_command(config), "phonon.in", folder, "phonon.out")
    _check_phonon(folder, code, number)
    files = _phonon_files(folder, number)
    from megabar.analysis.superconductivity.readers.espresso_q import read_coupling

    try:
        coupling = read_coupling(folder / "elph_dir" / f"elph.inp_lambda.{number}")
    except InputError as error:
        raise CalculationFailed("unusable-coupling", str(error)) from None
    write_atomically(folder / HISTORY, packed({name: np.frombuffer(text, np.uint8) for name, text in files.items()}))
    shutil.rmtree(folder / OUT, ignore_errors=True)
    cell = np.array(calculation.structure.cell)
    fractions = cell @ np.array(coupling.q) / np.linalg.norm(cell[0])
    return {
        "state": "done",
        "volume_A3_per_atom": calculation.structure.volume_per_atom,
        "structure": _plain(calculation),
        "observables": {
            "q_number": number,
            "q_fractions": [round(float(each), 6) + 0.0 for each in fractions],
            "q_points": int(files["dyn0"].split()[3]),
            "frequencies_meV": [round(float(each), 4) for each in coupling.omega_meV],
        },
    }


TASKS: Mapping[str, Callable[[Calculation, Path, Config], dict[str, Any]]] = {
    GROUND_STATE: run_ground_state,
    PHONON: run_phonon,
}


def _plain(calculation: Calculation) -> dict[str, Any]:
    return calculation.structure.to_dict()


def _ground_state(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Run pw.x on the dense grid and on that of ph.x; returns facts of the latter and notes what lies there."""
    place_pseudopotentials(calculation.data, folder / "pseudo")
    (folder / NOTE).unlink(missing_ok=True)
    steps: list[dict[str, Any]] = [{}]
    while True:
        try:
            shutil.rmtree(folder / OUT, ignore_errors=True)
            _scf(calculation, folder, config, dense=True, changes=steps[-1])
            _scf(calculation, folder, config, dense=False, changes=steps[-1])
            break
        except CalculationFailed as failure:
            further = next((each for each in MENDINGS.get(failure.cause, SLOWER) if each not in steps), None)
            if further is None or failure.cause in ("killed", "disk-full", "out-of-memory", "cannot-start"):
                raise
            steps.append(further)
    facts = output_facts(folder)
    write_json(folder / NOTE, {"files": _digests(folder / OUT), "facts": facts})
    return {**facts, "changed": steps[-1]} if steps[-1] else facts


def _scf(calculation: Calculation, folder: Path, config: Config, dense: bool, changes: Mapping[str, Any]) -> None:
    from ase.calculators.espresso import EspressoProfile, EspressoTemplate

    settings, atoms = dict(calculation.settings), calculation.structure.atoms()
    if dense:
        settings["kpoints"] = settings["kpoints_dense"]
    path = {**DEFAULTS, **{name: value for name, value in changes.items() if name != "more_bands"}}
    if "more_bands" in changes:
        path["nbnd"] = int(changes["more_bands"] * _bands(folder)) + 1
    settings["constant_cutoff"] = {"from_eV": 0.0, "width_eV": 0.0, "height_eV": 0.0}
    made = parameters(settings, calculation.data, atoms, path)
    system = made["input_data"]["system"]
    for name in _FREE:
        del system[name]
    if dense:
        system["la2F"] = True
    template = EspressoTemplate()
    command = [*config.code("espresso").launch, *(config.code("espresso").command or ("pw.x",))]
    template.write_input(EspressoProfile(shlex.join(command), pseudo_dir="./pseudo"), folder, atoms, made, ["energy"])
    code = _run([*command, "-in", template.inputname], None, folder, template.outputname)
    check_output(folder, code)
    if dense and not (folder / OUT / "pwscf.a2Fsave").is_file():
        raise CalculationFailed("incomplete-output", "pw.x wrote no a2Fsave on the dense grid of k-points")


def _bands(folder: Path) -> int:
    from megabar.workflows.codes.espresso_output import number_of_bands

    return number_of_bands(folder) or 8


def _take_ground_state(calculation: Calculation, folder: Path, config: Config) -> None:
    """Have the ground state in the folder of a q-point: copied, or computed again where it is not to be had whole."""
    place_pseudopotentials(calculation.data, folder / "pseudo")
    shutil.rmtree(folder / OUT, ignore_errors=True)
    key = calculation.starts[0]
    source = folder.parent.parent / key[:2] / key
    note = read_json(source / NOTE)
    if isinstance(note, dict) and note.get("files"):
        try:
            shutil.copytree(source / OUT, folder / OUT)
            if _digests(folder / OUT) == note["files"]:
                return
        except (OSError, shutil.Error):
            pass
    _ground_state(calculation, folder, config)


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _phonon_input(settings: Mapping[str, Any]) -> str:
    grid, number = settings["q_grid"], settings["q_number"]
    values: dict[str, str] = {
        "prefix": "'pwscf'",
        "outdir": "'./out'",
        "fildyn": "'dyn'",
        "fildvscf": "'dvscf'",
        "tr2_ph": f"{settings['phonon_threshold']:.1e}".replace("e", "d"),
        "ldisp": ".true.",
        **{f"nq{axis}": str(count) for axis, count in enumerate(grid, 1)},
        "start_q": str(number),
        "last_q": str(number),
        "electron_phonon": "'interpolated'",
        "el_ph_sigma": f"{settings['delta_smearing_Ry']}",
        "el_ph_nsigma": f"{settings['delta_smearings']}",
    }
    lines = "".join(f"  {name} = {value}\n" for name, value in values.items())
    return f"phonons and electron-phonon coupling at one q-point\n&inputph\n{lines}/\n"


def _phonon_command(config: Config) -> list[str]:
    """Return ph.x with its input: beside a configured pw.x, else on the path, launched and divided as pw.x is."""
    configured = config.code("espresso")
    return [*configured.launch, phonon_program(config), *configured.command[1:], "-in", "phonon.in"]


def phonon_program(config: Config) -> str:
    """Return ph.x; raises SetupError that says how to get it where it is missing."""
    words = config.code("espresso").command
    beside = Path(words[0]).with_name("ph.x") if words and "/" in words[0] else None
    found = str(beside) if beside is not None and beside.is_file() else shutil.which("ph.x")
    if found is None:
        raise SetupError(
            "Quantum ESPRESSO: ph.x was not found beside pw.x or on the path; install it (Debian, Ubuntu: apt-get "
            "install quantum-espresso) or set MEGABAR_ESPRESSO_COMMAND to a pw.x that has ph.x beside it"
        )
    return found


def _run(command: Sequence[str], input_name: str | None, folder: Path, output: str) -> int:
    """Run a program to its end and return its exit code; raises Stopped where it was told to stop."""
    told = False

    def tell(process: Process) -> None:
        nonlocal told
        told = True
        terminate(process)

    if stop_wanted(folder):
        raise Stopped
    (folder / "CRASH").unlink(missing_ok=True)
    environment = {"OMP_NUM_THREADS": "1", "GFORTRAN_UNBUFFERED_ALL": "1"}
    try:
        stop = Stop(lambda: stop_wanted(folder), tell)
        code = run_program(command, folder, folder / output, folder / "espresso.err", stop, environment)
    except SetupError as error:
        raise CalculationFailed("cannot-start", str(error)) from None
    if told or (code < 0 and wait_for_stop(lambda: stop_wanted(folder))):
        raise Stopped
    return code


def _check_phonon(folder: Path, code: int, number: int) -> None:
    """Raise CalculationFailed unless ph.x finished and converged."""
    output = _text(folder / "phonon.out")
    said = output + "\n" + _text(folder / "CRASH") + "\n" + _text(folder / "espresso.err")
    error = error_message(said)
    if "No convergence has been achieved" in output or "convergence NOT achieved" in output:
        raise CalculationFailed("phonon-not-converged", f"ph.x did not converge at q-point {number}")
    if error:
        raise CalculationFailed("error", error)
    if re.search(r"No space left on device", said):
        raise CalculationFailed("disk-full", "No space left on device")
    if code < 0:
        raise CalculationFailed("killed", f"ph.x was ended by signal {-code} at q-point {number}")
    if code != 0 or "JOB DONE" not in output:
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "(none)")
        raise CalculationFailed("incomplete-output", f"ph.x ended with code {code}; last output: {last}")


def _phonon_files(folder: Path, number: int) -> dict[str, bytes]:
    """Return the files that ph.x wrote for one q-point, by name; raises CalculationFailed where one is missing."""
    paths = [folder / "dyn0", folder / f"dyn{number}", folder / "elph_dir" / f"elph.inp_lambda.{number}"]
    for path in paths:
        if not path.is_file():
            raise CalculationFailed("incomplete-output", f"ph.x wrote no {path.name}")
    gamma = sorted((folder / "elph_dir").glob(f"a2Fq2r.*.{number}"))
    return {path.name: path.read_bytes() for path in (*paths, *gamma)}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
