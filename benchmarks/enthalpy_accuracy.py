"""How wrong H(P) is, against the number of volumes: global equations of state, Hermite interpolation, and ours.

A soft metal (Ca-like, five-fold compression over 0–450 GPa) with a smooth electronic feature of 50 meV, known exactly.
Prints max |ΔH| in meV/atom, then the time that building and evaluating our curves takes.
Run: python benchmarks/enthalpy_accuracy.py
"""

from __future__ import annotations

import time

import numpy as np
from ase.units import GPa
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from megabar.analysis import eos
from megabar.analysis.enthalpy import VolumePoint, enthalpy_curve

V0, K0, KP = 42.0, 17.4, 4.0
HEIGHT, CENTRE, WIDTH = 0.05, -0.8, 0.25
COUNTS = (3, 5, 7, 9, 11, 13)
SCENARIOS = {
    "exact data": {},
    "Pulay stress c = 0.3 eV (7 GPa at 7 Å³)": {"pulay": 0.3},
    "the same, noise of 0.2 meV and 0.05 GPa": {"pulay": 0.3, "noise_eV": 2e-4, "noise_GPa": 0.05},
}


def energy(v):
    return K0 * GPa * eos.vinet_shapes(v, V0, KP)[0] + 0.5 * HEIGHT * np.tanh((np.log(v / V0) - CENTRE) / WIDTH)


def pressure(v):
    feature = 0.5 * HEIGHT / WIDTH / np.cosh((np.log(v / V0) - CENTRE) / WIDTH) ** 2
    return K0 * eos.vinet_shapes(v, V0, KP)[1] - feature / v / GPa


def volume(p):
    return brentq(lambda v: pressure(v) - p, 0.1 * V0, 1.3 * V0)


def errors(count, pulay=0.0, noise_eV=0.0, noise_GPa=0.0, seed=0):
    """Max |ΔH| (meV/atom) by method, and our largest claimed σ."""
    rng = np.random.default_rng(seed)
    v = np.geomspace(volume(-0.5), volume(455.0), count)
    e = energy(v) + noise_eV * rng.normal(size=count)
    p = pressure(v) + pulay / v / GPa + noise_GPa * rng.normal(size=count)
    dense = np.geomspace(v[-1], v[0], 20_001)
    asked = np.linspace(0.0, 450.0, 181)
    exact = np.array([energy(u) + q * GPa * u for q, u in zip(asked, map(volume, asked), strict=True)])

    def off(energies):
        return 1e3 * np.abs((energies[:, None] + asked * GPa * dense[:, None]).min(axis=0) - exact).max()

    result = {}
    for kind in ("bm3", "vinet", "bm4"):
        enough = count >= (5 if kind == "bm4" else 4)
        result[kind] = off(eos.fit(v, e, kind=kind).energy(dense)) if enough else np.nan
    hermite = CubicHermiteSpline(np.log(v[::-1]), e[::-1], (-p * v * GPa)[::-1])
    result["Hermite"] = off(hermite(np.log(dense)))
    curve = enthalpy_curve("M", "Ca", [VolumePoint(*row) for row in zip(v, e, p, strict=True)])
    result["ours"] = 1e3 * np.nanmax(np.abs(curve.enthalpy(asked) - exact))
    result["our σ"] = 1e3 * np.nanmax(curve.uncertainty(asked))
    return result


def table(name, scenario):
    print(f"\n{name}: max |ΔH|, meV/atom (median of 15 draws where there is noise)")
    draws = 15 if "noise_eV" in scenario else 1
    for count in COUNTS:
        rows = [errors(count, **scenario, seed=seed) for seed in range(draws)]
        middle = {key: np.median([row[key] for row in rows]) for key in rows[0]}
        if count == COUNTS[0]:
            print("volumes  h(ln V) " + "".join(f"{key:>10}" for key in middle))
        step = np.log(volume(-0.5) / volume(455.0)) / (count - 1)
        print(f"{count:7d}  {step:7.2f} " + "".join(f"{value:10.3f}" for value in middle.values()))


def speed():
    print("\nms a curve: building it, evaluating it at 500 pressures (best of 20)")
    asked = np.linspace(0.0, 450.0, 500)
    for count in (5, 9, 11):
        v = np.geomspace(volume(-0.5), volume(455.0), count)
        points = [VolumePoint(*row) for row in zip(v, energy(v), pressure(v), strict=True)]
        times = []
        for _ in range(20):
            start = time.perf_counter()
            curve = enthalpy_curve("M", "Ca", points)
            built = time.perf_counter()
            curve.evaluate(asked)
            times.append((built - start, time.perf_counter() - built))
        build, evaluate = 1e3 * np.min(times, axis=0)
        print(f"{count:3d} volumes: {build:6.2f} {evaluate:6.2f}")


if __name__ == "__main__":
    for name, scenario in SCENARIOS.items():
        table(name, scenario)
    speed()
