"""The figures of Tc, chosen by the user."""

from __future__ import annotations

from dataclasses import dataclass, replace

from megabar.analysis.figures.drawing import Drawings, Options
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.answer import TcAnswer
from megabar.workflows.kinds.superconductivity.drawings import draw
from megabar.workflows.kinds.superconductivity.report import states_below_tc
from megabar.workflows.yaml_input import nearest

AGAINST_PRESSURE = "tc-pressure"


@dataclass(frozen=True, eq=False)
class TcFigures:
    """The answer that the figures are drawn of."""

    answer: TcAnswer

    def panels(self, options: Options) -> dict[str, str]:
        """Return the names of the figures with what they show."""
        return {each.name: each.title for each in self._drawings(options).drawings}

    def draw(self, options: Options) -> Drawings:
        """Return the figures; raises InputError for a figure, label or pressure that the answer does not have."""
        if options.labels:
            raise InputError("--label names phases of a hull; figures of Tc have none")
        drawings = self._drawings(options)
        names = [each.name for each in drawings.drawings]
        for wanted in options.panels:
            if wanted not in names:
                raise InputError(
                    f"there is no panel {wanted!r}{nearest(wanted, names)} (there are: {', '.join(names)})"
                )
        chosen = tuple(each for each in drawings.drawings if not options.panels or each.name in options.panels)
        for each in chosen:
            _ = each.figure  # drawn now, in the width or the axes that are wanted now
        return Drawings(chosen, () if options.panels else drawings.remarks)

    def _drawings(self, options: Options) -> Drawings:
        answer, wanted = self.answer, options.hull_GPa
        known = [each.pressure_GPa for each in answer.pressures]
        for pressure in wanted:
            if not any(abs(pressure - each) < 1e-6 for each in known):
                raise InputError(
                    f"--pressure is {pressure:g} GPa, which the study has not "
                    f"(it has {', '.join(f'{p:g}' for p in known)})"
                )
        drawings = draw(answer, states_below_tc(answer))
        if not wanted:
            return drawings
        chosen = tuple(each for each in answer.pressures if any(abs(each.pressure_GPa - p) < 1e-6 for p in wanted))
        some = draw(replace(answer, pressures=chosen), states_below_tc(answer))
        whole = [each for each in drawings.drawings if each.name == AGAINST_PRESSURE]
        return Drawings((*whole, *(each for each in some.drawings if each.name != AGAINST_PRESSURE)), some.remarks)
