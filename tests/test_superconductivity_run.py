"""Tc of aluminium for real: pw.x, ph.x, workers, a kill in the middle, and one run of ph.x to compare with."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.units import Ry
from test_run import megabar, opened, started

from megabar.analysis.superconductivity.elph import total_lambda
from megabar.analysis.superconductivity.readers.espresso_elph import gather
from megabar.launchers.database.embedded import stop_database
from megabar.workflows.codes.espresso.phonons import NOTE
from megabar.workflows.config import Config
from megabar.workflows.kinds.superconductivity.gather import gathered
from megabar.workflows.kinds.superconductivity.plan import PHONON
from megabar.workflows.store import CalculationRecord

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ph.x") or not shutil.which("pw.x"), reason="needs Quantum ESPRESSO"),
]
STUDY = """\
kind: superconductivity
structure: Al-fcc
pressures: 0
method: {code: espresso, protocol: fast, kpoint_density: 2.0}
mu_star: 0.10
q_grid: [2, 2, 2]
k_grid: [8, 8, 8]
k_grid_dense: [16, 16, 16]
isotopes: {Al: 26}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project folder with a study, its database stopped at the end."""
    (tmp_path / "al.yaml").write_text(STUDY)
    yield tmp_path
    if (tmp_path / ".megabar").exists():
        stop_database(Config(data=tmp_path / ".megabar"))


def wait_for(found: Any, folder: Path, seconds: float = 900.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, (folder / "run.log").read_text()[-2000:]
        time.sleep(0.05)


def ended(folder: Path) -> dict[str, float]:
    return {path.parent.name: path.stat().st_mtime for path in folder.glob(".megabar/calculations/*/*/result.json")}


def by_kind(folder: Path, kind: str) -> list[CalculationRecord]:
    with opened(folder) as store:
        [study] = store.find_studies()
        records = store.get_many(study.wanted)
        return [records[rung["key"]] for rung in study.rungs if rung["kind"] == kind]


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess_json(folder, "run", "al.yaml", *arguments)
    assert done["failures"] == [], done
    return done


def subprocess_json(folder: Path, *arguments: str) -> dict[str, Any]:
    import sys

    command = [sys.executable, "-m", "megabar.launchers.cli", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_killed_in_a_q_point_and_gone_on_with(folder: Path) -> None:
    process = started(folder, "run", "al.yaml", "--workers", "1")
    wait_for(lambda: any(folder.glob(".megabar/calculations/*/*/elph_dir")), folder)
    # A q-point is being computed: whatever ended before must stay as it is.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.0)
    before = ended(folder)
    answer = run(folder, "--workers", "2")
    after = ended(folder)
    assert before.items() <= after.items()
    assert len(after) > len(before)

    [at] = answer["pressures"]
    assert at["q_points_done"] == at["q_points"] == 3
    natural, light = at["tc"]["natural"][0], at["tc"]["Al=26"][0]
    assert 0.1 < natural["lambda"] < 3.0
    assert light["tc_eliashberg_K"] > natural["tc_eliashberg_K"]
    assert light["lambda"] == pytest.approx(natural["lambda"], rel=5e-3)
    assert natural["tc_eliashberg_full_band_K"] == pytest.approx(natural["tc_eliashberg_K"], rel=0.15)
    check_density_of_states(folder)
    page = (folder / "al-report" / "index.html").read_text()
    assert "α²F" in page
    assert "T<sub>c</sub> of Al-fcc" in page
    assert "Phonons and their coupling at 0 GPa" in page
    [below] = subprocess_json(folder, "gap", "al")["pressures"]
    assert below["gap"]["natural"][0]["tc_eliashberg_K"] == pytest.approx(natural["tc_eliashberg_K"], rel=1e-6)
    assert below["gap"]["natural"][0]["critical_field_T"] > 0

    [again] = subprocess_json(folder, "tc", "al", "--mu-star", "0.15")["pressures"]
    assert again["tc"]["natural"][0]["tc_eliashberg_K"] < natural["tc_eliashberg_K"]
    check_against_one_run(folder)
    check_without_the_ground_state(folder)


def check_density_of_states(folder: Path) -> None:
    """N(E_F) of the dense grid by tetrahedra is what ph.x has by smearing, where it is neither fine nor coarse."""
    [ground] = by_kind(folder, "ground-state")
    with opened(folder) as store:
        arrays = store.history(ground.key)
        points = [(store.history(each.key), each.observables["q_fractions"]) for each in by_kind(folder, PHONON)]
    energy, states = arrays["dos_energy_eV"], arrays["dos_per_eV_spin_cell"]
    by_ph, _ = gathered(points, (2, 2, 2), None, "Al")
    assert np.interp(0.0, energy, states) == pytest.approx(by_ph.dos_per_Ry[4] / Ry, rel=0.03)  # at 0.025 Ry
    assert np.interp(0.0, energy, states) == pytest.approx(
        ground.observables["dos_at_fermi_per_eV_spin_cell"], abs=1e-5
    )
    below = np.sum(states[energy < -0.01]) + states[np.argmin(np.abs(energy))] / 2
    assert 2 * below * (energy[1] - energy[0]) == pytest.approx(3.0, abs=1e-3)


def check_against_one_run(folder: Path) -> None:
    """λ of q-points computed one by one is that of one run of ph.x over all of them.

    Of degenerate bands ph.x interpolates the matrix elements as they come, so that two runs of it differ: with k 4×4×4
    by 2%, and where the smearing is finer than the dense grid.
    """
    [ground] = by_kind(folder, "ground-state")
    phonons = by_kind(folder, PHONON)
    kept = Path(ground.provenance["folder"])
    assert (kept / NOTE).is_file()
    whole = folder / "whole"
    shutil.copytree(kept / "out", whole / "out")
    text = (Path(phonons[0].provenance["folder"]) / "coupling.in").read_text()
    text = re.sub(r"  (trans|recover) = .*\n", "", text)
    (whole / "phonon.in").write_text(re.sub(r"  (start|last)_q = .*\n", "", text))
    shutil.copytree(kept / "pseudo", whole / "pseudo")
    with (whole / "phonon.out").open("w") as output:
        subprocess.run(["ph.x", "-in", "phonon.in"], cwd=whole, stdout=output, check=True, timeout=1500)
    with opened(folder) as store:
        points = [(store.history(each.key), each.observables["q_fractions"]) for each in phonons]
    split, _ = gathered(points, (2, 2, 2), None, "split")
    resolved = split.smearings_Ry > 0.0195
    assert abs(total_lambda(split) - total_lambda(gather(whole)))[resolved].max() < 1e-3


def check_without_the_ground_state(folder: Path) -> None:
    """A q-point whose ground state is damaged computes it again, and comes to the same."""
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.execution import execute
    from megabar.workflows.stopping import forget_stop

    [ground] = by_kind(folder, "ground-state")
    first = by_kind(folder, PHONON)[0]
    density = Path(ground.provenance["folder"]) / "out" / "pwscf.save" / "charge-density.dat"
    density.write_bytes(density.read_bytes()[:100])
    place = Path(first.provenance["folder"])
    (place / "result.json").unlink()
    forget_stop(place)  # of a worker that was told to stop when this q-point had ended already
    assert Calculation.from_dict(first.calculation).key == first.key
    result = execute(place, Config(data=folder / ".megabar"))
    assert (place / NOTE).is_file()
    assert result["observables"]["frequencies_meV"] == pytest.approx(first.observables["frequencies_meV"], abs=0.05)


def test_without_ph_nothing_is_run(folder: Path) -> None:
    alone = folder / "bin"
    alone.mkdir()
    shutil.copy2(str(shutil.which("pw.x")), alone / "pw.x")
    (folder / "megabar.yaml").write_text(f"codes: {{espresso: {{command: {alone / 'pw.x'}}}}}\n")
    path = os.environ["PATH"]
    os.environ["PATH"] = str(alone)
    try:
        done = megabar(folder, "run", "al.yaml")
    finally:
        os.environ["PATH"] = path
    assert done.returncode == 2
    assert "ph.x was not found" in done.stderr
    assert not (folder / ".megabar" / "calculations").exists()
