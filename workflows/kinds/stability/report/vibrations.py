"""What a report says of the vibrations of each phase: what is known of them, and why a phase takes no part."""

from __future__ import annotations

from dataclasses import dataclass

from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.report.values import measured

Imaginary = tuple[str, float, float, tuple[float, float, float]]


@dataclass(frozen=True)
class VibrationRow:
    """Volumes of a phase with phonons, its zero-point energies there.

    why: it takes no part, or not everywhere; empty where it does.
    """

    phase: str
    volumes: str
    zero_point: str
    why: str


def vibration_rows(answer: StabilityAnswer) -> list[VibrationRow]:
    """Return a row for each phase of a study with vibrations."""
    if not answer.hot:
        return []
    rows = []
    for phase, own in answer.hot[0].vibrations.items():
        absent = dict.fromkeys(each.absent[phase] for each in answer.hot if phase in each.absent)
        spectra = [] if own.series is None else own.series.spectra
        energies = [1000 * each.zero_point_eV_per_atom for each in spectra]
        volumes = f"{len(energies)}" + (f" (+{len(own.unstable)} not stable)" if own.unstable else "")
        told = f"{measured(min(energies))} – {measured(max(energies))}" if energies else "–"
        partly = dict.fromkeys(each.partly[phase] for each in answer.hot if phase in each.partly)
        why = "no: " + "; ".join(absent) if absent else "partly: " + "; ".join(partly) if partly else ""
        rows.append(VibrationRow(phase, volumes, told, why))
    return rows


def imaginary_modes(answer: StabilityAnswer) -> list[Imaginary]:
    """Return phase, pressure (GPa), frequency (THz, below zero) and q of the lowest imaginary mode of each volume."""
    if not answer.hot:
        return []
    return [(phase, *mode) for phase, own in answer.hot[0].vibrations.items() for mode in own.unstable]
