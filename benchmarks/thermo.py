"""`megabar thermo` on ten volumes beside phonopy-qha and qha on the same files: time, memory, whether numbers agree.

Run with ``python benchmarks/thermo.py [--phonopy-qha COMMAND] [--qha COMMAND] [--times N]``. Without a command the one
on the path is taken; what is not there is left out. The files are examples of both programs, in ``tests/data/thermo``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent.parent / "tests" / "data" / "thermo"
VOLUMES = 10
SETTINGS = """calculation: single
T_MIN: 0
NT: 101
DT: 10
DT_SAMPLE: 10
P_MIN: 0
NTV: 101
DELTA_P: 0.1
DELTA_P_SAMPLE: 1
input: input
energy_unit: ry
output_directory: ./results/
thermodynamic_properties: [F, G, V, alpha, Cp, Bt, Bs]
"""


def run(arguments: list[str], folder: Path, times: int) -> tuple[str, float, float]:
    """Return what a command prints, its least wall time (s) and CPU time (s)."""
    wall, cpu, out = [], [], ""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    for _ in range(times):
        before, start = os.times(), time.perf_counter()
        done = subprocess.run(arguments, cwd=folder, env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{arguments[0]} failed: {done.stderr[-600:]}")
        after = os.times()
        wall.append(time.perf_counter() - start)
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
        out = done.stdout
    return out, min(wall), min(cpu)


def ours(arguments: list[str], folder: Path, times: int) -> tuple[list[dict[str, float]], float, float]:
    command = [sys.executable, "-m", "megabar.launchers.cli", "thermo", *arguments, "--json"]
    out, wall, cpu = run(command, folder, times)
    return json.loads(out)["rows"], wall, cpu


def column(rows: list[dict[str, float]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def off(one: np.ndarray, other: np.ndarray) -> str:
    return f"{np.max(np.abs(one / other - 1.0)):.1e}"


def of_phonopy(command: str | None, folder: Path, times: int) -> None:
    """Ten volumes of silicon by phonopy's example, 211 temperatures."""
    lines = (DATA / "Si-QHA" / "e-v.dat").read_text().splitlines()[:VOLUMES]
    (folder / "e-v.dat").write_text("\n".join(lines) + "\n")
    names = [f"thermal_properties.yaml-{i}" for i in range(-5, 6)][:VOLUMES]
    for name in names:
        (folder / name).write_bytes(lzma.decompress((DATA / "Si-QHA" / f"{name}.xz").read_bytes()))
    for kind in ("vinet", "birch_murnaghan"):
        rows, wall, cpu = ours(["e-v.dat", *names, "--eos", kind], folder, times)
        print(f"megabar thermo, {VOLUMES} volumes, {len(rows)} temperatures, {kind}: {wall:.2f} s, CPU {cpu:.2f} s")
        if command is None:
            continue
        asked = [command, "--tmax=1600", f"--eos={kind}", "e-v.dat", *names]
        _, wall, cpu = run(asked, folder, times)
        print(f"phonopy-qha, the same: {wall:.2f} s, CPU {cpu:.2f} s")
        print("largest relative difference from 300 K: " + ", ".join(differences(rows, folder)))


def differences(rows: list[dict[str, float]], folder: Path) -> list[str]:
    """Hold rows against the files of phonopy-qha; α by the same differences of volumes as theirs, and as we tell it."""
    t, volume = column(rows, "temperature_K"), column(rows, "volume_A3")
    ours = {
        "volume": ("volume-temperature.dat", volume),
        "gibbs": ("gibbs-temperature.dat", column(rows, "gibbs_eV")),
        "bulk modulus": ("bulk_modulus-temperature.dat", column(rows, "bulk_modulus_GPa")),
        "α by differences": ("thermal_expansion.dat", np.gradient(volume, t) / volume),
        "α": ("thermal_expansion.dat", column(rows, "thermal_expansion_per_K")),
        "C_P": ("Cp-temperature.dat", column(rows, "heat_capacity_J_per_mol_K")),
    }
    found = []
    for name, (file, values) in ours.items():
        theirs = np.loadtxt(folder / file)
        warm = (theirs[:, 0] >= 300.0) & (theirs[:, 0] <= 1500.0)
        found.append(f"{name} {off(np.interp(theirs[warm, 0], t, values), theirs[warm, 1])}")
    return found


def of_qha(command: str | None, folder: Path, times: int) -> None:
    """The example of qha, third-order Birch–Murnaghan as it has it, 0 to 1000 K and 0 to 10 GPa."""
    (folder / "input").write_bytes(lzma.decompress((DATA / "qha" / "silicon.xz").read_bytes()))
    (folder / "settings.yaml").write_text(SETTINGS)
    rows, wall, cpu = ours(["settings.yaml", "--eos", "birch_murnaghan"], folder, times)
    print(f"megabar thermo, input of qha, {len(rows)} rows: {wall:.2f} s, CPU {cpu:.2f} s")
    if command is None:
        return
    _, wall, cpu = run([command, "run", "settings.yaml"], folder, times)
    print(f"qha, the same: {wall:.2f} s, CPU {cpu:.2f} s")
    found = []
    for name, key, factor in (
        ("v_tp_ang3.txt", "volume_A3", 1.0),
        ("bt_tp_gpa.txt", "bulk_modulus_GPa", 1.0),
        ("bs_tp_gpa.txt", "adiabatic_bulk_modulus_GPa", 1.0),
        ("cp_tp_jmolk.txt", "heat_capacity_J_per_mol_K", 0.5),
    ):
        lines = (folder / "results" / name).read_text().splitlines()
        pressures = [float(word) for word in lines[0].split()[1:]]
        theirs = {
            (p, float(words[0])): float(value)
            for words in (line.split() for line in lines[1:] if line.strip())
            for p, value in zip(pressures, words[1:], strict=True)
        }
        pairs = np.array(
            [
                (factor * row[key], theirs[row["pressure_GPa"], row["temperature_K"]])
                for row in rows
                if row["temperature_K"] >= 300.0 and (row["pressure_GPa"], row["temperature_K"]) in theirs
            ]
        )
        found.append(f"{key} {off(pairs[:, 0], pairs[:, 1])} ({len(pairs)} rows)")
    print("largest relative difference from 300 K: " + ", ".join(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phonopy-qha", default=shutil.which("phonopy-qha"))
    parser.add_argument("--qha", default=shutil.which("qha"))
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        of_phonopy(options.phonopy_qha, Path(folder), options.times)
    with tempfile.TemporaryDirectory() as folder:
        of_qha(options.qha, Path(folder), options.times)
    print(f"most memory of a child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
