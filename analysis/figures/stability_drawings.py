"""The figures of a stability study with their captions, whole or panel by panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from megabar.analysis.curve import Curve
from megabar.analysis.figures.diagram import (
    DiagramPanel,
    WarmHull,
    diagram_caption,
    diagram_figure,
    diagram_panels,
)
from megabar.analysis.figures.differences import Break, pressure_range
from megabar.analysis.figures.drawing import Drawing, Drawings, Options
from megabar.analysis.figures.enthalpies import (
    MOST_SYMBOLS,
    Panel,
    compound_panels,
    enthalpy_figure,
    polymorph_panels,
)
from megabar.analysis.figures.hulls import HullFigure, binary_hull_figure, chosen_pressures
from megabar.analysis.figures.looks import Look, looks
from megabar.analysis.figures.maps import distance_map, never_stable, stability_map
from megabar.analysis.figures.selection import (
    Choice,
    by_formula,
    choose,
    choose_formulas,
    left_out,
    left_out_formulas,
    listed,
    nearness,
)
from megabar.analysis.figures.style import is_element, journal_style, mark, pretty_formula, pretty_phase
from megabar.analysis.figures.ternary import ternary_hull_figure
from megabar.analysis.figures.volumes import volume_figure
from megabar.analysis.stability import Stability
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 40
MOST_COMPOUNDS = 8
MOST_POLYMORPHS = 7
MOST_FORMULAS = 8
MANY, MOST_TOLD_APART = 24, 16
"""Of more than so many phases, so many have a look of their own in the hulls of a binary."""
_MOST_BREAKS = 4
_UNRESOLVED = "in parentheses and dotted: not resolved, the error leaves a phase no pressure"


@dataclass(frozen=True, eq=False)
class Material:
    """What figures are drawn from: curves, the hull where it is known, pressures (GPa), and what is wanted of them.

    warm: hulls at temperatures, and that of the static lattice beside them.
    """

    curves: Sequence[Curve]
    stability: Stability | None
    pressures_GPa: Sequence[float]
    warning: str
    options: Options
    near: Mapping[str, float]
    look: Mapping[str, Look]
    limits_GPa: tuple[float, float]
    warm: Sequence[WarmHull] = ()

    @classmethod
    def of(
        cls,
        curves: Sequence[Curve],
        stability: Stability | None,
        pressures_GPa: Sequence[float],
        warning: str,
        options: Options,
        warm: Sequence[WarmHull] = (),
    ) -> Material:
        """Return the material; raises InputError where a label is that of no phase."""
        near = nearness(curves, stability)
        unknown = [phase for phase in options.labels if phase not in near]
        if unknown:
            raise InputError(f"a label is given to {unknown[0]}, which is no phase here ({', '.join(list(near)[:12])})")
        limits = pressure_range(curves, pressures_GPa)
        return cls(curves, stability, pressures_GPa, warning, options, near, looks(curves, near), limits, warm)

    def draw(self) -> Drawings:
        """Return the figures, or those figures and panels that are asked for.

        Raises InputError where one is asked for that there is not.
        """
        wanted = self.options.panels
        if wanted:
            unknown = [name for name in wanted if name not in self.names()]
            if unknown:
                raise InputError(f"there is no panel {unknown[0]!r} (there are: {', '.join(self.names())})")
        found, remarks = [], []
        with journal_style():
            for name in wanted or FIGURES:
                figure, _, part = name.partition("-")
                drawing = FIGURES[PARENTS.get(figure, figure)](self, name if part or figure in PARENTS else "")
                if drawing is not None:
                    mark(drawing.figure, self.warning)
                    found.append(drawing)
        if not wanted:
            remarks = self._remarks({drawing.name for drawing in found})
        return Drawings(tuple(found), tuple(remarks))

    def names(self) -> dict[str, str]:
        """Return figures and their panels by name, with what each shows."""
        found: dict[str, str] = {}
        if self.stability is not None:
            if self.stability.intervals:
                found["stability"] = "stable phases of each composition over pressure"
            if len(self.stability.elements) in (2, 3) and self.hull_pressures:
                found["hull"] = "convex hulls"
                found |= {f"hull-{p:g}": f"the convex hull at {p:g} GPa" for p in self.hull_pressures}
            if self.compounds.shown:
                found["compounds"] = "formation and decomposition enthalpies of the compounds"
                found |= {panel.gid: f"{panel.ylabel.split(' (')[0]}, {panel.title}" for panel in self.compound_panels}
            found["distance"] = "height of each phase above the hull over pressure"
        if self.diagrams:
            found["diagram"] = "transitions over temperature, with zero-point motion"
            found |= {
                f"diagram-{each.formula}": f"transitions of {pretty_formula(each.formula)} over temperature"
                for each in self.diagrams
            }
        if self.polymorphs[0]:
            found["polymorphs"] = "enthalpies of the phases of one composition among themselves"
            panels = self.polymorph_panels
            found |= {panel.gid: f"phases of {panel.title.split(',')[0]}{_span(panel)}" for panel in panels}
        if self.options.volumes:
            found["volumes"] = "volume over pressure"
            found |= {f"volumes-{formula}": f"volume of {pretty_formula(formula)}" for formula in self.volumes[0]}
        return found

    @property
    def hull_pressures(self) -> list[float]:
        """Pressures (GPa) of the hulls."""
        if self.stability is None:
            return []
        return list(self.options.hull_GPa) or chosen_pressures(self.stability, self.pressures_GPa)

    @cached_property
    def compounds(self) -> Choice:
        """The compounds that are shown over pressure."""
        return choose([c for c in self.curves if not is_element(c.formula)], self.near, MOST_COMPOUNDS)

    @cached_property
    def compound_panels(self) -> list[Panel]:
        """The panels of the compounds."""
        assert self.stability is not None
        known = self.compounds.shown
        return compound_panels(self.curves, known, self.stability, self.limits_GPa, self.options.labels)

    @cached_property
    def diagrams(self) -> list[DiagramPanel]:
        """The panels of the diagrams over temperature."""
        return diagram_panels(self.warm, self.options.labels)

    @cached_property
    def polymorphs(self) -> tuple[dict[str, Choice], list[str]]:
        """The phases of compositions with several that are shown, and the compositions that are not."""
        several = {formula: group for formula, group in by_formula(self.curves).items() if len(group) > 1}
        return choose_formulas(several, self.near, MOST_FORMULAS, MOST_POLYMORPHS)

    @cached_property
    def polymorph_panels(self) -> list[Panel]:
        """The panels of the polymorphs."""
        return polymorph_panels(self.polymorphs[0], self.stability, self.limits_GPa, self.options.labels)

    @cached_property
    def volumes(self) -> tuple[dict[str, Choice], list[str]]:
        """The phases whose volumes are shown, by composition, and the compositions that are not."""
        return choose_formulas(by_formula(self.curves), self.near, MOST_FORMULAS + 1, MOST_POLYMORPHS)

    def stable(self, _: str) -> Drawing | None:
        """Return the map of the stable phases."""
        if self.stability is None or not self.stability.intervals:
            return None
        figure = stability_map(self.stability, self.look, self.limits_GPa, self.options.labels)
        never = never_stable(self.stability)
        missing = f" Stable nowhere: {listed(never)}." if never else ""
        return Drawing("stability", "Stable phases", _STABILITY + missing, figure)

    def diagram(self, name: str) -> Drawing | None:
        """Return the diagrams over temperature, or the one of the composition that is named."""
        panels = [each for each in self.diagrams if name in ("", f"diagram-{each.formula}")]
        if not panels:
            return None
        figure = diagram_figure(panels, (min(self.pressures_GPa), max(self.pressures_GPa)))
        return Drawing(name or "diagram", "Transitions over temperature", diagram_caption(panels), figure)

    def hulls(self, name: str) -> Drawing | None:
        """Return the hulls, or the one that is named."""
        if self.stability is None:
            return None
        pressures = [p for p in self.hull_pressures if not name or name == f"hull-{p:g}"]
        most = MOST_TOLD_APART if len(self.curves) > MANY else MANY
        told = {curve.phase for curve in choose(self.curves, self.near, most).shown}
        look = {phase: each for phase, each in self.look.items() if phase in told}
        elements, found, caption = len(self.stability.elements), None, _BINARY
        if elements == 2:
            found = binary_hull_figure(self.stability, look, pressures, self.options.labels)
        elif elements == 3:
            found, caption = ternary_hull_figure(self.stability, pressures, self.options.labels), _TERNARY
        if found is None:
            return None
        others = " Grey points: further phases, those nearest to the hull." if len(self.curves) > len(look) else ""
        more = others if elements == 2 else ""
        return Drawing(name or "hull", "Convex hull", f"{caption}{more}{_unnamed(found)}", found.figure)

    def compound(self, name: str) -> Drawing | None:
        """Return the enthalpies of compounds, or the panel that is named."""
        if self.stability is None or not self.compounds.shown:
            return None
        panels = [panel for panel in self.compound_panels if name in ("", panel.gid)]
        missing = left_out(self.compounds.left_out, self.near)
        return self._enthalpies(name or "compounds", "Compounds against pressure", _COMPOUNDS, panels, [missing])

    def polymorph(self, name: str) -> Drawing | None:
        """Return the enthalpies of polymorphs, or the panel that is named."""
        panels = [panel for panel in self.polymorph_panels if name in ("", panel.gid)]
        if not panels:
            return None
        shown, without = self.polymorphs
        rest = [curve for choice in shown.values() for curve in choice.left_out]
        missing = [left_out(rest, self.near), left_out_formulas(without)] if not name else []
        title = "Phases of one composition among themselves"
        return self._enthalpies(name or "polymorphs", title, _POLYMORPHS, panels, missing)

    def distance(self, _: str) -> Drawing | None:
        """Return the map of heights above the hull."""
        if self.stability is None:
            return None
        choice = choose(self.stability.curves, self.near, MOST_ROWS)
        figure = distance_map(self.stability, choice.shown, self.limits_GPa, self.options.labels)
        if figure is None:
            return None
        return Drawing(
            "distance", "Height above the hull", _joined(_DISTANCE, left_out(choice.left_out, self.near)), figure
        )

    def volume(self, name: str) -> Drawing | None:
        """Return the equations of state, or the one of the composition that is named."""
        if not self.options.volumes:
            return None
        shown, without = self.volumes
        if name:
            shown, without = {f: choice for f, choice in shown.items() if name == f"volumes-{f}"}, []
        figure = volume_figure(shown, self.look, self.limits_GPa, self.options.labels)
        if figure is None:
            return None
        rest = [curve for choice in shown.values() for curve in choice.left_out]
        text = _joined(_VOLUMES, left_out(rest, self.near), left_out_formulas(without))
        return Drawing(name or "volumes", "Equations of state", text, figure)

    def _enthalpies(
        self, name: str, title: str, caption: str, panels: Sequence[Panel], missing: Sequence[str]
    ) -> Drawing:
        figure: Figure = enthalpy_figure(panels, self.look)
        many = any(len(each.computed_GPa) > MOST_SYMBOLS for panel in panels for each in panel.differences)
        if any(not each.resolved for panel in panels for each in panel.marks):
            caption = caption.replace("(GPa).", f"(GPa); {_UNRESOLVED}.")
        some = "Of many points only some have a symbol." if many else ""
        return Drawing(name, title, _joined(caption, some, self._broken(panels), *missing), figure)

    def _broken(self, panels: Sequence[Panel]) -> str:
        """Return the sentence on the ends of data at which lines are broken; nothing where there are none."""
        breaks = list(dict.fromkeys(each for panel in panels for each in panel.breaks))
        if not breaks:
            return ""
        formulas = {curve.phase: curve.formula for curve in self.curves}

        def told(each: Break) -> str:
            verb = "begin" if each.begins else "end"
            return f"{pretty_phase(each.phase, formulas[each.phase])} {verb} at {each.pressure_GPa:.4g} GPa"

        more = len(breaks) - _MOST_BREAKS
        text = ", ".join(map(told, breaks[:_MOST_BREAKS])) + (f" and {more} more" if more > 0 else "")
        return f"Lines are broken where the data of what they are compared with end (dotted): those of {text}."

    def _remarks(self, drawn: set[str]) -> list[str]:
        if self.stability is None or "hull" in drawn:
            return []
        elements = len(self.stability.elements)
        if elements > 3:
            return [f"A hull of {elements} elements cannot be drawn in a plane; the tables hold all of it."]
        if elements in (2, 3):
            return ["No pressure asked for has a phase of every element, so no hull is drawn."]
        return []


FIGURES: Mapping[str, Callable[[Material, str], Drawing | None]] = {
    "stability": Material.stable,
    "diagram": Material.diagram,
    "hull": Material.hulls,
    "compounds": Material.compound,
    "polymorphs": Material.polymorph,
    "distance": Material.distance,
    "volumes": Material.volume,
}
PARENTS = {"formation": "compounds", "decomposition": "compounds"}


def _joined(*sentences: str) -> str:
    return " ".join(each for each in sentences if each)


def _span(panel: Panel) -> str:
    return f", {panel.limits_GPa[0]:.4g} to {panel.limits_GPa[1]:.4g} GPa"


def _unnamed(found: HullFigure) -> str:
    if not found.unnamed:
        return ""
    names = "name finds" if found.unnamed == 1 else "names find"
    return f" {found.unnamed} more {names} no room; see the tables."


_STABILITY = (
    "Stable phases of each composition. A line at the end of a bar is a transition, with its standard error below it "
    "where that is visible; a pointed end is where the data end; hatched: a phase whose error leaves it no pressure."
)
_BINARY = (
    "Formation enthalpy relative to the stable elements. Filled: stable; open: metastable, the lowest one of each "
    "composition named; triangles at the upper edge lie beyond it, by the number (meV/atom) beside them."
)
_TERNARY = "Circles: stable phases, joined by tie lines; squares: the lowest metastable phase of a composition."
_COMPOUNDS = (
    "Enthalpy of each compound relative to what competes with it; stable below zero. Bands: standard uncertainty; "
    "symbols: computed volumes; dashed: pressures at which a compound becomes stable or ceases to be, with their "
    "errors as bars (GPa)."
)
_POLYMORPHS = (
    "Enthalpy of the phases of one composition, over the pressures that they share. Bands: standard uncertainty of the "
    "difference; symbols: computed volumes; dashed: transitions between them, with their errors as bars (GPa)."
)
_DISTANCE = (
    "Height of each phase above the hull where it is known; a white line marks where it is stable. A seam through "
    "several rows is where the data of another phase end."
)
_VOLUMES = "Volume against pressure: computed volumes and the curve through them."
