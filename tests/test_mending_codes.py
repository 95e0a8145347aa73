"""Real failures of real codes: pw.x and GPAW made to fail on the smallest cells, and what becomes of it."""

from __future__ import annotations

import gc
import hashlib
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from megabar.structures.contacts import shortest_distances
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import CodeConfig, Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import read_json, write_json
from megabar.workflows.mending.record import FILE
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin

pytestmark = pytest.mark.slow
needs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or shutil.which("ld1.x") is None, reason="Quantum ESPRESSO is not installed"
)
SODIUM = bulk("Na", "bcc", a=3.6)
THRESHOLD_eV = 2e-5


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(data=tmp_path_factory.mktemp("data"))


def with_program(config: Config, name: str, folder: Path, script: str, launch: tuple[str, ...] = ()) -> Config:
    """Return a configuration whose code is started by a shell script; ``$first`` is 1 the first time."""
    program = folder / "program"
    program.write_text(f"#!/bin/bash\nfirst=0; [ -e {folder}/begun ] || first=1; touch {folder}/begun\n{script}\n")
    program.chmod(0o755)
    return config.model_copy(update={"codes": {name: CodeConfig(command=(str(program),), launch=launch)}})


def run(name: str, folder: Path, config: Config, atoms: Atoms = SODIUM, **changes: Any) -> dict[str, Any]:
    """Return the result of a single point with settings changed."""
    adapter = code(name)
    elements = sorted(set(atoms.get_chemical_symbols()))
    data = adapter.atomic_data(elements, "PBE", "fast", shortest_distances(SODIUM), config)
    settings = adapter.settings(Request(SODIUM, "fast", "PBE", False, data)) | {"kpoints": [2, 2, 2]} | changes
    item = Calculation(name, "1", settings, Structure.of(atoms), tuple(data))
    prepare(folder, item, Begin(atoms))
    return execute(folder, config)


def energy(result: Mapping[str, Any]) -> float:
    assert result["state"] == "done", result
    return float(result["energy_eV_per_atom"])


# --- Quantum ESPRESSO ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pw(config: Config, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Energy of sodium where nothing fails (eV/atom)."""
    result = run("espresso", tmp_path_factory.mktemp("pw") / "run", config)
    assert result["mendings"] == []
    return energy(result)


@needs_pw
def test_pw_that_does_not_converge_is_mixed_more_gently(config: Config, tmp_path: Path, pw: float) -> None:
    result = run("espresso", tmp_path / "run", config, path={"electron_maxstep": 2})
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    (step,) = result["mendings"]
    assert step.startswith("scf-not-converged: gentler mixing (mixing_beta 0.15, mixing_mode local-TF")
    assert not (tmp_path / "run" / FILE).exists()


@needs_pw
def test_pw_that_is_slow_gets_more_iterations_and_goes_on_from_its_density(
    config: Config, tmp_path: Path, pw: float
) -> None:
    path = {"mixing_beta": 0.02, "electron_maxstep": 8, "mixing_ndim": 1}
    result = run("espresso", tmp_path / "run", config, path=path)
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    assert result["mendings"][0] == "scf-slow: more iterations (electron_maxstep 24)"
    assert "startingpot      = 'file'" in (tmp_path / "run" / "espresso.pwi").read_text()


@needs_pw
@pytest.mark.parametrize("bands", [4, 5])
def test_pw_with_too_few_bands_gets_more(config: Config, tmp_path: Path, pw: float, bands: int) -> None:
    """Nine electrons: four bands pw.x refuses; five it takes, the last one filled, 1.2 meV too high."""
    result = run("espresso", tmp_path / "run", config, path={"nbnd": bands})
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    assert result["mendings"] == ["too-few-bands: more bands (nbnd 9)"]


@needs_pw
def test_pw_with_more_pools_than_processes_gets_one(config: Config, tmp_path: Path, pw: float) -> None:
    pools = config.model_copy(update={"codes": {"espresso": CodeConfig(command=("pw.x", "-nk", "4"))}})
    result = run("espresso", tmp_path / "run", pools)
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    assert result["mendings"] == ["too-many-processes: one pool (pools 1)"]


@needs_pw
def test_damage_that_passes_for_whole_is_met_by_pw_itself(config: Config, tmp_path: Path, pw: float) -> None:
    """Bits of the density are flipped and its hash noted anew: pw.x fails in its diagonalisation."""
    folder = tmp_path / "run"
    run("espresso", folder, config)
    density = folder / "out" / "pwscf.save" / "charge-density.dat"
    content, dice = bytearray(density.read_bytes()), random.Random(1)
    for _ in range(2000):
        content[dice.randrange(200_000, len(content))] ^= 1 << dice.randrange(8)
    density.write_bytes(content)
    note = read_json(folder / "restart.json")
    assert isinstance(note, dict)
    note["files"] = {"out/pwscf.save/charge-density.dat": hashlib.sha256(content).hexdigest()}
    write_json(folder / "restart.json", note)
    for name in ("result.json", "espresso.pwo"):
        (folder / name).unlink()
    result = run("espresso", folder, config)
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    (step,) = result["mendings"]
    assert step.endswith(": started afresh")
    assert step.split(":")[0] in ("diagonalization-failed", "overlap-not-positive", "not-a-number", "wrong-charge")


@needs_pw
def test_an_overlap_that_is_not_positive_is_met_by_other_wavefunctions(config: Config, tmp_path: Path) -> None:
    """Two atoms at almost one place; what follows the first step would take minutes, so that pw.x ends there."""
    atoms = Atoms("Na2", cell=SODIUM.cell, scaled_positions=[[0, 0, 0], [0.01, 0.01, 0.01]], pbc=True)
    once = with_program(config, "espresso", tmp_path, '[ $first = 1 ] || exit 3\nexec pw.x "$@"')
    result = run("espresso", tmp_path / "run", once, atoms)
    assert result["mendings"][0] == "overlap-not-positive: random wavefunctions to start (startingwfc random)"
    assert result["state"] == "failed"
    assert "tried in vain: random wavefunctions to start" in result["detail"]


SHORT_OF_MEMORY = """pw.x "$@" & pid=$!
if [ %s ]; then
    until grep -q "Estimated max dynamical RAM" espresso.pwo; do sleep 0.01; done
    size=$(sed -n 's/^VmSize:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$pid/status)
    prlimit --pid $pid --as=$(((size + 4000) * 1024))
fi
wait $pid"""


@needs_pw
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="there is no prlimit")
@pytest.mark.parametrize(("when", "helped"), [("$first = 1", True), ("1", False)])
def test_pw_that_is_short_of_memory(config: Config, tmp_path: Path, pw: float, when: str, helped: bool) -> None:
    """4 MB more than it has at its start; where that is lifted meanwhile, as when others have gone, it helps."""
    short = with_program(config, "espresso", tmp_path, SHORT_OF_MEMORY % when)
    result = run("espresso", tmp_path / "run", short)
    assert result["mendings"][0] == "out-of-memory: smaller work arrays (mixing_ndim 4, diagonalization cg)"
    if helped:
        assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    else:
        assert (result["state"], result["cause"]) == ("failed", "out-of-memory")
        assert re.search("memory is short: .*Cannot allocate memory; tried in vain: smaller work", result["detail"])


@needs_pw
@pytest.mark.parametrize("signal", [9, 11])
def test_pw_that_is_killed_leaves_it_to_the_worker_to_try_again(
    config: Config, tmp_path: Path, pw: float, signal: int
) -> None:
    killed = with_program(config, "espresso", tmp_path, f'[ $first = 1 ] && kill -{signal} $$\nexec pw.x "$@"')
    with pytest.raises(ChildProcessError, match=f"killed by a signal: pw.x was ended by signal {signal}"):
        run("espresso", tmp_path / "run", killed)
    assert energy(run("espresso", tmp_path / "run", killed)) == pytest.approx(pw, abs=THRESHOLD_eV)


@needs_pw
def test_pw_on_a_full_disk_tries_with_less_and_leaves_it_to_the_worker_then(
    config: Config, tmp_path: Path, pw: float
) -> None:
    """Its density goes to /dev/full, where every write finds no space left."""
    folder = tmp_path / "run"
    full = f"mkdir -p {folder}/out/pwscf.save; ln -sf /dev/full {folder}/out/pwscf.save/charge-density.dat"
    result = run("espresso", folder, with_program(config, "espresso", tmp_path, f'{full}\nexec pw.x "$@"'))
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    assert result["mendings"] == ["disk-full: less on disk (disk_io none)"]
    words = "echo 'Fortran runtime error: No space left on device' >&2; exit 2"
    with pytest.raises(OSError, match="No space left on device"):
        run("espresso", tmp_path / "other", with_program(config, "espresso", tmp_path, words))


@needs_pw
def test_mpi_that_does_not_start_is_tried_once_more(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpirun = shutil.which("mpirun")
    said = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False).stdout if mpirun else ""
    if "Open MPI" not in said:
        pytest.skip("there is no mpirun of Open MPI")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    many = config.model_copy(update={"codes": {"espresso": CodeConfig(launch=("mpirun", "-n", "4096"))}})
    result = run("espresso", tmp_path / "run", many)
    assert (result["state"], result["cause"]) == ("failed", "mpi-failed")
    assert result["mendings"] == ["mpi-failed: run again"]
    assert "not enough slots" in result["detail"]


@needs_pw
def test_a_mending_survives_the_end_of_the_process_between_two_steps(config: Config, tmp_path: Path, pw: float) -> None:
    """The first step was taken when everything ended; the next run begins with it, not with what failed before."""
    folder = tmp_path / "run"
    killed = with_program(config, "espresso", tmp_path, '[ $first = 1 ] || kill -9 $$\nexec pw.x "$@"')
    with pytest.raises(ChildProcessError):
        run("espresso", folder, killed, path={"electron_maxstep": 2})
    result = run("espresso", folder, config, path={"electron_maxstep": 2})
    assert energy(result) == pytest.approx(pw, abs=THRESHOLD_eV)
    assert len(result["mendings"]) == 1
    assert "mixing_beta      = 0.15" in (folder / "espresso.pwi").read_text()


# --- GPAW ----------------------------------------------------------------------------------------------------------

SLOSHING = {"name": "pulay", "beta": 1.5, "nmaxold": 1, "weight": 1.0}


@pytest.fixture(scope="module")
def gpaw(config: Config, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Energy of sodium where nothing fails (eV/atom)."""
    pytest.importorskip("gpaw")
    result = run("gpaw", tmp_path_factory.mktemp("gpaw") / "run", config)
    assert result["mendings"] == []
    return energy(result)


GPAW_THRESHOLD_eV = 5e-4


def test_gpaw_whose_charge_sloshes_is_mixed_more_gently(config: Config, tmp_path: Path, gpaw: float) -> None:
    result = run("gpaw", tmp_path, config, path={"mixer": SLOSHING, "maxiter": 20})
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"] == [
        "charge-sloshing: gentler mixing (mixer pulay beta 0.05 nmaxold 5 weight 50.0, maxiter 200)"
    ]


def test_gpaw_that_is_slow_gets_more_steps(config: Config, tmp_path: Path, gpaw: float) -> None:
    slow = {"name": "pulay", "beta": 0.25, "nmaxold": 1, "weight": 1.0}
    result = run("gpaw", tmp_path, config, path={"mixer": slow, "maxiter": 9})
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"][0] == "scf-slow: more iterations (maxiter 27)"


@pytest.mark.parametrize("bands", [3, 5])
def test_gpaw_with_too_few_bands_gets_more(config: Config, tmp_path: Path, gpaw: float, bands: int) -> None:
    """Nine electrons: three bands GPAW refuses; five it takes, the last one filled, 1.2 meV too low."""
    result = run("gpaw", tmp_path, config, path={"nbands": bands})
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"] == ["too-few-bands: more bands (nbands 9)"]


def test_gpaw_whose_wavefunctions_are_spoilt_starts_afresh(config: Config, tmp_path: Path) -> None:
    """The density of the first geometry is spoilt in memory, so that the second cannot go on from it."""
    pytest.importorskip("gpaw")
    adapter = code("gpaw")
    data = adapter.atomic_data(["Na"], "PBE", "fast", shortest_distances(SODIUM), config)
    settings = adapter.settings(Request(SODIUM, "fast", "PBE", False, data)) | {"kpoints": [2, 2, 2]}
    calculator = adapter.calculator(settings, data, SODIUM, tmp_path, config)
    calculator.get_potential_energy(SODIUM)
    calculator._dft.dft.density.nt_sR.data[:] = float("nan")
    squeezed = SODIUM.copy()
    squeezed.set_cell(SODIUM.cell * 0.99, scale_atoms=True)
    found = calculator.get_potential_energy(squeezed)
    (step,) = calculator.mendings.steps
    assert step.endswith(": started afresh")
    fresh = adapter.calculator(settings, data, squeezed, tmp_path / "fresh", config)
    assert found == pytest.approx(fresh.get_potential_energy(squeezed), abs=GPAW_THRESHOLD_eV)
    calculator = fresh = None
    gc.collect()


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (MemoryError("Unable to allocate 11 GiB"), "out-of-memory: smaller work arrays"),
        (ValueError("Your k-points are not as symmetric as your crystal!"), "symmetry-error: without symmetry"),
    ],
)
def test_what_gpaw_raises_is_mended(
    config: Config, tmp_path: Path, gpaw: float, monkeypatch: pytest.MonkeyPatch, error: Exception, step: str
) -> None:
    """Raised here, in its place: these cannot be provoked in a cell of one atom. What follows is GPAW's own."""
    from megabar.workflows.codes.gpaw.calculator import GpawCalculator

    real, raised = GpawCalculator._run_scf, []

    def fail_once(self: GpawCalculator, done: int) -> None:
        if not raised:
            raised.append(error)
            raise error
        real(self, done)

    monkeypatch.setattr(GpawCalculator, "_run_scf", fail_once)
    result = run("gpaw", tmp_path, config)
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"][0].startswith(step)


def test_a_gpaw_process_that_dies(config: Config, tmp_path: Path, gpaw: float) -> None:
    """Killed, that is the worker's business; with a launcher that fails once, it is tried again."""
    launch = tmp_path / "launch"
    script = f'[ -e {tmp_path}/begun ] || {{ touch {tmp_path}/begun; %s; }}\nexec "$@"\n'
    launched = config.model_copy(update={"codes": {"gpaw": CodeConfig(launch=(str(launch),))}})
    launch.write_text("#!/bin/bash\n" + script % "kill -9 $$")
    launch.chmod(0o755)
    with pytest.raises(ChildProcessError, match="killed by a signal"):
        run("gpaw", tmp_path / "killed", launched)
    (tmp_path / "begun").unlink()
    launch.write_text("#!/bin/bash\n" + script % "echo 'srun: error: Unable to create step'; exit 1")
    result = run("gpaw", tmp_path / "mpi", launched)
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"] == ["mpi-failed: run again"]


def test_mendings_inside_a_gpaw_process_are_told_too(config: Config, tmp_path: Path, gpaw: float) -> None:
    launched = config.model_copy(update={"codes": {"gpaw": CodeConfig(launch=("env", "OMP_NUM_THREADS=1"))}})
    result = run("gpaw", tmp_path, launched, path={"nbands": 5})
    assert energy(result) == pytest.approx(gpaw, abs=GPAW_THRESHOLD_eV)
    assert result["mendings"] == ["too-few-bands: more bands (nbands 9)"]


def test_gpaw_that_nothing_mends_fails_in_words(config: Config, tmp_path: Path) -> None:
    pytest.importorskip("gpaw")
    atoms = Atoms("Na2", cell=SODIUM.cell, positions=[[0, 0, 0], [0, 0, 1e-3]], pbc=True)
    result = run("gpaw", tmp_path, config, atoms)
    assert (result["state"], result["cause"]) == ("failed", "atoms-too-close")
    assert result["detail"].startswith("atoms lie on top of each other: AtomsTooClose")
