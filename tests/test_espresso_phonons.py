"""A q-point of aluminium by ph.x, told to stop and killed in the middle, with files that are not whole afterwards."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from megabar.analysis.superconductivity.readers.espresso_q import CouplingAtQ, read_coupling
from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.codes.espresso import phonons as espresso_phonons
from megabar.workflows.codes.espresso.adapter import ESPRESSO
from megabar.workflows.codes.espresso.ground import run_ground_state
from megabar.workflows.codes.espresso.output import number_of_bands
from megabar.workflows.codes.espresso.phonons import run_phonon
from megabar.workflows.codes.espresso.programs import EXIT
from megabar.workflows.config import Config
from megabar.workflows.files import write_json
from megabar.workflows.mending.record import steps_taken
from megabar.workflows.stopping import Stopped, ask_to_stop, forget_stop
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import GroundState, PhononQ

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
    made = Calculation("espresso", "6.7", SETTINGS, Structure.of(bulk("Al", a=4.04)), data, task=GroundState())
    folder = root / "calculations" / made.key[:2] / made.key
    folder.mkdir(parents=True)
    run_ground_state(made, folder, Config(data=root))
    return replace(
        made, settings={**SETTINGS, **PHONONS}, inputs=inputs_of(PhononQ(), [made.key]), task=PhononQ()
    ), root / "calculations"


def compute(calculation: Calculation, folder: Path) -> None:
    try:
        run_phonon(calculation, folder, Config(data=folder.parent.parent.parent))
    except Stopped:
        (folder / "stopped").touch()


def begun(calculation: Calculation, folder: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=lambda: (os.setpgrp(), compute(calculation, folder)))
    process.start()
    return process


def interrupted(calculation: Calculation, folder: Path, end: Callable[[int], None], at: tuple[str, str]) -> None:
    """Run a q-point until its output has come to a place, and end it there; again where that was too late."""
    name, words = at
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        process = begun(calculation, folder)
        output = folder / name
        while process.is_alive() and not (output.is_file() and words in output.read_text(errors="replace")):
            time.sleep(0.002)
        end(process.pid or 0)
        process.join()
        forget_stop(folder)
        if in_the_middle(folder, name):
            return
    raise AssertionError("it was never interrupted in time")


def in_the_middle(folder: Path, name: str) -> bool:
    saved = folder / "out" / "_ph0" / "pwscf.phsave"
    if name == "coupling.out":
        return saved.is_dir()
    return (saved / "dynmat.3.1.xml").is_file() and not (saved / "dynmat.3.2.xml").is_file()


def stopped(folder: Path) -> Callable[[int], None]:
    def end(process: int) -> None:
        ask_to_stop(folder)
        (folder / EXIT).touch()  # at once, not when the wish is next looked for

    return end


def killed(process: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def finished(calculation: Calculation, folder: Path) -> tuple[CouplingAtQ, str]:
    """Go on with a q-point; returns the coupling and which representations ph.x found done."""
    process = begun(calculation, folder)
    process.join()
    lines = (folder / "phonons.out").read_text().splitlines()
    states = [line.split("-")[-1].strip() for line in lines if "modes -" in line]
    return read_coupling(folder / "elph_dir" / "elph.inp_lambda.3"), ", ".join(states)


@pytest.mark.parametrize(
    "changes", [{"more_bands": 1.5}, {"alpha_mix": 0.3, "nmix_ph": 5, "diagonalization": "cg", "search_sym": False}]
)
def test_what_mends_leaves_the_answer(ground: tuple[Calculation, Path], changes: dict[str, Any]) -> None:
    """The changes that handlers make to ph.x, of which more bands needs a ground state of its own."""
    calculation, root = ground
    folder = root / "in" / next(iter(changes))
    folder.mkdir(parents=True)
    write_json(folder / "mendings.json", {"changes": changes, "steps": [], "open": 1})
    found, _ = finished(calculation, folder)
    usual = root / calculation.starts[0][:2] / calculation.starts[0]
    if "more_bands" in changes:
        assert number_of_bands(folder) == 1.5 * (number_of_bands(usual) or 0)
    else:
        assert number_of_bands(folder) is None
    assert found.omega_meV == pytest.approx([11.286, 11.286, 38.808], abs=0.01)


def test_ph_that_does_not_converge_is_mixed_more_gently(
    ground: tuple[Calculation, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calculation, root = ground
    monkeypatch.setattr(espresso_phonons, "PATIENCE", 2)
    folder = root / "in" / "impatient"
    folder.mkdir(parents=True)
    found, _ = finished(calculation, folder)
    [step] = steps_taken(folder)
    assert step.startswith("phonon-not-converged: gentler mixing")
    assert found.omega_meV == pytest.approx([11.286, 11.286, 38.808], abs=0.01)


def test_an_interrupted_q_point_goes_on_and_comes_to_the_same(ground: tuple[Calculation, Path]) -> None:
    calculation, root = ground
    folders = {name: root / "in" / name for name in ("whole", "stopped", "killed", "cut", "empty", "coupling")}
    folders["whole"].mkdir(parents=True)
    whole, states = finished(calculation, folders["whole"])
    assert states == "To be done, To be done"
    assert not (folders["whole"] / "out").exists()
    # On the bands of the phonons: none are computed for the coupling.
    assert "Band Structure" not in (folders["whole"] / "coupling.out").read_text()

    interrupted(calculation, folders["stopped"], stopped(folders["stopped"]), IN_SECOND)
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
