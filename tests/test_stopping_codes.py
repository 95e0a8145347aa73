"""A calculation told to stop stops, keeps what it has, and goes on: the toy code, real pw.x, GPAW, Elk and ABINIT."""

from __future__ import annotations

import json
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.structures.contacts import shortest_distances
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import CodeConfig, Config
from megabar.workflows.execution import execute, finished, prepare
from megabar.workflows.files import read_json, unpacked, write_json
from megabar.workflows.folder import HISTORY, RESULT, SPENT, STATE
from megabar.workflows.stopping import Stopped, ask_to_stop, forget_stop
from megabar.workflows.structure import Structure
from megabar.workflows.tasks import relaxing
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.single_point import SinglePoint

needs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or shutil.which("ld1.x") is None, reason="Quantum ESPRESSO is not installed"
)
needs_elk = pytest.mark.skipif(shutil.which("elk-lapw") is None, reason="elk-lapw is not installed")
needs_abinit = pytest.mark.skipif(shutil.which("abinit") is None, reason="abinit is not installed")
SODIUM = bulk("Na", "bcc", a=3.6)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(data=tmp_path_factory.mktemp("data"))


def calculation(
    name: str, atoms: Atoms, config: Config, relaxation: Relax | None = None, **changes: Any
) -> Calculation:
    adapter = code(name)
    elements = sorted(set(atoms.get_chemical_symbols()))
    functional = adapter.functionals[0]
    data = adapter.atomic_data(elements, functional, "fast", shortest_distances(atoms), config)
    settings = adapter.settings(Request(atoms, "fast", functional, False, data)) | changes
    return Calculation(name, "1", settings, Structure.of(atoms), tuple(data), relaxation or SinglePoint())


def prepared(folder: Path, item: Calculation) -> Path:
    prepare(folder, item, Begin(item.structure.atoms()))
    return folder


def stop_when(folder: Path, ready: Callable[[], bool], config: Config) -> float:
    """Run the calculation of a folder, tell it to stop once something is so, and return how long that took (s)."""
    asked = []

    def watch() -> None:
        until = time.monotonic() + 120
        while not ready() and time.monotonic() < until:
            time.sleep(0.01)
        asked.append(time.monotonic())
        ask_to_stop(folder)

    thread = threading.Thread(target=watch)
    thread.start()
    with pytest.raises(Stopped):
        execute(folder, config)
    ended = time.monotonic()
    thread.join()
    assert finished(folder) is None
    forget_stop(folder)
    return ended - asked[0]


def says(path: Path, words: str) -> Callable[[], bool]:
    return lambda: path.exists() and words in path.read_text(errors="replace")


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        del content[len(content) // 2 :]
    else:
        dice = random.Random(1)
        for _ in range(500):
            content[dice.randrange(len(content) // 4, len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


# --- a relaxation, whatever the code -------------------------------------------------------------------------------

LIMITS = Relax(force_eV_A=0.005, stress_GPa=0.05, shape=True)


def distorted_copper() -> Atoms:
    atoms = bulk("Cu", "hcp", a=2.4, c=4.3)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.mark.parametrize("after", [1, 2, 5])
@pytest.mark.slow
def test_an_interrupted_relaxation_takes_the_steps_of_one_that_was_not(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    item = calculation("emt", distorted_copper(), config, LIMITS)
    whole = execute(prepared(tmp_path / "whole", item), config)
    folder = prepared(tmp_path / "parts", item)
    computed, walls = [], []

    def write_and_stop(path: Path, content: Any) -> None:
        write_json(path, content)
        if path.name == STATE:
            computed.append(content["steps"][-1]["energy_eV"])
            walls.append(content["wall_s"])
            if len(computed) % after == 0:
                ask_to_stop(folder)

    monkeypatch.setattr(relaxing, "write_json", write_and_stop)
    parts = 0
    while finished(folder) is None:
        parts += 1
        forget_stop(folder)
        try:
            result = execute(folder, config)
        except Stopped:
            assert not (folder / RESULT).exists()
    assert parts > 1
    assert result["ionic_steps"] == whole["ionic_steps"] > 5
    assert len(computed) == whole["ionic_steps"]  # none was computed twice
    assert walls == sorted(walls)  # the time of one part is not forgotten by the next
    assert result["provenance"]["wall_s"] >= walls[-1] > result["provenance"]["interrupted_wall_s"] > 0
    one, other = (unpacked((tmp_path / name / HISTORY).read_bytes()) for name in ("whole", "parts"))
    for name in ("energy_eV", "cell_A", "positions", "stress_GPa"):
        assert other[name] == pytest.approx(one[name], abs=1e-7), name
    assert result["stiffness_eV_A2"] == pytest.approx(whole["stiffness_eV_A2"], rel=1e-5)


def test_one_that_was_killed_at_its_last_step_ends_with_that_step(tmp_path: Path, config: Config) -> None:
    item = calculation("emt", distorted_copper(), config, LIMITS)
    whole = execute(prepared(tmp_path / "whole", item), config)
    history = unpacked((tmp_path / "whole" / HISTORY).read_bytes())
    steps = [
        {name: array[number].tolist() for name, array in history.items()} for number in range(len(history["cell_A"]))
    ]
    folder = prepared(tmp_path / "killed", item)
    write_json(folder / STATE, {"steps": steps, "wall_s": 1000.0, "cpu_s": 900.0})
    result = execute(folder, config)
    assert result["ionic_steps"] == whole["ionic_steps"]
    assert result["provenance"]["interrupted_wall_s"] == 1000.0
    assert result["provenance"]["cpu_s"] > 900.0
    assert result["energy_eV_per_atom"] == pytest.approx(whole["energy_eV_per_atom"], abs=1e-9)


def test_the_steps_of_all_parts_together_are_limited(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Relax(force_eV_A=1e-9, stress_GPa=1e-9, shape=True, max_steps=4)
    folder = prepared(tmp_path / "parts", calculation("emt", distorted_copper(), config, limits))

    def write_and_stop(path: Path, content: Any) -> None:
        write_json(path, content)
        ask_to_stop(folder)

    monkeypatch.setattr(relaxing, "write_json", write_and_stop)
    for _ in range(4):
        with pytest.raises(Stopped):
            execute(folder, config)
        forget_stop(folder)
    result = execute(folder, config)
    assert result["cause"] == "relaxation-not-converged"
    assert "after 5 ionic steps" in result["detail"]


def test_told_before_it_starts_it_does_not_start(tmp_path: Path, config: Config) -> None:
    folder = prepared(tmp_path / "run", calculation("emt", distorted_copper(), config))
    ask_to_stop(folder)
    with pytest.raises(Stopped):
        execute(folder, config)
    assert not (folder / RESULT).exists()


# --- Quantum ESPRESSO ----------------------------------------------------------------------------------------------

SLOW_MIXING = {"mixing_beta": 0.1}
PW = {"kpoints": [2, 2, 2], "scf_energy_eV": 1e-8, "path": SLOW_MIXING}
PW_THRESHOLD_eV = 1e-6


def iterations(folder: Path) -> list[int]:
    return [int(each) for each in re.findall(r"iteration #\s*(\d+)\s+ecut", (folder / "espresso.pwo").read_text())]


@pytest.fixture(scope="module")
def whole_pw(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    folder = prepared(tmp_path_factory.mktemp("pw") / "run", calculation("espresso", SODIUM, config, **PW))
    return {**execute(folder, config), "iterations": len(iterations(folder))}


@pytest.fixture
def stopped_pw(config: Config, tmp_path: Path) -> Path:
    """A folder with a run of pw.x that was stopped in its seventh iteration or later."""
    folder = prepared(tmp_path / "run", calculation("espresso", SODIUM, config, **PW))
    took = stop_when(folder, says(folder / "espresso.pwo", "iteration #  7"), config)
    assert took < 20
    assert iterations(folder)[-1] >= 7
    return folder


@needs_pw
@pytest.mark.slow
def test_pw_goes_on_with_the_iteration_in_which_it_was_stopped(
    config: Config, stopped_pw: Path, whole_pw: Mapping[str, Any]
) -> None:
    done = iterations(stopped_pw)[-1]
    result = execute(stopped_pw, config)
    assert "restart_mode     = 'restart'" in (stopped_pw / "espresso.pwi").read_text()
    assert done <= iterations(stopped_pw)[0] <= done + 1
    assert len(iterations(stopped_pw)) < whole_pw["iterations"] - done + 4
    assert result["mendings"] == []
    assert result["energy_eV_per_atom"] == pytest.approx(whole_pw["energy_eV_per_atom"], abs=PW_THRESHOLD_eV)
    assert result["pressure_GPa"] == pytest.approx(whole_pw["pressure_GPa"], abs=0.05)
    # Nothing of the size of wavefunctions is left behind.
    assert not list((stopped_pw / "out").rglob("*wfc*"))
    assert not list((stopped_pw / "out").rglob("*mix*"))


@needs_pw
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [("pwscf.save/charge-density.dat", "truncated"), ("pwscf.wfc1", "flipped"), ("pwscf.mix1", "truncated")],
)
def test_pw_starts_afresh_where_a_restart_file_is_damaged(
    config: Config, stopped_pw: Path, whole_pw: Mapping[str, Any], name: str, how: str
) -> None:
    damage(stopped_pw / "out" / name, how)
    result = execute(stopped_pw, config)
    assert iterations(stopped_pw)[0] == 1
    assert result["mendings"] == ["restart-damaged: started afresh"]
    assert result["energy_eV_per_atom"] == pytest.approx(whole_pw["energy_eV_per_atom"], abs=PW_THRESHOLD_eV)


@needs_pw
@pytest.mark.slow
def test_pw_goes_on_from_the_density_where_the_rest_does_not_serve(
    config: Config, stopped_pw: Path, whole_pw: Mapping[str, Any]
) -> None:
    """As on another machine, with another number of processes."""
    note = read_json(stopped_pw / "restart.json") or {}
    write_json(stopped_pw / "restart.json", {**note, "layout": {"command": ["mpirun", "-n", "2", "pw.x"]}})
    result = execute(stopped_pw, config)
    pwi = (stopped_pw / "espresso.pwi").read_text()
    assert "startingpot      = 'file'" in pwi
    assert "from_scratch" in pwi
    assert result["mendings"] == []
    assert len(iterations(stopped_pw)) < whole_pw["iterations"]
    assert result["energy_eV_per_atom"] == pytest.approx(whole_pw["energy_eV_per_atom"], abs=PW_THRESHOLD_eV)


def in_second_step(folder: Path) -> Callable[[], bool]:
    """Return whether pw.x is in the middle of the second ionic step: its output is not that of the first any more."""

    def true() -> bool:
        steps, output = (read_json(folder / STATE) or {}).get("steps", []), folder / "espresso.pwo"
        return len(steps) == 1 and says(output, "iteration #  2")() and not says(output, "End of self-consistent")()

    return true


@needs_pw
@pytest.mark.slow
def test_a_relaxation_with_pw_goes_on_in_the_middle_of_its_second_step(config: Config, tmp_path: Path) -> None:
    """The geometry that pw.x was at is met again exactly, so that its restart serves."""
    silicon = bulk("Si", a=5.3)
    silicon.positions[1] += [0.05, 0.02, 0.0]
    limits = Relax(force_eV_A=0.05, stress_GPa=10.0, shape=False)
    item = calculation(
        "espresso", silicon, config, limits, **{**PW, "kpoints": [3, 3, 3], "path": {"mixing_beta": 0.3}}
    )
    whole = execute(prepared(tmp_path / "whole", item), config)
    assert whole["ionic_steps"] > 2
    for attempt in range(5):  # a stop may come when pw.x has done with the step
        folder = prepared(tmp_path / f"parts-{attempt}", item)
        stop_when(folder, in_second_step(folder), config)
        if len((read_json(folder / STATE) or {})["steps"]) == 1:
            break
    assert len((read_json(folder / STATE) or {})["steps"]) == 1
    parts = execute(folder, config)
    assert "restart_mode" in (folder / "espresso.pwi").read_text()
    assert parts["ionic_steps"] == whole["ionic_steps"]
    one, other = (unpacked((place / HISTORY).read_bytes()) for place in (tmp_path / "whole", folder))
    assert other["positions"] == pytest.approx(one["positions"], abs=1e-4)
    # Self-consistency leaves forces, and so the next positions, open by a little; energies follow by no more than the
    # work of the forces on that.
    moved = np.einsum("sai,sij->saj", other["positions"] - one["positions"], one["cell_A"])
    work = np.abs(one["forces_eV_A"] * moved).sum(axis=(1, 2))
    assert np.all(np.abs(other["energy_eV"] - one["energy_eV"]) <= 10 * PW_THRESHOLD_eV + work)


# --- GPAW ----------------------------------------------------------------------------------------------------------

PULAY = {"name": "pulay", "beta": 0.02, "nmaxold": 5, "weight": 100.0}


def tight(scf: Mapping[str, Any]) -> dict[str, Any]:
    return {**scf, "energy_eV_per_electron": 1e-7, "density_per_electron": 1e-6, "eigenstates_eV2_per_electron": 1e-9}


def gpaw_calculation(config: Config, atoms: Atoms = SODIUM, relaxation: Relax | None = None) -> Calculation:
    scf = tight(calculation("gpaw", atoms, config).settings["scf"])
    return calculation("gpaw", atoms, config, relaxation, kpoints=[3, 3, 3], scf=scf, path={"mixer": PULAY})


def gpaw_steps(folder: Path) -> list[int]:
    """Return the self-consistent steps of each start of GPAW in a folder."""
    logs = sorted(folder.glob("gpaw*.txt"), key=lambda path: int((re.findall(r"-(\d+)", path.name) or ["1"])[0]))
    return [len(re.findall(r"^\|iter:", log.read_text(), flags=re.MULTILINE)) for log in logs]


@pytest.fixture(scope="module")
def whole_gpaw(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    pytest.importorskip("gpaw")
    folder = prepared(tmp_path_factory.mktemp("gpaw") / "run", gpaw_calculation(config))
    return {**execute(folder, config), "steps": sum(gpaw_steps(folder))}


@pytest.fixture
def stopped_gpaw(config: Config, tmp_path: Path) -> Path:
    pytest.importorskip("gpaw")
    folder = prepared(tmp_path / "run", gpaw_calculation(config))
    assert stop_when(folder, says(folder / "gpaw.txt", "|iter:   7|"), config) < 10
    return folder


@pytest.mark.slow
def test_gpaw_goes_on_from_its_wavefunctions(config: Config, stopped_gpaw: Path, whole_gpaw: Mapping[str, Any]) -> None:
    result = execute(stopped_gpaw, config)
    first, second = gpaw_steps(stopped_gpaw)
    assert first >= 7
    assert second < whole_gpaw["steps"] - 3
    assert result["mendings"] == []
    assert result["energy_eV_per_atom"] == pytest.approx(whole_gpaw["energy_eV_per_atom"], abs=1e-6)
    assert result["pressure_GPa"] == pytest.approx(whole_gpaw["pressure_GPa"], abs=0.01)
    assert not (stopped_gpaw / "restart.gpw").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["truncated", "flipped", "refused"])
def test_gpaw_starts_afresh_where_its_restart_file_is_damaged(
    config: Config, stopped_gpaw: Path, whole_gpaw: Mapping[str, Any], how: str
) -> None:
    """refused: damaged, but with the hash of what it is now, so that GPAW itself stumbles over it."""
    path = stopped_gpaw / "restart.gpw"
    damage(path, "truncated" if how == "refused" else how)
    if how == "refused":
        import hashlib

        note = json.loads((stopped_gpaw / "restart.json").read_text())
        note["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        write_json(stopped_gpaw / "restart.json", note)
    result = execute(stopped_gpaw, config)
    assert result["mendings"] == ["restart-damaged: started afresh"]
    assert result["energy_eV_per_atom"] == pytest.approx(whole_gpaw["energy_eV_per_atom"], abs=1e-6)
    assert gpaw_steps(stopped_gpaw)[-1] == whole_gpaw["steps"]


@pytest.mark.slow
def test_gpaw_that_was_mended_and_then_stopped_goes_on_all_the_same(
    config: Config, stopped_gpaw: Path, whole_gpaw: Mapping[str, Any]
) -> None:
    """The fresh start that a damaged file led to is made once, not in each job again."""
    damage(stopped_gpaw / "restart.gpw", "truncated")
    first = read_json(stopped_gpaw / SPENT) or {}
    stop_when(stopped_gpaw, says(stopped_gpaw / "gpaw-2.txt", "|iter:   7|"), config)
    spent = read_json(stopped_gpaw / SPENT) or {}
    assert 0 < first["wall_s"] < spent["wall_s"]
    result = execute(stopped_gpaw, config)
    assert gpaw_steps(stopped_gpaw)[2] < whole_gpaw["steps"] - 3
    assert spent["wall_s"] < result["provenance"]["wall_s"]
    assert not (stopped_gpaw / SPENT).exists()
    assert result["mendings"] == ["restart-damaged: started afresh"]
    assert result["energy_eV_per_atom"] == pytest.approx(whole_gpaw["energy_eV_per_atom"], abs=1e-6)


@pytest.mark.slow
def test_a_gpaw_process_under_a_launcher_stops_and_goes_on(
    config: Config, tmp_path: Path, whole_gpaw: Mapping[str, Any]
) -> None:
    launched = config.model_copy(update={"codes": {"gpaw": CodeConfig(launch=("env", "OMP_NUM_THREADS=1"))}})
    folder = prepared(tmp_path / "run", gpaw_calculation(config))
    stop_when(folder, says(folder / "gpaw.txt", "|iter:   5|"), launched)
    assert (folder / "restart.gpw").exists()
    result = execute(folder, launched)
    assert gpaw_steps(folder)[1] < whole_gpaw["steps"] - 2
    assert result["energy_eV_per_atom"] == pytest.approx(whole_gpaw["energy_eV_per_atom"], abs=1e-6)


@pytest.mark.slow
def test_a_long_run_of_gpaw_keeps_its_state_now_and_then(
    config: Config, tmp_path: Path, whole_gpaw: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a machine that goes without a word takes no more than the last minutes with it."""
    gpaw_calculator = pytest.importorskip("megabar.workflows.codes.gpaw.calculator")
    monkeypatch.setattr(gpaw_calculator, "CHECKPOINT_SECONDS", 0.0)
    folder = prepared(tmp_path / "run", gpaw_calculation(config))

    class PowerCut(BaseException):
        pass

    def cut(*arguments: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(gpaw_calculator.GpawCalculator, "_check_bands", cut)
        patch.setattr(gpaw_calculator.restart, "forget", lambda folder: None)
        with pytest.raises(PowerCut):
            execute(folder, config)
    result = execute(folder, config)
    assert gpaw_steps(folder)[1] < whole_gpaw["steps"] / 2
    assert result["energy_eV_per_atom"] == pytest.approx(whole_gpaw["energy_eV_per_atom"], abs=1e-6)


# --- programs that run in a folder ---------------------------------------------------------------------------------


@pytest.fixture
def stopped_elk(config: Config, tmp_path: Path) -> tuple[Path, Calculation]:
    item = calculation("elk", bulk("Na", "fcc", a=3.06), config, kpoints=[8, 8, 8])
    folder = prepared(tmp_path / "run", item)
    assert stop_when(folder, says(folder / "elk" / "INFO.OUT", "Loop number :    3"), config) < 20
    return folder, item


@needs_elk
@pytest.mark.slow
@pytest.mark.parametrize("how", ["", "truncated", "flipped"])
def test_elk_goes_on_from_its_state_where_that_is_whole(
    config: Config, stopped_elk: tuple[Path, Calculation], tmp_path: Path, how: str
) -> None:
    folder, item = stopped_elk
    if how:
        damage(folder / "elk" / "STATE.OUT", how)
    result = execute(folder, config)
    task = (folder / "elk" / "elk.in").read_text().split()[1]
    assert task == ("0" if how else "1")
    words = ["restart-damaged: started afresh (STATE.OUT was not as it was left)"]
    assert result["mendings"] == (words if how else [])
    whole = execute(prepared(tmp_path / "whole", item), config)
    threshold = item.settings["scf"]["energy_eV"]
    assert result["energy_eV_per_atom"] == pytest.approx(whole["energy_eV_per_atom"], abs=threshold)


@needs_abinit
@pytest.mark.slow
def test_abinit_is_ended_and_starts_afresh(config: Config, tmp_path: Path) -> None:
    item = calculation("abinit", bulk("Si", a=5.3), config, kpoints=[10, 10, 10])
    folder = prepared(tmp_path / "run", item)
    assert stop_when(folder, says(folder / "abinit" / "stdout.txt", "ITER STEP NUMBER"), config) < 20
    result = execute(folder, config)
    assert result["state"] == "done"
    assert result["mendings"] == []


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from megabar.workflows.codes import running

    monkeypatch.setattr(running, "PATIENCE_SECONDS", 0.5)
    deaf = tmp_path / "deaf"
    deaf.write_text("#!/bin/sh\ntrap '' TERM\nwhile true; do sleep 0.1; done\n")
    deaf.chmod(0o755)
    began = time.monotonic()
    stop = running.Stop(lambda: True, running.terminate)
    assert running.run_program([str(deaf)], tmp_path, tmp_path / "out", stop=stop) == -9
    assert time.monotonic() - began < 5


def test_a_program_that_ends_in_time_has_its_result(tmp_path: Path) -> None:
    """It was told to stop, but had finished before it heard of it."""
    from megabar.workflows.codes import running

    told: list[Any] = []
    stop = running.Stop(lambda: True, told.append)
    assert running.run_program(["sh", "-c", "sleep 1; echo done"], tmp_path, tmp_path / "out", stop=stop) == 0
    assert len(told) == 1
    assert (tmp_path / "out").read_text() == "done\n"
