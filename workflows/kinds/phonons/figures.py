"""The figures of a study of phonons, chosen by the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from megabar.analysis.figures.drawing import Drawing, Drawings, Options
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.yaml_input import nearest

if TYPE_CHECKING:
    from megabar.workflows.kinds.phonons.crystals import CrystalAt
    from megabar.workflows.kinds.phonons.thermo import PhaseThermo


@dataclass(frozen=True, eq=False)
class PhononFigures:
    """The answer that the figures are drawn of."""

    answer: PhononAnswer

    def panels(self, options: Options) -> dict[str, str]:
        """Return the names of the figures with what they show."""
        return {each.name: each.title for each in self._drawings(options, parts=True)}

    def draw(self, options: Options) -> Drawings:
        """Return the figures, single panels where they are named.

        Raises InputError for a figure, label or pressure that the answer does not have.
        """
        from megabar.analysis.figures.style import mark

        if options.labels:
            raise InputError("--label names phases of a hull; figures of phonons have none")
        drawings = list(self._drawings(options, parts=bool(options.panels)))
        names = [each.name for each in drawings]
        for wanted in options.panels:
            if wanted not in names:
                raise InputError(
                    f"there is no panel {wanted!r}{nearest(wanted, names)} (there are: {', '.join(names)})"
                )
        chosen = tuple(each for each in drawings if not options.panels or each.name in options.panels)
        plan = self.answer.plan
        for each in chosen:  # drawn now, in the width or the axes that are wanted now
            mark(each.figure, f"{plan.method.code}: a toy, no physical meaning" if plan.toy else "")
        return Drawings(chosen, ())

    def _drawings(self, options: Options, parts: bool) -> Iterator[Drawing]:
        """Yield the figures; parts: those too that stand in another one already."""
        known = [each for each in self.answer.crystals if each.constants is not None]
        asked = [each for each in known if each.asked]
        for pressure in options.hull_GPa:
            if not any(abs(pressure - each.pressure_GPa) < 1e-6 for each in asked):
                raise InputError(f"--pressure is {pressure:g} GPa, at which there are no force constants")
        chosen = [each for each in asked if not options.hull_GPa or _among(each.pressure_GPa, options.hull_GPa)]
        for phase in dict.fromkeys(each.phase for each in known):
            yield from self._at_pressures([each for each in chosen if each.phase == phase])
            if not options.hull_GPa:
                yield from _gruneisen([each for each in known if each.phase == phase], self.answer.plan.temperatures_K)
                thermo = _thermo(next((each for each in self.answer.thermo if each.phase == phase), None))
                yield from thermo if parts else thermo[:1]

    def _at_pressures(self, crystals: Sequence[CrystalAt]) -> Iterator[Drawing]:
        from megabar.analysis.figures.phonon_drawings import crystal_drawings

        for each in crystals:
            title = f"{each.phase}, {each.pressure_GPa:g} GPa"
            suffix = suffix_at(each.phase, each.pressure_GPa)
            yield from crystal_drawings(each.crystal, None, self.answer.plan.temperatures_K, title, suffix)


def suffix_at(phase: str, pressure_GPa: float) -> str:
    """Return what the names of a crystal's figures end with."""
    return f"-{phase}-{pressure_GPa:g}GPa".replace("--", "-minus")


def _among(pressure_GPa: float, pressures_GPa: Sequence[float]) -> bool:
    return any(abs(each - pressure_GPa) < 1e-6 for each in pressures_GPa)


def _gruneisen(crystals: Sequence[CrystalAt], temperatures_K: Sequence[float]) -> Iterator[Drawing]:
    """Return the Grüneisen parameters of a phase, where it has force constants at two volumes that fit each other."""
    from megabar.analysis.figures.phonon_drawings import gruneisen_drawing
    from megabar.analysis.phonons.gruneisen import same_phase

    own = [each.crystal for each in crystals]
    if len(own) < 2 or not all(same_phase(own[0], each) for each in own[1:]):
        return
    phase = crystals[0].phase
    yield gruneisen_drawing(own, temperatures_K, phase, f"-{phase}")


def _thermo(found: PhaseThermo | None) -> list[Drawing]:
    """Return what the quasi-harmonic approximation gives of a phase, all together and one by one."""
    import numpy as np

    from megabar.analysis.figures.thermo import thermo_drawings
    from megabar.analysis.thermo.quasiharmonic import doubtful_above

    table = None if found is None else found.fine or found.gibbs
    if found is None or table is None or not np.isfinite(table.volume_A3).any():
        return []
    doubt = np.array([doubtful_above(table.temperatures_K, row) for row in table.thermal_expansion_per_K])
    return thermo_drawings(table, doubt, found.phase, f"-{found.phase}")
