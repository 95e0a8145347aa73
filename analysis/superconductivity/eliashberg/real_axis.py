"""Continuation to the real axis by exact iteration (Marsiglio, Schossmann & Carbotte)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.anderson import fixed_point
from megabar.analysis.superconductivity.eliashberg.kernel import Spectrum
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
WINDOW, GAPS = 3.0, 2.0
"""The real axis ends at 3 times the highest phonon frequency, or where that and 2 Δ(iω₀) end if that is higher."""
MOST = 2**15
"""Most points on the real axis."""
FEWEST = 400
"""Fewest points from 0 to the highest phonon frequency."""
TOLERANCE = 1e-8
_ORDER, _MATCHED, _SMALLEST = 4, (0.03, 10.0), 1e-3
"""Degree, in ω², of the polynomial that corrects α²F on the grid; range of ν/ω_max, and the least-squares cut-off."""
PARTS = 4
"""Pieces of a cell in each of which Δ(ω) is constant, when ω/√(ω² − Δ²) is integrated."""


@dataclass(frozen=True, eq=False)
class RealAxis:
    """Δ(ω) and Z(ω), retarded, at ω ≥ 0; energies in meV.

    omega_meV: frequencies, evenly spaced from 0, shape (n,). gap, renormalisation: complex, shape (n,).
    """

    omega_meV: Array
    gap: Complex
    renormalisation: Complex

    @property
    def edge_meV(self) -> float | None:
        """Δ₀ with Re Δ(ω = Δ₀) = Δ₀ (meV), the lowest; None where there is none (gapless)."""
        return gap_edge(self.omega_meV, self.gap)


def gap_edge(omega_meV: Array, gap: Complex) -> float | None:
    """Return the lowest ω > 0 with Re Δ(ω) = ω, between two frequencies by interpolation; None where there is none."""
    excess = (gap.real - omega_meV)[1:]
    omega_meV = omega_meV[1:]
    falls = np.flatnonzero((excess[:-1] > 0) & (excess[1:] <= 0))
    if not falls.size:
        return None
    k = int(falls[0])
    return float(omega_meV[k] + excess[k] * (omega_meV[k + 1] - omega_meV[k]) / (excess[k] - excess[k + 1]))


def axis_end(spectrum: Spectrum, gap: Gap) -> float:
    """Return the highest frequency (meV) of the real axis."""
    highest = float(np.max(spectrum.omega_meV))
    return max(WINDOW * highest, highest + GAPS * float(gap.gap[0]))


def grid_step(spectrum: Spectrum, gap: Gap) -> float | None:
    """Return the spacing (meV) of a real axis for a solution; None where that would be too many points.

    A spacing of T resolves the sums over ω_n (they are smooth over πT) to e^{−2π²}; that of an evenly spaced table is
    divided, so that its points are points of the axis.
    """
    step = min(gap.temperature_meV, float(np.max(spectrum.omega_meV)) / FEWEST)
    spacing = np.diff(spectrum.omega_meV)
    if not spectrum.discrete and np.allclose(spacing, spacing[0], rtol=1e-3):
        step = spacing[0] / np.ceil(spacing[0] / step)
    return float(step) if axis_end(spectrum, gap) / step < MOST else None


def continue_exactly(spectrum: Spectrum, gap: Gap, step_meV: float) -> RealAxis:
    """Return Δ(ω) and Z(ω) on the real axis from the solution on the imaginary one.

    ZΔ(ω) = πT Σ_m [λ(ω−iω_m) − μ*] Δ_m/R_m + iπ ∫dΩ α²F(Ω) [N(Ω) + f(Ω−ω)] Δ(ω−Ω)/√((ω−Ω)² − Δ²(ω−Ω)),
    Ω of both signs, and ωZ(ω) = ω + the same with ω for Δ and i before the sum: Marsiglio, Schossmann & Carbotte,
    Phys. Rev. B 37, 4965 (1988). Exact at every temperature; iterated with Anderson mixing, convolutions by FFT, the
    inverse square roots at the gap edge integrated within each cell. Raises ArithmeticError where it does not converge.
    """
    from scipy.special import expit

    axis = _Axis.of(spectrum, step_meV, axis_end(spectrum, gap))
    bare_pairing, bare_frequency = _matsubara_parts(axis, gap)
    thermal = expit(axis.differences / gap.temperature_meV)  # f(−x)
    emission, absorption = axis.transform(axis.alpha2f), axis.transform(axis.alpha2f_bose(gap.temperature_meV))
    omega = axis.omega

    def both(values: Complex) -> Complex:
        """Return iπ ∫dΩ α²F(Ω) [N(Ω) + f(Ω−ω)] K(ω−Ω) of a kernel on all differences, shape (n,)."""
        whole = axis.transform(values)
        return 1j * np.pi * axis.inverse(absorption * whole + emission * axis.transform(values * thermal))

    def terms(now: Complex) -> tuple[Complex, Complex]:
        mass, pairing = density_kernels(omega, now)
        frequency = bare_frequency + both(axis.symmetric(mass, 1))
        return bare_pairing + both(axis.symmetric(pairing, -1)), frequency

    def following(now: Complex) -> Complex:
        pairing, frequency = terms(now)
        new = pairing.copy()
        new[1:] = pairing[1:] * omega[1:] / frequency[1:]
        new[0] = (4 * new[1] - new[2]).real / 3
        return new

    start = np.full(omega.size, gap.gap[0], dtype=complex)
    found, _ = fixed_point(following, start, TOLERANCE)
    renormalisation = terms(found)[1] / np.where(omega > 0, omega, 1.0)
    renormalisation[0] = (4 * renormalisation[1] - renormalisation[2]).real / 3
    return RealAxis(omega, found, renormalisation)


@dataclass(frozen=True, eq=False)
class _Axis:
    """The grids of the convolution ∫dΩ A(Ω) K(ω−Ω): Ω from −J to J, ω from 0 to M, ω − Ω from −(M+J) to M+J steps."""

    step: float
    omega: Array
    phonons: Array
    alpha2f: Array
    differences: Array
    size: int

    @staticmethod
    def of(spectrum: Spectrum, step: float, end: float) -> _Axis:
        from scipy.fft import next_fast_len

        highest = float(np.max(spectrum.omega_meV))
        half, many = int(np.ceil(highest / step)) + 1, int(np.ceil(end / step))
        positive = _alpha2f_on(spectrum, step * np.arange(half + 1, dtype=np.float64))
        odd = np.concatenate([-positive[:0:-1], positive]) * step
        reach = many + half
        size = int(next_fast_len(2 * reach + 2 * half + 1))
        return _Axis(
            step,
            step * np.arange(many + 1, dtype=np.float64),
            step * np.arange(-half, half + 1, dtype=np.float64),
            odd,
            step * np.arange(-reach, reach + 1, dtype=np.float64),
            size,
        )

    def transform(self, values: Array | Complex) -> Complex:
        from scipy.fft import fft

        transformed: Complex = fft(values, self.size)
        return transformed

    def inverse(self, transformed: Complex) -> Complex:
        """Return the convolution at ω ≥ 0, shape (n,)."""
        from scipy.fft import ifft

        first = (self.phonons.size - 1) // 2 + (self.differences.size - 1) // 2
        values: Complex = ifft(transformed)[first : first + self.omega.size]
        return values

    def symmetric(self, values: Complex, sign: int) -> Complex:
        """Return K(x) at all differences from x ≥ 0, with K(−x) = sign·K*(x) and 0 where |x| is beyond the window."""
        whole = np.zeros(self.differences.size, dtype=complex)
        centre, many = (self.differences.size - 1) // 2, values.size
        whole[centre : centre + many] = values
        whole[centre - many + 1 : centre + 1] += sign * np.conj(values[::-1])
        return whole

    def alpha2f_bose(self, temperature: float) -> Array:
        """Return α²F(Ω) N(Ω) dΩ at the phonon frequencies, α²F(−Ω) = −α²F(Ω); 0 at Ω = 0, where α²F ~ Ω²."""
        away = np.where(self.phonons == 0, 1.0, np.clip(self.phonons / temperature, -700, 700))
        values: Array = self.alpha2f / np.expm1(away)
        return values


def _alpha2f_on(spectrum: Spectrum, grid: Array) -> Array:
    """Return α²F on an even grid from 0, with the λ(iν) of the spectrum; peaks are shared between the nearest points.

    Between the rows of a table α²F is a straight line. On the imaginary axis it is what stands in the rows, by the
    trapezium rule: for few rows another function, whose gap differs by a hundredth. So it is multiplied by a
    polynomial in ω² next to 1, which gives it that λ(iν) at all ν.
    """
    if spectrum.discrete:
        place = spectrum.omega_meV / grid[1]
        below = np.floor(place).astype(int)
        area = spectrum.mode_lambda * spectrum.omega_meV / 2 / grid[1]
        values = np.zeros(grid.size)
        np.add.at(values, below, area * (below + 1 - place))
        np.add.at(values, below + 1, area * (place - below))
        values[0] = 0.0
    else:
        slope = spectrum.alpha2f / spectrum.omega_meV
        values = grid * np.interp(grid, [0.0, *spectrum.omega_meV], [0.0, *slope], right=0.0)
    return values * _correction(spectrum, grid, values)


def _correction(spectrum: Spectrum, grid: Array, values: Array) -> Array:
    """Return the factor, a polynomial in ω², that takes λ(iν) of α²F on a grid to that of the spectrum.

    In the norm in which λ(iν) is wanted: at ν from a hundredth of ω_max to 10 ω_max, and λ = λ(0) itself.
    """
    from numpy.polynomial.chebyshev import chebvander

    highest = float(np.max(spectrum.omega_meV))
    points = highest * np.concatenate([[0.0], np.geomspace(*_MATCHED, 4 * _ORDER)])
    omega = grid[1:]
    polynomials = chebvander(2 * np.minimum(omega / highest, 1.0) ** 2 - 1, _ORDER)
    carried = 2 * grid[1] * values[1:] / omega
    known = (omega**2 / (omega**2 + points[:, None] ** 2) * carried) @ polynomials
    wanted = 1 / (1 + (points[:, None] / spectrum.omega_meV) ** 2) @ spectrum.mode_lambda
    scale = 1 / wanted  # relative errors, as λ(iν) falls
    found = np.linalg.lstsq(known * scale[:, None], 1 - scale * known[:, 0], rcond=_SMALLEST)[0]
    factor: Array = np.concatenate([[1.0], 1 + polynomials @ found])
    return np.maximum(factor, 0.0)


def _matsubara_parts(axis: _Axis, gap: Gap) -> tuple[Array, Array]:
    """Return πT Σ_m [λ(ω−iω_m) − μ*] Δ_m/R_m and ω + iπT Σ_m λ(ω−iω_m) ω_m/R_m, shape (n,): both real.

    λ(z) = −∫ α²F(Ω)/(z − Ω) dΩ over Ω of both signs, so that both are convolutions with α²F.
    """
    frequency, twice = gap.frequency_meV, 2 * np.pi * gap.temperature_meV
    root = np.hypot(frequency, gap.gap)
    weight = twice * gap.points.weight / root
    half = axis.differences[(axis.differences.size - 1) // 2 :]
    summed = 1 / (half[:, None] ** 2 + frequency**2) @ np.stack([weight * gap.gap, weight * frequency**2], axis=1)
    pairing, mass = summed.T
    pairing = np.concatenate([(half * pairing)[:0:-1], -half * pairing])
    mass = np.concatenate([mass[:0:-1], mass])
    alpha2f = axis.transform(axis.alpha2f)
    return (
        axis.inverse(alpha2f * axis.transform(pairing)).real - gap.coulomb_meV,
        axis.inverse(alpha2f * axis.transform(mass)).real + axis.omega,
    )


def density_kernels(omega: Array, gap: Complex) -> tuple[Complex, Complex]:
    """Return ω/√(ω²−Δ²) and Δ/√(ω²−Δ²), averaged over the points of x > 0 that are nearest to each, shape (n,).

    The average is with the hat function of the grid, so that the convolution with a piecewise linear α²F is exact for
    a Δ that is constant in a quarter of a cell.
    """
    mass, pairing = np.zeros(omega.size, complex), np.zeros(omega.size, complex)
    step = omega[1]
    for part in range(PARTS):
        share = (part + 0.5) / PARTS
        here = (1 - share) * gap[:-1] + share * gap[1:]
        low, high = omega[:-1] + step * part / PARTS, omega[:-1] + step * (part + 1) / PARTS
        root_low, root_high = quasiparticle_root(low, here), quasiparticle_root(high, here)
        densities = (root_high - root_low) / step
        pairs = here * np.log((high + root_high) / (low + root_low)) / step
        for kernel, moment in ((mass, densities), (pairing, pairs)):
            kernel[:-1] += (1 - share) * moment
            kernel[1:] += share * moment
    return mass, pairing


def quasiparticle_root(omega: Array, gap: Complex) -> Complex:
    """Return √(ω² − Δ²) at frequencies rising from 0: positive imaginary part up to the gap edge, real part above.

    Both are what the retarded function has; in the gap, where Δ is real, rounding must not choose the sheet.
    """
    root = np.sqrt(omega**2 - gap**2 + 0j)
    within = np.logical_and.accumulate(gap.real > omega)
    chosen: Complex = np.where(within & (root.imag < 0), -root, root)
    return chosen
