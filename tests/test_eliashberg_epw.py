"""Our gap against that of EPW, which sums every frequency up to its cutoff."""

from __future__ import annotations

from pathlib import Path

import epw_isotropic
import numpy as np
import pytest

from megabar.analysis.superconductivity.eliashberg import linearised
from megabar.analysis.superconductivity.eliashberg.continuation import continued
from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import solve_gap
from megabar.analysis.superconductivity.eliashberg.real_axis import gap_edge
from megabar.analysis.superconductivity.spectral import tabulated
from megabar.analysis.superconductivity.units import MEV_PER_K

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(epw_isotropic.missing() is not None, reason=f"{epw_isotropic.missing()} is not installed"),
]
OMEGA = np.linspace(0, 100, 501)[1:]
ALPHA2F = 1.5 * (OMEGA / 100) ** 2 * np.exp(-((OMEGA / 60) ** 8)) + 1.5 * np.exp(-(((OMEGA - 75) / 10) ** 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return epw_isotropic.prepared(tmp_path_factory.mktemp("epw"))


def gaps(mu_star, cutoff_meV, temperatures_K):
    spectrum = tabulated(OMEGA, ALPHA2F, "model")
    modes, interaction = modes_of(spectrum), coulomb(mu_star, cutoff_meV)
    critical = linearised.critical(modes, interaction)
    return spectrum, [solve_gap(modes, interaction, t * MEV_PER_K, critical) for t in temperatures_K]


@pytest.mark.parametrize("mu_star", [0.0, 0.12])
def test_gap_on_the_imaginary_axis(folder, mu_star):
    """EPW leaves out of Z what lies beyond its cutoff: the difference falls with the cutoff, to 1e-5 at 30 eV."""
    differences = []
    for cutoff in (1000.0, 30_000.0):
        theirs, _ = epw_isotropic.solved(folder, OMEGA, ALPHA2F, mu_star, cutoff, (10.0, 35.0))
        _, ours = gaps(mu_star, cutoff, (10.0, 35.0))
        differences.append([a.gap_meV / b.gap[0] - 1 for a, b in zip(theirs, ours, strict=True)])
    assert np.abs(differences[1]).max() < 1e-4
    assert np.abs(differences[0]).max() < 0.05
    assert theirs[1].renormalisation == pytest.approx(ours[1].renormalisation[0], rel=1e-5)


def test_gap_on_the_real_axis(folder):
    theirs, _ = epw_isotropic.solved(folder, OMEGA, ALPHA2F, 0.12, 1000.0, (10.0,), real_axis=True)
    spectrum, ours = gaps(0.12, 1000.0, (10.0,))
    found = continued(spectrum, ours[0])
    assert gap_edge(theirs[0].omega_meV, theirs[0].real_gap_meV) == pytest.approx(found.edge_meV, rel=0.01)
    grid = found.exact.omega_meV[1:400]
    theirs_there = np.interp(grid, theirs[0].omega_meV, theirs[0].real_gap_meV)
    difference = np.abs(theirs_there - found.exact.gap[1:400])
    assert np.sqrt(np.mean(difference**2)) < 0.05 * found.edge_meV
