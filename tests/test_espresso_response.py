"""Dielectric tensor, Born charges and phonons by ph.x itself: interrupted, mended, and beside displaced supercells."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from megabar.analysis.phonons.harmonic import harmonic
from megabar.analysis.phonons.supercells import finite_moves, supercell_of
from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso import phonons as espresso_phonons
from megabar.workflows.codes.espresso.adapter import ESPRESSO
from megabar.workflows.codes.espresso.programs import EXIT
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import unpacked, write_json
from megabar.workflows.mending.record import steps_taken
from megabar.workflows.parts.lattice import dfpt
from megabar.workflows.parts.method import Method
from megabar.workflows.records import CalculationRecord
from megabar.workflows.stopping import Stopped, ask_to_stop, forget_stop
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.tasks.response import Dielectric, DielectricResult
from megabar.workflows.tasks.single_point import SinglePoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ph.x") or not shutil.which("pw.x"), reason="needs Quantum ESPRESSO"),
]
SETTINGS = {
    "functional": "LDA",
    "cutoff_eV": 400.0,
    "density_cutoff_eV": 2400.0,
    "kpoints": [3, 3, 3],
    "smearing": {"kind": "cold", "width_eV": 0.1},
    "scf_energy_eV": 1e-9,
    "phonon_threshold": 1e-14,
    "occupations": "fixed",
}
IN_FIELDS = ("phonons.out", "Electric Fields Calculation")
IN_SECOND = ("phonons.out", "Representation #   2")
"""While the response to fields is computed, and while the second of two representations is."""


@pytest.fixture(scope="module")
def lih(tmp_path_factory: pytest.TempPathFactory) -> tuple[Calculation, Path]:
    """The calculation of rocksalt LiH's response, and a folder for calculations."""
    root = tmp_path_factory.mktemp("lih")
    data = ESPRESSO.atomic_data(["H", "Li"], "LDA", "fast", {}, Config(data=root))
    structure = Structure.of(bulk("LiH", "rocksalt", a=4.0))
    return Calculation("espresso", "6.7", SETTINGS, structure, data, task=Dielectric()), root / "calculations"


def run(calculation: Calculation, folder: Path) -> dict[str, Any]:
    prepare(folder, calculation, Begin(calculation.structure.atoms()))
    return execute(folder, Config(data=folder.parent.parent.parent))


def begun(calculation: Calculation, folder: Path) -> multiprocessing.Process:
    def work() -> None:
        os.setpgrp()
        with suppress(Stopped):
            run(calculation, folder)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def interrupted(calculation: Calculation, folder: Path, end: Callable[[int], None], at: tuple[str, str]) -> None:
    """Run until the output has come to a place, and end it there; again where that was too late."""
    name, words = at
    saved = folder / "out" / "_ph0" / "pwscf.phsave"
    first, second = saved / "dynmat.1.1.xml", saved / "dynmat.1.2.xml"
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
        if saved.is_dir() and not second.exists() and first.exists() == (at == IN_SECOND):
            return
    raise AssertionError("it was never interrupted in time")


def killed(process: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def stopped(folder: Path) -> Callable[[int], None]:
    def end(process: int) -> None:
        ask_to_stop(folder)
        (folder / EXIT).touch()  # at once, not when the wish is next looked for

    return end


def result_of(calculation: Calculation, folder: Path, result: Mapping[str, Any]) -> DielectricResult:
    record = CalculationRecord(key=calculation.key, calculation={}, **result)
    found: DielectricResult = calculation.task.result(record, arrays_of(folder))
    return found


def arrays_of(folder: Path) -> dict[str, Any]:
    return unpacked((folder / "history.npz").read_bytes())


def representations(folder: Path) -> list[str]:
    lines = (folder / "phonons.out").read_text().splitlines()
    return [line.split("-")[-1].strip() for line in lines if "modes -" in line]


def test_an_interrupted_response_goes_on_and_comes_to_the_same(lih: tuple[Calculation, Path]) -> None:
    calculation, root = lih
    folders = {name: root / "in" / name for name in ("whole", "fields", "stopped", "killed")}
    result = run(calculation, folders["whole"])
    whole = result_of(calculation, folders["whole"], result)
    assert not (folders["whole"] / "out").exists()
    assert representations(folders["whole"]) == ["To be done", "To be done"]
    assert whole.gap_eV == pytest.approx(5.75, abs=0.1) and result["observables"]["q_points"] == 1
    polar = whole.charges.polar
    assert polar.born[0] == pytest.approx(np.eye(3) * polar.born[0, 0, 0], abs=1e-9)
    assert polar.born.sum(axis=0) == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert whole.charges.violation_e == pytest.approx(result["observables"]["born_violation_e"], abs=1e-6)
    masses = calculation.structure.atoms().get_masses()
    assert whole.gamma.matrices.frequencies_THz(masses)[0] == pytest.approx(whole.gamma.frequencies_THz, abs=2e-3)

    interrupted(calculation, folders["fields"], killed, IN_FIELDS)
    interrupted(calculation, folders["killed"], killed, IN_SECOND)
    interrupted(calculation, folders["stopped"], stopped(folders["stopped"]), IN_SECOND)
    for name, expected in (
        ("fields", ["To be done", "To be done"]),
        ("killed", ["Done", "To be done"]),
        ("stopped", ["Done", "To be done"]),
    ):
        found = result_of(calculation, folders[name], run(calculation, folders[name]))
        assert representations(folders[name]) == expected, name
        assert found.charges.polar.born == pytest.approx(polar.born, abs=1e-5), name
        assert found.charges.polar.dielectric == pytest.approx(polar.dielectric, abs=1e-5), name
        assert found.gamma.frequencies_THz == pytest.approx(whole.gamma.frequencies_THz, abs=1e-3), name
        text = (folders[name] / "phonons.out").read_text()
        # What is done of the fields is not done again.
        assert ("Electric Fields Calculation" in text) == (name == "fields"), name
        assert not (folders[name] / "mendings.json").exists(), name


def test_a_response_to_fields_that_does_not_converge_is_mixed_more_gently(
    lih: tuple[Calculation, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ph.x says nothing of it: it ends well, as if it had been told to stop."""
    calculation, root = lih
    monkeypatch.setattr(espresso_phonons, "PATIENCE", 2)
    folder = root / "in" / "impatient"
    result = run(calculation, folder)
    [step] = result["mendings"]
    assert step.startswith("phonon-not-converged: gentler mixing")
    assert result["state"] == "done"


def test_more_bands_leave_the_answer(lih: tuple[Calculation, Path]) -> None:
    calculation, root = lih
    folder, usual = root / "in" / "more", root / "in" / "usual"
    prepare(folder, calculation, Begin(calculation.structure.atoms()))
    write_json(folder / "mendings.json", {"changes": {"more_bands": 1.5}, "steps": ["more"], "open": 1})
    found = result_of(calculation, folder, execute(folder, Config(data=root.parent)))
    expected = result_of(calculation, usual, run(calculation, usual))
    assert found.charges.polar.dielectric == pytest.approx(expected.charges.polar.dielectric, abs=1e-4)
    assert found.gamma.frequencies_THz == pytest.approx(expected.gamma.frequencies_THz, abs=0.01)
    assert steps_taken(folder) == []


def test_a_metal_is_told_as_such(tmp_path: Path) -> None:
    data = ESPRESSO.atomic_data(["Al"], "LDA", "fast", {}, Config(data=tmp_path))
    settings = {
        **SETTINGS,
        "cutoff_eV": 200.0,
        "density_cutoff_eV": 800.0,
        "smearing": {"kind": "cold", "width_eV": 0.5},
    }
    calculation = Calculation("espresso", "6.7", settings, Structure.of(bulk("Al", a=4.0)), data, task=Dielectric())
    result = run(calculation, tmp_path / "calculations" / "in" / "metal")
    assert (result["state"], result["cause"], result["mendings"]) == ("failed", "metallic", [])
    assert result["detail"].startswith("a gap of 0.00 eV on its k-points: a metal screens every field")
    smeared = replace(calculation, settings={name: each for name, each in settings.items() if name != "occupations"})
    with pytest.raises(InputError, match="must be `fixed`"):
        run(smeared, tmp_path / "calculations" / "in" / "smeared")


class Played:
    """A site's calculations, run one after the other as they are wanted."""

    def __init__(self, site: dfpt.PerturbedSite, root: Path) -> None:
        self.site, self.root = site, root
        self.rungs: list[dict[str, Any]] = []
        self.records: dict[str, CalculationRecord] = {}

    def folder(self, key: str) -> Path:
        return self.root / "calculations" / key[:2] / key

    def histories(self, key: str) -> dict[str, Any]:
        return arrays_of(self.folder(key))

    @property
    def state(self) -> dfpt.PerturbedState:
        return self.site.state(self.rungs, self.records)

    def play(self) -> dfpt.PerturbedState:
        while found := dfpt.wanted(self.state):
            for rung in found:
                calculation = self.calculation(rung.to_dict())
                assert calculation.key == rung.key
                result = run(calculation, self.folder(rung.key))
                self.records[rung.key] = CalculationRecord(key=rung.key, calculation={}, **result)
                self.rungs.append(rung.to_dict())
        return self.state

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        return self.site.calculation(rung)


@pytest.mark.slow
@pytest.mark.thorough
def test_silicon_by_perturbation_and_by_displacement(tmp_path: Path) -> None:
    """The same crystal by ph.x on q 2×2×2 and by one displaced atom in the supercell of these q.

    The k-points are the same ones for both, and too few for silicon itself.
    """
    atoms = bulk("Si", a=5.40)
    data = ESPRESSO.atomic_data(["Si"], "LDA", "fast", {}, Config(data=tmp_path))
    settings = {
        "functional": "LDA",
        "cutoff_eV": 250.0,
        "density_cutoff_eV": 1500.0,
        "kpoints": [2, 2, 2],
        # Not cold: with that pw.x finds a Fermi level in the valence bands here, and forces that are off by a tenth.
        "smearing": {"kind": "gaussian", "width_eV": 0.01},
        "scf_energy_eV": 1e-10,
    }
    method = Method("espresso", "6.7", "fast", "LDA", data)
    identity = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    site = dfpt.PerturbedSite("Si", Structure.of(atoms), "relaxed", identity, method, settings, (2, 2, 2), True)
    played = Played(site, tmp_path)
    state = played.play()
    assert state.complete and not state.failed
    assert sorted((rung["kind"], rung["index"]) for rung in played.rungs) == [
        ("dfpt-ground-state", 0),
        ("dielectric", 0),
        ("dynamical-matrix", 2),
        ("dynamical-matrix", 3),
    ]
    perturbed = dfpt.perturbed_constants(state, played.histories)
    assert perturbed is not None and perturbed.polar is not None
    assert perturbed.polar.born == pytest.approx(np.zeros((2, 3, 3)), abs=1e-9)  # by symmetry, with the sum rule

    matrix = 2 * np.eye(3, dtype=int)
    [(atom, move)] = finite_moves(site.cell, matrix, np.eye(3), 0.01)
    supercell, moved = supercell_of(site.cell, matrix), np.zeros((16, 3))
    moved[atom] = move
    forces = []
    for sign in (1, -1):  # without the third order
        displaced = supercell.copy()
        displaced.positions += sign * moved
        own = {**settings, "kpoints": [1, 1, 1], "constant_cutoff": {"from_eV": 0.0, "width_eV": 0.0, "height_eV": 0.0}}
        calculation = Calculation("espresso", "6.7", own, Structure.of(displaced), data, task=SinglePoint(forces=True))
        folder = tmp_path / "calculations" / "in" / f"displaced{sign}"
        assert run(calculation, folder)["state"] == "done"
        forces.append(sign * arrays_of(folder)["forces_eV_A"][-1])
    mean = np.mean(forces, axis=0)
    displaced = harmonic(site.cell, matrix, np.eye(3), moved[None], (mean - mean.mean(axis=0))[None])
    q = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0]]
    one, other = perturbed.modes(q).frequencies_THz, displaced.modes(q).frequencies_THz
    # Within 0.03 THz, or within 0.2% of the force of an atom on itself, which is much of the frequency of a soft mode.
    squares = np.abs(one * np.abs(one) - other * np.abs(other))
    assert np.all((np.abs(one - other) < 0.03) | (squares < 0.3)), (one, other)


def test_a_failed_gap_stands_for_the_site(tmp_path: Path) -> None:
    """A metal taken for an insulator: what cannot be is told, and nothing further is wanted."""
    data = ESPRESSO.atomic_data(["Al"], "LDA", "fast", {}, Config(data=tmp_path))
    settings = {
        **SETTINGS,
        "cutoff_eV": 200.0,
        "density_cutoff_eV": 800.0,
        "smearing": {"kind": "cold", "width_eV": 0.5},
    }
    method = Method("espresso", "6.7", "fast", "LDA", data)
    identity = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    site = dfpt.PerturbedSite("Al", Structure.of(bulk("Al", a=4.0)), "it", identity, method, settings, None, True)
    played = Played(site, tmp_path)
    state = played.play()
    assert [played.records[key].cause for key in state.failed] == ["metallic"]
    assert not state.complete and dfpt.charges_of(state, played.histories) is None
