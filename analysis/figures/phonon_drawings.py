"""The figures of lattice dynamics with their names and captions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from megabar.analysis.figures.drawing import Drawing
from megabar.analysis.phonons.harmonic import Harmonic


def crystal_drawings(
    crystal: Harmonic,
    other: Harmonic | None = None,
    temperatures_K: Sequence[float] = (),
    title: str = "",
    suffix: str = "",
    only: Collection[str] | None = None,
) -> list[Drawing]:
    """Return dispersion with density of states, and thermal functions where no mode is imaginary.

    other: with symmetry imposed, or without, for the error. temperatures_K: that the thermal functions must reach.
    only: names of those that are wanted; None: all.
    """
    from megabar.analysis.figures.phonons import (
        THERMAL_CAPTION,
        phonon_caption,
        phonon_figure,
        thermal_figure,
    )
    from megabar.analysis.figures.phonons import (
        temperatures_K as of_figure,
    )
    from megabar.analysis.phonons.dispersion import dispersion
    from megabar.analysis.phonons.errors import alternatives
    from megabar.analysis.phonons.spectrum import spectrum

    found = []
    if only is None or f"phonons{suffix}" in only:
        path = dispersion(crystal)
        caption = phonon_caption(path, crystal.polar is not None)
        found = [Drawing(f"phonons{suffix}", f"Phonons of {title}", caption, phonon_figure(path, title))]
    if only is not None and f"thermal{suffix}" not in only:
        return found
    modes = spectrum(crystal)
    if modes.imaginary == 0:
        at = of_figure(temperatures_K)
        parts = alternatives(crystal, modes, None, other).free_energy_eV(modes, at.tolist())
        errors = np.sqrt(np.sum([part**2 for part in parts.values()], axis=0))
        figure = thermal_figure(modes, errors, at, title)
        found.append(Drawing(f"thermal{suffix}", f"Thermal functions of {title}", THERMAL_CAPTION, figure))
    return found


def gruneisen_drawing(
    crystals: Sequence[Harmonic], temperatures_K: Sequence[float] = (), title: str = "", suffix: str = ""
) -> Drawing:
    """Return the Grüneisen parameters of one phase at several volumes."""
    from megabar.analysis.figures.phonons import GRUNEISEN_CAPTION, gruneisen_figure
    from megabar.analysis.figures.phonons import temperatures_K as of_figure
    from megabar.analysis.phonons.gruneisen import series

    found = series(crystals)
    names = [f"{each.crystal.volume_A3_per_atom:.4g} Å³/atom" for each in found]
    figure = gruneisen_figure(found, of_figure(temperatures_K), names, title)
    return Drawing(f"gruneisen{suffix}", f"Grüneisen parameters of {title}", GRUNEISEN_CAPTION, figure)
