"""The figures of a study of phonons, chosen by the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from megabar.analysis.figures.drawing import Drawing, Drawings, Options
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.yaml_input import nearest


@dataclass(frozen=True, eq=False)
class PhononFigures:
    """The answer that the figures are drawn of."""

    answer: PhononAnswer

    def panels(self, options: Options) -> dict[str, str]:
        """Return the names of the figures with what they show."""
        return {each.name: each.title for each in self._drawings(options)}

    def draw(self, options: Options) -> Drawings:
        """Return the figures; raises InputError for a figure, label or pressure that the answer does not have."""
        if options.labels:
            raise InputError("--label names phases of a hull; figures of phonons have none")
        drawings = list(self._drawings(options))
        names = [each.name for each in drawings]
        for wanted in options.panels:
            if wanted not in names:
                raise InputError(
                    f"there is no panel {wanted!r}{nearest(wanted, names)} (there are: {', '.join(names)})"
                )
        return Drawings(tuple(each for each in drawings if not options.panels or each.name in options.panels), ())

    def _drawings(self, options: Options) -> Iterator[Drawing]:
        from megabar.analysis.figures.phonon_drawings import crystal_drawings

        known = [each for each in self.answer.crystals if each.constants is not None and each.asked]
        for pressure in options.hull_GPa:
            if not any(abs(pressure - each.pressure_GPa) < 1e-6 for each in known):
                raise InputError(f"--pressure is {pressure:g} GPa, at which there are no force constants")
        for each in known:
            if options.hull_GPa and not any(abs(p - each.pressure_GPa) < 1e-6 for p in options.hull_GPa):
                continue
            title = f"{each.phase}, {each.pressure_GPa:g} GPa"
            suffix = f"-{each.phase}-{each.pressure_GPa:g}GPa"
            yield from crystal_drawings(each.crystal, None, self.answer.plan.temperatures_K, title, suffix)
