"""EPW's isotropic Eliashberg solver on a table of α²F, for tests and benchmarks: an independent code for our numbers.

epw.x wants the XML of some crystal before it begins; the α²F it solves for has nothing to do with that crystal.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megabar.workflows.pseudopotentials.generate import generated

SCF = """\
&control
 calculation='scf', prefix='x', outdir='.', pseudo_dir='.'
/
&system
 ibrav=2, celldm(1)=7.6, nat=1, ntyp=1, ecutwfc=12, ecutrho=60, occupations='smearing', degauss=0.05
/
&electrons
 conv_thr=1e-3
/
ATOMIC_SPECIES
Al 26.98 Al.upf
ATOMIC_POSITIONS crystal
Al 0 0 0
K_POINTS automatic
1 1 1 0 0 0
"""
EPW = """\
--
&inputepw
 prefix='x', outdir='.', ep_coupling=.false., elph=.false., wannierize=.false.
 epwread=.true., epwwrite=.false., kmaps=.true.
 eliashberg=.true., liso=.true., limag=.true., lpade={real}, lacon={real}, npade=40
 fila2f='x.a2f', nqstep={rows}, nsiter=1000, conv_thr_iaxis=1d-9, conv_thr_racon=1d-4
 wscut={cutoff}, muc={mu_star}, nstemp={count}, temps={temperatures}
 nk1=1, nk2=1, nk3=1, nq1=1, nq2=1, nq3=1, nkf1=1, nkf2=1, nkf3=1, nqf1=1, nqf2=1, nqf3=1
/
"""
CRYSTAL = "1\n3\n3\n1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 1\n1\n1\n"


@dataclass(frozen=True)
class EpwGap:
    """Δ(iω₀) (meV) and Z(iω₀) at a temperature (K); Δ(ω) on the real axis (meV), complex, where it was asked for."""

    temperature_K: float
    gap_meV: float
    renormalisation: float
    omega_meV: np.ndarray | None = None
    real_gap_meV: np.ndarray | None = None


def missing() -> str | None:
    """Return the program of Quantum ESPRESSO that is not there, if one is not."""
    return next((name for name in ("ld1.x", "pw.x", "epw.x") if shutil.which(name) is None), None)


def prepared(folder: Path) -> Path:
    """Run the crystal that epw.x wants to see, and return its folder."""
    shutil.copy(generated("Al", "PBE", folder / "pseudopotentials", "ld1.x"), folder / "Al.upf")
    (folder / "scf.in").write_text(SCF)
    _run("pw.x", "scf", folder)
    (folder / "crystal.fmt").write_text(CRYSTAL)
    return folder


def solved(folder, omega_meV, alpha2f, mu_star, cutoff_meV, temperatures_K, *, real_axis=False):
    """Return EPW's gap at each temperature and the seconds epw.x took; μ* is referred to the cutoff."""
    rows = "".join(f"{w:.10f} {a:.14e}\n" for w, a in zip(omega_meV, alpha2f, strict=True))
    (folder / "x.a2f").write_text("w[meV] a2f\n" + rows)
    values = {"real": ".true." if real_axis else ".false.", "rows": len(omega_meV), "cutoff": cutoff_meV / 1000}
    values |= {"mu_star": mu_star, "count": len(temperatures_K)}
    text = EPW.format(temperatures=" ".join(f"{each:.6f}" for each in temperatures_K), **values)
    (folder / "epw.in").write_text(text)
    begin = time.perf_counter()
    _run("epw.x", "epw", folder)
    return [_read(folder, each, real_axis) for each in temperatures_K], time.perf_counter() - begin


def _read(folder: Path, temperature_K: float, real_axis: bool) -> EpwGap:
    imaginary = np.loadtxt(folder / f"x.imag_iso_{temperature_K:06.2f}", skiprows=1)
    gap, z = 1000 * imaginary[0, 2], imaginary[0, 1]
    if not real_axis:
        return EpwGap(temperature_K, gap, z)
    real = np.loadtxt(folder / f"x.acon_iso_{temperature_K:06.2f}", skiprows=1)
    return EpwGap(temperature_K, gap, z, 1000 * real[:, 0], 1000 * (real[:, 3] + 1j * real[:, 4]))


def _run(program: str, name: str, folder: Path) -> None:
    with (folder / f"{name}.out").open("w") as out:
        subprocess.run([program, "-in", f"{name}.in"], cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=True)
