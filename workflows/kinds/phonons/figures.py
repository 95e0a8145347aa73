"""The figures of a study of phonons, chosen by the user."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
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
        return self._names(options, parts=True)

    def draw(self, options: Options) -> Drawings:
        """Return the figures, single panels where they are named.

        Raises InputError for a figure, label or pressure that the answer does not have.
        """
        from megabar.analysis.figures.style import mark

        if options.labels:
            raise InputError("--label names phases of a hull; figures of phonons have none")
        names = list(self._names(options, parts=bool(options.panels)))
        for wanted in options.panels:
            if wanted not in names:
                raise InputError(
                    f"there is no panel {wanted!r}{nearest(wanted, names)} (there are: {', '.join(names)})"
                )
        chosen = tuple(self._drawings(options.panels or names))
        plan = self.answer.plan
        for each in chosen:  # drawn now, in the width or the axes that are wanted now
            mark(each.figure, f"{plan.method.code}: a toy, no physical meaning" if plan.toy else "")
        return Drawings(chosen, ())

    def _names(self, options: Options, parts: bool) -> dict[str, str]:
        """Return names and titles without drawing; parts: of those too that stand in another one already."""
        found: dict[str, str] = {}
        for phase, crystals in self._known.items():
            for each in crystals:
                if not each.asked or (options.hull_GPa and not _among(each.pressure_GPa, options.hull_GPa)):
                    continue
                found[f"phonons{_suffix(each)}"] = f"Phonons of {_title(each)}"
                if self._stable(each):
                    found[f"thermal{_suffix(each)}"] = f"Thermal functions of {_title(each)}"
            if not options.hull_GPa:
                if _comparable(crystals):
                    found[f"gruneisen-{phase}"] = f"Grüneisen parameters of {phase}"
                found |= {each.name: each.title for each in self._thermo(phase)[: None if parts else 1]}
        self._check(options.hull_GPa)
        return found

    def _drawings(self, names: Collection[str]) -> Iterator[Drawing]:
        from megabar.analysis.figures.phonon_drawings import crystal_drawings, gruneisen_drawing

        temperatures = self.answer.plan.temperatures_K
        for phase, crystals in self._known.items():
            for each in crystals:
                wanted = [name for name in (f"phonons{_suffix(each)}", f"thermal{_suffix(each)}") if name in names]
                if each.asked and wanted:
                    title, suffix = _title(each), _suffix(each)
                    yield from crystal_drawings(each.crystal, None, temperatures, title, suffix, wanted)
            if f"gruneisen-{phase}" in names:
                yield gruneisen_drawing([each.crystal for each in crystals], temperatures, phase, f"-{phase}")
            yield from (each for each in self._thermo(phase) if each.name in names)

    @cached_property
    def _known(self) -> dict[str, list[CrystalAt]]:
        """The crystals that have force constants, by phase."""
        found: dict[str, list[CrystalAt]] = {}
        for each in self.answer.crystals:
            if each.constants is not None:
                found.setdefault(each.phase, []).append(each)
        return found

    @cached_property
    def _stability(self) -> dict[tuple[str, float], bool]:
        return {}

    def _stable(self, each: CrystalAt) -> bool:
        """Return whether no mode is imaginary, as what draws thermal functions asks."""
        from megabar.analysis.phonons.spectrum import spectrum

        key = (each.phase, each.pressure_GPa)
        if key not in self._stability:
            self._stability[key] = spectrum(each.crystal).imaginary == 0
        return self._stability[key]

    def _thermo(self, phase: str) -> list[Drawing]:
        return _thermo(next((each for each in self.answer.thermo if each.phase == phase), None))

    def _check(self, pressures_GPa: Sequence[float]) -> None:
        asked = [each.pressure_GPa for crystals in self._known.values() for each in crystals if each.asked]
        for pressure in pressures_GPa:
            if not _among(pressure, asked):
                raise InputError(f"--pressure is {pressure:g} GPa, at which there are no force constants")


def _title(each: CrystalAt) -> str:
    return f"{each.phase}, {each.pressure_GPa:g} GPa"


def _suffix(each: CrystalAt) -> str:
    return suffix_at(each.phase, each.pressure_GPa)


def suffix_at(phase: str, pressure_GPa: float) -> str:
    """Return what the names of a crystal's figures end with."""
    return f"-{phase}-{pressure_GPa:g}GPa".replace("--", "-minus")


def _among(pressure_GPa: float, pressures_GPa: Sequence[float]) -> bool:
    return any(abs(each - pressure_GPa) < 1e-6 for each in pressures_GPa)


def _comparable(crystals: Sequence[CrystalAt]) -> bool:
    """Return whether a phase has force constants at two volumes that fit each other: it has Grüneisen parameters."""
    from megabar.analysis.phonons.gruneisen import same_phase

    own = [each.crystal for each in crystals]
    return len(own) > 1 and all(same_phase(own[0], each) for each in own[1:])


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
