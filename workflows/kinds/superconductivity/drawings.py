"""The figures of a study of superconductivity, with their captions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from megabar.analysis.figures.drawing import Drawing, Drawings
from megabar.analysis.figures.tc_curves import PublishedTc, TcLine, pressure_figure
from megabar.analysis.figures.tc_drawings import KEY, tc_drawings
from megabar.analysis.superconductivity.gap import GapState
from megabar.structures.composition import parse_formula
from megabar.workflows.kinds.superconductivity.answer import NATURAL, TcAnswer, TcAt


def published(formula: str, isotopes: Mapping[str, float] | None = None) -> list[PublishedTc]:
    """Return what is published of a compound, whatever the order of its elements; isotopes: masses (u) by element."""
    from megabar.analysis.superconductivity import published as data

    wanted = parse_formula(formula)
    named = "".join(f"{element}={mass:g}: " for element, mass in (isotopes or {}).items())
    return [
        PublishedTc(each["pressure_GPa"], each["tc_K"], named + each["source"], each["measured"])
        for each in data.entries(isotopes)
        if dict(parse_formula(each["formula"])) == wanted
    ]


def draw(answer: TcAnswer, states: Mapping[float, GapState]) -> Drawings:
    """Return the figures that the results allow: Tc against pressure, and at each pressure all that α²F tells.

    states: by pressure (GPa), below Tc, of the natural isotopes and the first μ* of the study.
    """
    found = [each for each in answer.pressures if not each.missing]
    drawings = [_against_pressure(answer, found)] if found else []
    remarks: list[str] = []
    for each in found:
        at_pressure, said = _at_pressure(answer, each, states.get(each.pressure_GPa))
        drawings += at_pressure
        remarks += said
    return Drawings(tuple(drawings), tuple(remarks))


def _against_pressure(answer: TcAnswer, found: list[TcAt]) -> Drawing:
    plan = answer.plan
    lines = []
    for isotopes in found[0].documents:
        for place, mu_star in enumerate(plan.mu_star):
            known = [each for each in found if KEY in each.documents.get(isotopes, [{}] * (place + 1))[place]]
            errors = [each.error(place) if isotopes == NATURAL else None for each in known]
            at = [each.reached_GPa if each.reached_GPa is not None else each.pressure_GPa for each in known]
            tc = [each.documents[isotopes][place][KEY] for each in known]
            lines.append(TcLine(line_name(mu_star, isotopes), at, tc, errors))
    points = published(plan.ladder.formula)
    if plan.isotopes:
        points += published(plan.ladder.formula, plan.isotopes)
    text = "Tc of the isotropic Eliashberg equations; bars: what smearing and q-grid move it by."
    if points:
        listed = "; ".join(f"{each.tc_K:g} K at {each.pressure_GPa:g} GPa: {each.source}" for each in points)
        text += f" Filled: measured, open: published but not measured. {listed}."
    return Drawing("tc-pressure", "Tc against pressure", text, partial(pressure_figure, lines, points))


def line_name(mu_star: float, isotopes: str) -> str:
    """Return what a line is called: its μ*, and its isotopes where they are not the natural ones."""
    return f"μ* = {mu_star:g}" + ("" if isotopes == NATURAL else f", {isotopes}")


def suffix_at(pressure_GPa: float, isotopes: str = NATURAL) -> str:
    """Return what the files of a pressure and isotopes end with: ``-200GPa``, ``-200GPa-H-2.014``."""
    suffix = f"-{pressure_GPa:g}GPa".replace("--", "-minus")
    return suffix if isotopes == NATURAL else f"{suffix}-{re.sub('[^A-Za-z0-9.]+', '-', isotopes)}"


def _at_pressure(answer: TcAnswer, each: TcAt, state: GapState | None) -> tuple[list[Drawing], list[str]]:
    title, suffix = f"{each.pressure_GPa:g} GPa", suffix_at(each.pressure_GPa)
    documents = {
        line_name(mu_star, isotopes): document
        for isotopes, rows in each.documents.items()
        for mu_star, document in zip(answer.plan.mu_star, rows, strict=True)
    }
    found, remarks = tc_drawings(each.readings[NATURAL], documents, title, suffix)
    for isotopes, reading in each.readings.items():
        if isotopes != NATURAL:
            own = {isotopes: each.documents[isotopes][0]}
            drawn, said = tc_drawings(
                reading, own, f"{title}, {isotopes}", suffix_at(each.pressure_GPa, isotopes), phonons_only=True
            )
            found += drawn
            remarks += said
    if state is not None and state.rows:
        found.append(_gap(answer, state, title, suffix))
    return found, remarks


def _gap(answer: TcAnswer, state: GapState, title: str, suffix: str) -> Drawing:
    from megabar.analysis.figures.gap import gap_caption, gap_figure

    text = f"μ* = {answer.plan.mu_star[0]:g}. {gap_caption(state)}"
    return Drawing(f"gap{suffix}", f"The state below Tc at {title}", text, partial(gap_figure, state, title))
