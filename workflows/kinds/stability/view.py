"""What a hull offers in Python, that of a study or of a table of somebody else's enthalpies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from megabar.analysis import frames
from megabar.analysis.curve import Curve
from megabar.analysis.stability import Stability
from megabar.workflows.kinds.stability.figures import StabilityFigures, figures_of
from megabar.workflows.kinds.stability.text import hull_text
from megabar.workflows.report import showing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike
    from pandas import DataFrame
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.entries.computed_entries import ComputedEntry

    from megabar.workflows.kinds.stability.answer import StabilityAnswer
    from megabar.workflows.kinds.stability.hot import HotHull


@dataclass(frozen=True, eq=False, repr=False)
class HullView:
    """Which phases are stable at which pressures.

    curves: enthalpy curves by phase. stability: stable intervals and transitions as dataclasses, None while an element
    has no curve. pressures_GPa: those asked for. figures: what can be drawn. warm: the same with zero-point motion and
    at temperatures, where the study asks for them.
    """

    curves: Mapping[str, Curve]
    stability: Stability | None
    pressures_GPa: Sequence[float]
    figures: StabilityFigures
    _document: Callable[[float | None], dict[str, Any]] = field(repr=False)
    warm: Sequence[HotHull] = ()

    @property
    def stable(self) -> DataFrame:
        """Stable phases with the pressures (GPa) between which they are on the hull, and the errors of these."""
        return frames.stable_frame(self.stability)

    @property
    def transitions(self) -> DataFrame:
        """What happens on compression: pressure, its error with all its parts (GPa), reaction, ΔV (Å³/atom)."""
        return frames.transitions_frame(self.stability)

    @property
    def transitions_over_temperature(self) -> DataFrame:
        """The same with zero-point motion (0 K) and at temperatures (K), by isotopes, with the slope dP/dT (GPa/K)."""
        return frames.warm_transitions_frame(
            [
                (
                    each.temperature_K,
                    each.isotopes or "natural",
                    each.stability,
                    [line.slope_GPa_K for line in each.lines()],
                )
                for each in self.warm
            ]
        )

    def hull(self, at: float) -> DataFrame:
        """Return formation enthalpy and height above the hull (eV/atom) of every phase at a pressure (GPa).

        Raises InputError where an element has no phase there.
        """
        return frames.hull_frame(self._hull_curves, at)

    def enthalpies(self, pressures: ArrayLike | None = None) -> DataFrame:
        """Return enthalpy, its uncertainty and volume per atom of every phase at some pressures (GPa).

        By default at those asked for. Written to CSV the frame is a table that ``megabar hull`` reads.
        """
        wanted = self.pressures_GPa if pressures is None else pressures
        return frames.enthalpies_frame(list(self.curves.values()), wanted)

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Return pymatgen's entries at a pressure (GPa), with enthalpies (eV) as their energies."""
        return frames.entries_at(list(self.curves.values()), pressure)

    def phase_diagram(self, pressure: float) -> PhaseDiagram:
        """Return pymatgen's phase diagram at a pressure (GPa)."""
        return frames.phase_diagram_at(self._hull_curves, pressure)

    def frames(self) -> dict[str, DataFrame]:
        """Return the tables of the answer: ``stable``, ``transitions``, ``enthalpies``, and those over temperature."""
        found = {"stable": self.stable, "transitions": self.transitions, "enthalpies": self.enthalpies()}
        return found | ({"transitions_over_temperature": self.transitions_over_temperature} if self.warm else {})

    def figure(
        self,
        name: str | None = None,
        *,
        pressure: float | tuple[float, ...] = (),
        labels: Mapping[str, str] | None = None,
        width_mm: float | None = None,
        ax: showing.Into = None,
    ) -> Figure:
        """Return a figure, or one of its panels, as `figure_names` lists them; the first where no name is given.

        pressure: of the hulls (GPa). labels: what phases are called, by name. width_mm: as wide as it is made for where
        none is given. ax: axes of yours that it is drawn into, one for each of its panels. Raises InputError for a name
        that there is not, and for more or fewer axes.
        """
        return showing.figure(self.figures, showing.options(name, pressure=pressure, labels=labels), width_mm, ax)

    def figure_names(self) -> dict[str, str]:
        """Return the names of the figures and panels with what they show."""
        return self.figures.panels(showing.options())

    def json(self, at: float | None = None) -> dict[str, Any]:
        """Return the document of ``megabar hull --json``; at: also heights above the hull at a pressure (GPa)."""
        return self._document(at)

    @property
    def text(self) -> str:
        """What ``megabar hull`` prints."""
        return hull_text(self.json())

    @property
    def _hull_curves(self) -> list[Curve]:
        return list(self.curves.values() if self.stability is None else self.stability.curves)

    def __repr__(self) -> str:
        """Return the same, so that a prompt shows the answer."""
        return self.text

    def _repr_html_(self) -> str:
        found = {"stable": self.stable, "transitions": self.transitions}
        warm = {"transitions over temperature": self.transitions_over_temperature} if self.warm else {}
        return showing.page(found | warm)


def view_of(answer: StabilityAnswer) -> HullView:
    """Return what the answer of a study offers."""
    curves = {curve.phase: curve for curve in answer.curves}
    return HullView(curves, answer.stability, answer.plan.pressures_GPa, figures_of(answer), answer.json, answer.hot)
