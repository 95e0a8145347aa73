"""The figures of a hull, of a study or of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from megabar.analysis.curve import Curve
from megabar.analysis.figures import WarmHull, draw_stability, panels_of
from megabar.analysis.figures.drawing import Drawings, Options
from megabar.analysis.hull import hulls_at
from megabar.analysis.stability import Stability
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.answer import StabilityAnswer


@dataclass(frozen=True, eq=False)
class StabilityFigures:
    """What the figures are drawn of: curves and hull; volumes: whether the slopes of the curves are volumes.

    warm: the hulls at temperatures, and that of the static lattice beside them.
    """

    curves: Sequence[Curve]
    stability: Stability | None
    pressures_GPa: Sequence[float]
    warning: str = ""
    volumes: bool = True
    warm: Sequence[WarmHull] = ()

    def panels(self, options: Options) -> dict[str, str]:
        """Return the names of the figures and panels with what they show."""
        return panels_of(self.curves, self.stability, self.pressures_GPa, self.volumes, self.warm)

    def draw(self, options: Options) -> Drawings:
        """Return the figures; raises InputError where an element has no phase at a pressure that is asked for."""
        if options.hull_GPa and self.stability is not None:
            for hull in hulls_at(self.stability.curves, options.hull_GPa):
                if hull.undefined:
                    raise InputError(
                        f"--pressure is {hull.pressure_GPa:g} GPa, where no phase of {', '.join(hull.undefined)} is "
                        "known"
                    )
        return draw_stability(
            self.curves,
            self.stability,
            self.pressures_GPa,
            self.warning,
            volumes=self.volumes,
            options=options,
            warm=self.warm,
        )


def figures_of(answer: StabilityAnswer) -> StabilityFigures:
    """Return the figures of a study's answer."""
    plan = answer.plan
    return StabilityFigures(
        answer.curves,
        answer.stability,
        plan.pressures_GPa,
        toy_warning(plan.toy, plan.method.code),
        warm=_warm(answer),
    )


def _warm(answer: StabilityAnswer) -> tuple[WarmHull, ...]:
    """Return the hulls with zero-point motion and at temperatures after that of the static lattice."""
    found = [
        WarmHull(each.temperature_K, each.isotopes, each.stability, [line.slope_GPa_K for line in each.lines()])
        for each in answer.hot
        if each.stability is not None
    ]
    if answer.stability is None or not found:
        return ()
    return (WarmHull(None, "", answer.stability), *found)


def toy_warning(toy: bool, code: str) -> str:
    """Return what stands across the figures of a toy, empty for what has a meaning."""
    return f"{code}: a toy, no physical meaning" if toy else ""
