"""What a tunnel junction sees: the quasi-particle density of states and dI/dV."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.eliashberg.real_axis import RealAxis, density_kernels
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]


def density_of_states(axis: RealAxis) -> Array:
    """Return N(ω)/N(0) = Re[ω/√(ω² − Δ(ω)²)] at the frequencies of the axis, shape (n,).

    Each value is the mean around its frequency, so that the inverse square root at the gap edge is finite and
    integrates to what it should. Schrieffer, Scalapino & Wilkins, Phys. Rev. Lett. 10, 336 (1963).
    """
    values: Array = density_kernels(axis.omega_meV, axis.gap)[0].real
    values[[0, -1]] *= 2  # only one side of these is on the axis
    return values


def conductance(axis: RealAxis, voltage_mV: ArrayLike, temperature_K: float) -> Array:
    """Return (dI/dV)_s/(dI/dV)_n of a junction with a normal metal at a temperature (K), shape of the voltage (mV).

    ∫ N(E)/N(0) [−∂f(E + eV)/∂E] dE, N = N(0) beyond the axis: Giaever & Megerle, Phys. Rev. 122, 1101 (1961).
    """
    thermal = temperature_K * MEV_PER_K
    voltage = np.abs(np.asarray(voltage_mV, float))
    excess = density_of_states(axis) - 1
    edges = np.concatenate([[0.0], (axis.omega_meV[1:] + axis.omega_meV[:-1]) / 2, axis.omega_meV[-1:]])
    values = np.ones(voltage.shape)
    for sign in (1, -1):
        # f(E − V) falls from each edge to the next: so much of the window stands over each value.
        filled = 0.5 * (1 - np.tanh((edges - sign * voltage[..., None]) / (2 * thermal)))
        values += -np.diff(filled, axis=-1) @ excess
    result: Array = values
    return result
