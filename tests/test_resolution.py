"""Polymorphs closer than a method resolves: excursions are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import GPa

from megabar.analysis.resolution import resolved
from megabar.analysis.stability import analyse


@dataclass(frozen=True)
class Wave:
    """H = slope·P + depth·cos(2π P / period): polymorphs that exchange places again and again."""

    phase: str
    depth_eV: float = 0.0
    period_GPa: float = 20.0
    slope: float = 0.0
    energy: float = 0.0
    formula: str = "He"
    from_GPa: float = 0.0
    to_GPa: float = 100.0

    def enthalpy(self, pressure_GPa):
        p = np.asarray(pressure_GPa, float)
        wave = self.depth_eV * np.cos(2 * np.pi * p / self.period_GPa)
        return self.energy + (10 + self.slope) * p * GPa + wave

    def volume(self, pressure_GPa):
        p = np.asarray(pressure_GPa, float)
        turn = 2 * np.pi / self.period_GPa
        return 10 + self.slope - self.depth_eV * turn * np.sin(turn * p) / GPa

    def uncertainty(self, pressure_GPa):
        return np.full(np.shape(pressure_GPa), 1e-4)


def test_excursions_within_the_resolution_have_no_interval():
    """hcp = flat, fcc = ±0.4 meV about it, ten changes of place; 1 meV resolved: one phase from end to end."""
    stability = analyse([Wave("hcp"), Wave("fcc", depth_eV=-0.4e-3)])
    assert len(stability.intervals) == 11
    settled = resolved(stability, 1e-3)
    assert len(settled.intervals) == 1
    assert settled.transitions == ()
    [interval] = settled.intervals
    assert (interval.from_GPa, interval.to_GPa) == (0.0, 100.0)
    assert interval.from_open and interval.to_open
    assert sum("left out" in note for note in settled.notes) == 5


def test_excursions_deeper_than_the_resolution_stay():
    stability = analyse([Wave("hcp"), Wave("fcc", depth_eV=-1.1e-3)])
    settled = resolved(stability, 1e-3)
    assert settled.intervals == stability.intervals
    assert [each.pressure_GPa for each in settled.transitions] == [each.pressure_GPa for each in stability.transitions]


def test_a_compound_between_two_ranges_of_another_is_no_excursion():
    """Reactions between compositions are not judged by the resolution of polymorphs."""
    curves = [
        Wave("Na", formula="Na"),
        Wave("He", formula="He"),
        Wave("NaHe", formula="NaHe", energy=1e-4, depth_eV=-4e-4),
    ]
    stability = analyse(curves)
    settled = resolved(stability, 1e-2)
    assert settled.intervals == stability.intervals
