"""Closed formulas for Tc, each with the range in which it may be believed, and their spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cbrt, exp, isfinite, log, sqrt

from megabar.analysis.superconductivity.spectral import SpectralFunction
from megabar.structures.errors import InputError

LARGEST_MU_STAR = 0.5
WEAK = 0.2
"""μ*/λ above which Tc depends so steeply on both that formulas and equations part."""
POLE, UNTOUCHED = 0.1, 0.02
"""Xie's formula is not used nearer than this to its pole at 1/λ = μ* + ω_log/ω̄₂, unless |f_μ − 1| is still small."""


def mcmillan(lambda_: float, omega_log: float, mu_star: float) -> float:
    """Return Tc = (ω_log/1.2) exp[−1.04(1+λ)/(λ − μ*(1+0.62λ))], in the unit of ω_log; 0 where repulsion wins.

    McMillan, Phys. Rev. 167, 331 (1968), eq. 18, with the prefactor of Allen & Dynes, Phys. Rev. B 12, 905 (1975):
    their eq. 34 with f₁ = f₂ = 1.
    """
    attraction = lambda_ - mu_star * (1 + 0.62 * lambda_)
    return omega_log / 1.2 * exp(-1.04 * (1 + lambda_) / attraction) if attraction > 0 else 0.0


def strong_coupling_factors(lambda_: float, ratio: float, mu_star: float) -> tuple[float, float]:
    """Return f₁ and f₂ of Allen & Dynes, Phys. Rev. B 12, 905 (1975), eqs. 35-38; ratio = ω̄₂/ω_log."""
    lambda_1 = 2.46 * (1 + 3.8 * mu_star)
    lambda_2 = 1.82 * (1 + 6.3 * mu_star) * ratio
    f1 = (1 + (lambda_ / lambda_1) ** 1.5) ** (1 / 3)
    f2 = 1 + (ratio - 1) * lambda_**2 / (lambda_**2 + lambda_2**2)
    return f1, f2


def allen_dynes(lambda_: float, omega_log: float, omega_2: float, mu_star: float) -> float:
    """Return Tc = f₁f₂ (ω_log/1.2) exp[…]: Allen & Dynes, Phys. Rev. B 12, 905 (1975), eq. 34. Unit as ω_log."""
    f1, f2 = strong_coupling_factors(lambda_, omega_2 / omega_log, mu_star)
    return f1 * f2 * mcmillan(lambda_, omega_log, mu_star)


def xie_factors(lambda_: float, ratio: float, mu_star: float) -> tuple[float, float]:
    """Return f_ω and f_μ of Xie et al., npj Comput. Mater. 8, 14 (2022), eqs. 7, 8; ratio = ω̄₂/ω_log.

    f_μ is nan near its pole, where the formula says nothing.
    """
    inverse = 1 / ratio
    f_omega = 1.92 * (lambda_ + inverse - cbrt(mu_star)) / (sqrt(lambda_) * exp(inverse)) - 0.08
    rise, distance = (6.86 * exp(-lambda_ / mu_star) if mu_star else 0.0), 1 / lambda_ - mu_star - inverse
    if rise > UNTOUCHED * abs(distance) and abs(distance) < POLE:
        return f_omega, float("nan")
    return f_omega, 1 + rise / distance if rise else 1.0


def xie(lambda_: float, omega_log: float, omega_2: float, mu_star: float) -> float:
    """Return Tc = f_ω f_μ (ω_log/1.2) exp[…]: Xie et al., npj Comput. Mater. 8, 14 (2022), eq. 6. Unit as ω_log.

    nan near the pole of f_μ.
    """
    f_omega, f_mu = xie_factors(lambda_, omega_2 / omega_log, mu_star)
    return f_omega * f_mu * mcmillan(lambda_, omega_log, mu_star)


def check_mu_star(mu_star: float, name: str = "--mu-star") -> None:
    """Raise InputError for a μ* that no metal has."""
    if not 0 <= mu_star <= LARGEST_MU_STAR:
        raise InputError(
            f"{name} is {mu_star:g}; the Coulomb pseudopotential μ* lies between 0 and {LARGEST_MU_STAR:g}, "
            "in most metals between 0.10 and 0.15"
        )


def mu_star_at(mu_star: float, from_meV: float, to_meV: float) -> float:
    """Return μ* moved from one reference energy to another: 1/μ*(ω′) = 1/μ*(ω) + ln(ω/ω′).

    Morel & Anderson, Phys. Rev. 125, 1263 (1962). Raises InputError where the repulsion would become infinite on
    the way up.
    """
    if mu_star == 0:
        return 0.0
    inverse = 1 / mu_star + log(from_meV / to_meV)
    if inverse <= 0:
        raise InputError(
            f"μ* = {mu_star:g} at {from_meV:.4g} meV has no counterpart at {to_meV:.4g} meV: the repulsion would be "
            "infinite below that; refer μ* to the highest phonon frequency or above"
        )
    return 1 / inverse


@dataclass(frozen=True)
class Formula:
    """A formula for Tc and where it may be believed.

    key: of the answer in JSON. lambda_range, mu_star_range, largest_ratio (of ω̄₂/ω_log): where it stays within
    `accuracy` (relative) of the linearised Eliashberg equations, for one Einstein mode and for two up to a factor 6
    apart, with μ* referred to the higher one and not above 0.2 λ. caveat: what is known to go wrong beyond that.
    """

    key: str
    name: str
    source: str
    doi: str
    tc: Callable[[float, float, float, float], float]
    lambda_range: tuple[float, float]
    mu_star_range: tuple[float, float]
    largest_ratio: float
    accuracy: float
    caveat: str


FORMULAS = (
    Formula(
        "tc_mcmillan_K",
        "McMillan",
        "McMillan, Phys. Rev. 167, 331 (1968), with ω_log/1.2",
        "10.1103/PhysRev.167.331",
        lambda lambda_, omega_log, omega_2, mu_star: mcmillan(lambda_, omega_log, mu_star),
        (0.3, 1.25),
        (0.0, 0.20),
        1.25,
        0.20,
        "it saturates at strong coupling; for one Einstein mode and μ* = 0 it is 17% too low at λ = 2, 52% at 10",
    ),
    Formula(
        "tc_allen_dynes_K",
        "Allen-Dynes",
        "Allen & Dynes, Phys. Rev. B 12, 905 (1975), eqs. 34-38",
        "10.1103/PhysRevB.12.905",
        allen_dynes,
        (0.3, 10.0),
        (0.0, 0.20),
        1.2,
        0.10,
        "it was fitted to spectra of the shapes of Hg, Pb and one Einstein mode; for two modes a factor 6 apart "
        "it is up to 24% too high at λ = 0.6 and 19% too low at λ = 3",
    ),
    Formula(
        "tc_xie_K",
        "Xie 2022",
        "Xie et al., npj Comput. Mater. 8, 14 (2022), eqs. 6-8",
        "10.1038/s41524-021-00666-7",
        xie,
        (0.5, 3.0),
        (0.05, 0.15),
        1.5,
        0.22,
        "it is a fit by symbolic regression; without repulsion it is 16 to 48% too high, for two modes a factor 6 "
        "apart up to 33%",
    ),
)


@dataclass(frozen=True)
class Estimate:
    """Tc by one formula (K; nan where it has none) and, in sentences, why it may be wrong here."""

    formula: Formula
    tc_K: float
    caveats: tuple[str, ...]


def estimates(spectrum: SpectralFunction, mu_star: float) -> tuple[Estimate, ...]:
    """Return Tc (K) by every formula, with its caveats here. mu_star: referred to ω_max of the spectrum."""
    from megabar.analysis.superconductivity.units import MEV_PER_K

    lambda_, omega_log, omega_2 = spectrum.lambda_, spectrum.omega_log_meV / MEV_PER_K, spectrum.omega_2_meV / MEV_PER_K
    found = []
    for formula in FORMULAS:
        tc = formula.tc(lambda_, omega_log, omega_2, mu_star)
        found.append(Estimate(formula, tc, _caveats(formula, lambda_, omega_2 / omega_log, mu_star, tc)))
    return tuple(found)


def spread_K(found: tuple[Estimate, ...]) -> tuple[float, float] | None:
    """Return the lowest and the highest Tc (K) of the formulas that have one: how far they are to be believed."""
    values = [each.tc_K for each in found if isfinite(each.tc_K)]
    return (min(values), max(values)) if values else None


def _caveats(formula: Formula, lambda_: float, ratio: float, mu_star: float, tc: float) -> tuple[str, ...]:
    if not isfinite(tc):
        return (f"{formula.name} has no value here: 1/λ is too near to its pole at μ* + ω_log/ω̄₂",)
    if tc == 0:
        repulsion = mu_star * (1 + 0.62 * lambda_)
        return (f"{formula.name} gives no superconductivity: μ*(1+0.62λ) = {repulsion:.3f} is not below λ",)
    outside = [
        f"{name} = {value:.3g} (range {low:g} to {high:g})"
        for name, value, (low, high) in (
            ("λ", lambda_, formula.lambda_range),
            ("μ*", mu_star, formula.mu_star_range),
            ("ω̄₂/ω_log", ratio, (1.0 - 1e-9, formula.largest_ratio)),
        )
        if not low <= value <= high
    ]
    said: tuple[str, ...] = ()
    if outside:
        said = (f"{formula.name} is outside its range with {', '.join(outside)}: {formula.caveat}",)
    if mu_star > WEAK * lambda_:
        said += (
            f"μ*/λ = {mu_star / lambda_:.2f}: near the end of superconductivity Tc depends exponentially on both, and "
            "the formulas may differ from the Eliashberg equations by tens of per cent",
        )
    return said
