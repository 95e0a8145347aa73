"""A kind of study that another package offers: run through FireWorks, killed and continued, shown and published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from megabar.workflows.config import Config

KIND = Path(__file__).parent / "demo_kind"
STUDY = "kind: demonstration\nmethod: {code: emt}\nsupercells: %d\nstretches: %d\n"


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(KIND), "MEGABAR_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}


def megabar(folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "megabar.launchers.cli", *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def results(folder: Path) -> int:
    return len(list((folder / "data" / "calculations").glob("*/*/result.json")))


def killed_after(folder: Path, count: int) -> None:
    """Run the study, and kill the run without warning once it has some results."""
    words = [sys.executable, "-m", "megabar.launchers.cli", "run", "demo.yaml", "--workers", "2"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            words, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        while results(folder) < count:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)


def stop(folder: Path) -> None:
    from megabar.launchers.database.embedded import stop_database

    stop_database(Config(data=folder / "data"))


def einstein_spring() -> float:
    """Return the spring (eV/Å²) that holds one atom of a copper crystal, as EMT has it: its force when it is moved."""
    atoms = bulk("Cu", cubic=True, a=3.62) * (2, 2, 2)
    atoms.calc = EMT()
    atoms.positions[0, 0] += 0.01
    return -float(atoms.get_forces()[0, 0]) / 0.01


@pytest.mark.slow
def test_a_kind_of_another_package_is_killed_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(STUDY % (400, 20))
    try:
        for count in (40, 150, 300):
            killed_after(tmp_path, count)
        answer = json.loads(megabar(tmp_path, "run", "demo.yaml", "--workers", "2", "--json"))
        assert (answer["supercells"], answer["stretches"], answer["steps"]) == (400, 20, 40)
        assert len(answer["last_eV_per_atom"]) == 1
        # Random displacements of all atoms: what they feel of each other averages out.
        assert answer["spring_eV_A2"] == pytest.approx(einstein_spring(), rel=0.03)
        assert answer["calculations_run"] + answer["calculations_reused"] == results(tmp_path) == 421
        again = json.loads(megabar(tmp_path, "run", "demo.yaml", "--json"))
        assert (again["calculations_run"], again["spring_eV_A2"]) == (0, answer["spring_eV_A2"])
        assert "complete" in megabar(tmp_path, "status")
        [cost] = json.loads(megabar(tmp_path, "cost", "demo", "--json"))["studies"][:1]
        assert cost
        megabar(tmp_path, "export", "demo", "--to", "demo.zip")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        try:
            megabar(elsewhere, "import", "../demo.zip")
            (elsewhere / "demo.yaml").write_text(STUDY % (400, 20))
            assert json.loads(megabar(elsewhere, "run", "demo.yaml", "--json"))["calculations_run"] == 0
        finally:
            stop(elsewhere)
    finally:
        stop(tmp_path)


@pytest.mark.slow
def test_where_the_package_is_missing_its_studies_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(STUDY % (3, 1))
    try:
        megabar(tmp_path, "run", "demo.yaml", "--json")
        assert "has no hull" in megabar(tmp_path, "hull", "demo", code=2)
        assert "no figures" in megabar(tmp_path, "figures", "demo", code=2)
        without = {**environment(tmp_path), "PYTHONPATH": ""}
        said = subprocess.run(
            [sys.executable, "-m", "megabar.launchers.cli", "report", "demo"],
            cwd=tmp_path,
            env=without,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 2
        assert "a study of the kind 'demonstration'; this version knows stability, superconductivity" in said.stderr
    finally:
        stop(tmp_path)


def test_a_study_file_of_an_unknown_kind_is_told_what_there_is(tmp_path: Path) -> None:
    from megabar.structures.errors import InputError
    from megabar.workflows.kinds.registry import load_study

    (tmp_path / "x.yaml").write_text("kind: stabilty\n")
    with pytest.raises(InputError, match=r"`kind` is 'stabilty'; did you mean stability\?; this version knows"):
        load_study(tmp_path / "x.yaml")


@pytest.mark.slow
def test_a_package_that_cannot_be_loaded_harms_nobody_else(tmp_path: Path) -> None:
    info = tmp_path / "packages" / "broken-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[megabar.kinds]\nbroken = no_such_module:KIND\n")
    script = (
        "from megabar.workflows.kinds.registry import kind_of, kinds_of_others\n"
        "assert set(kinds_of_others()) == {'demonstration'}\n"
        "print(kind_of('stability').name)\n"
        "try:\n    kind_of('broken')\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    path = os.pathsep.join([str(info.parent), str(KIND)])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "stability\nNotOurs a study of the kind 'broken', whose package cannot be loaded (no_such"
    )
