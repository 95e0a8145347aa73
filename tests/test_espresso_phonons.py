"""A q-point of aluminium by ph.x, told to stop and killed in the middle, with files that are not whole afterwards."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from megabar.analysis.superconductivity.readers.espresso_q import CouplingAtQ, read_coupling
from megabar.workflows.calculation import Calculation, Structure
from megabar.workflows.codes.espresso import ESPRESSO
from megabar.workflows.codes.espresso_ground import run_ground_state
from megabar.workflows.codes.espresso_phonons import GROUND_STATE, PHONON, run_phonon
from megabar.workflows.config import Config
from megabar.workflows.stopping import Stopped, ask_to_stop, forget_stop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ph.x") or not shutil.which("pw.x"), reason="needs Quantum ESPRESSO"),
]
SETTINGS = {
    "functional": "PBE",
    "cutoff_eV": 200.0,
    "density_cutoff_eV": 800.0,
    "kpoints": [4, 4, 4],
    "kpoints_dense": [8, 8, 8],
    "smearing": {"kind": "methfessel-paxton", "width_eV": 0.5},
    "scf_energy_eV": 1e-9,
}
PHONONS = {
    "q_grid": [2, 2, 2],
    "q_number": 3,
    "phonon_threshold": 1e-14,
    "delta_smearing_Ry": 0.02,
    "delta_smearings": 4,
}
IN_SECOND = ("phonons.out", "Representation #   2")
"""While the second of two representations of the q-point is computed."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> tuple[Calculation, Path]:
    """The calculation of the q-point X, and the folder of calculations that holds its ground state."""
    root = tmp_path_factory.mktemp("al")
    data = ESPRESSO.atomic_data(["Al"], "PBE", "fast", {}, Config(data=root))
    made = Calculation("espresso", "6.7", SETTINGS, Structure.of(bulk("Al", a=4.04)), data, task=GROUND_STATE)
    folder = root / "calculations" / made.key[:2] / made.key
    folder.mkdir(parents=True)
    run_ground_state(made, folder, Config(data=root))
    return replace(made, settings={**SETTINGS, **PHONONS}, starts=(made.key,), task=PHONON), root / "calculations"


def compute(calculation: Calculation, folder: Path) -> None:
    try:
        run_phonon(calculation, folder, Config(data=folder.parent.parent.parent))
    except Stopped:
        (folder / "stopped").touch()


def begun(calculation: Calculation, folder: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=lambda: (os.setpgrp(), compute(calculation, folder)))
    process.start()
    return process


def interrupted(
    calculation: Calculation, folder: Path, end: Callable[[multiprocessing.Process], None], at: tuple[str, str]
) -> None:
    """Run a q-point until its output has come to a place, and end it there."""
    folder.mkdir(parents=True)
    process = begun(calculation, folder)
    name, words = at
    while not (folder / name).is_file() or words not in (folder / name).read_text(errors="replace"):
        assert process.is_alive(), "it ended before it was to be interrupted"
        time.sleep(0.005)
    end(process)
    process.join()
    forget_stop(folder)


def killed(process: multiprocessing.Process) -> None:
    os.killpg(process.pid or 0, signal.SIGKILL)


def finished(calculation: Calculation, folder: Path) -> tuple[CouplingAtQ, str]:
    """Go on with a q-point; returns the coupling and which representations ph.x found done."""
    process = begun(calculation, folder)
    process.join()
    lines = (folder / "phonons.out").read_text().splitlines()
    states = [line.split("-")[-1].strip() for line in lines if "modes -" in line]
    return read_coupling(folder / "elph_dir" / "elph.inp_lambda.3"), ", ".join(states)


def test_an_interrupted_q_point_goes_on_and_comes_to_the_same(ground: tuple[Calculation, Path]) -> None:
    calculation, root = ground
    folders = {name: root / "in" / name for name in ("whole", "stopped", "killed", "cut", "empty", "coupling")}
    folders["whole"].mkdir(parents=True)
    whole, states = finished(calculation, folders["whole"])
    assert states == "To be done, To be done"
    assert not (folders["whole"] / "out").exists()
    # On the bands of the phonons: none are computed for the coupling.
    assert "Band Structure" not in (folders["whole"] / "coupling.out").read_text()

    interrupted(calculation, folders["stopped"], lambda _: ask_to_stop(folders["stopped"]), IN_SECOND)
    assert (folders["stopped"] / "stopped").is_file()
    for name in ("killed", "cut", "empty"):
        interrupted(calculation, folders[name], killed, IN_SECOND)
    cut = folders["cut"] / "out" / "_ph0" / "pwscf.phsave" / "dynmat.3.1.xml"
    cut.write_bytes(cut.read_bytes()[:100])
    empty = folders["empty"] / "out" / "_ph0" / "pwscf.q_3" / "pwscf.dvscf1"
    empty.write_bytes(bytes(empty.stat().st_size))
    interrupted(calculation, folders["coupling"], killed, ("coupling.out", "Calculation of q"))
    before = (folders["coupling"] / "phonons.out").stat().st_mtime

    for name, expected in (
        ("stopped", "Done, To be done"),
        ("killed", "Done, To be done"),
        ("cut", "To be done, To be done"),
        ("empty", "To be done, To be done"),
        ("coupling", "To be done, To be done"),
    ):
        found, states = finished(calculation, folders[name])
        assert states == expected, name
        assert found.omega_meV == pytest.approx(whole.omega_meV, abs=1e-3), name
        # Of degenerate bands ph.x interpolates the matrix elements as they come, on k 4×4×4 within some per cent.
        assert np.sum(found.lambda_, axis=1) == pytest.approx(np.sum(whole.lambda_, axis=1), rel=0.1), name
        assert not (folders[name] / "mendings.json").exists(), name
    assert (folders["coupling"] / "phonons.out").stat().st_mtime == before
