"""The figures of a study of superconductivity, with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from megabar.analysis.figures.superconductivity import alpha2f_figure, caption
from megabar.analysis.figures.tc_curves import PublishedTc, TcLine, pressure_figure, smearing_figure
from megabar.structures.composition import parse_formula
from megabar.workflows.superconductivity.answer import NATURAL, TcAnswer, TcAt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = "tc_eliashberg_K"


@dataclass(frozen=True)
class Drawing:
    """A figure: file name without ending, title, caption."""

    name: str
    title: str
    caption: str
    figure: Figure


def published(formula: str) -> list[PublishedTc]:
    """Return what is published of a compound, whatever the order of its elements."""
    wanted = parse_formula(formula)
    return [found for counts, found in _published() if dict(counts) == wanted]


@cache
def _published() -> tuple[tuple[tuple[tuple[str, int], ...], PublishedTc], ...]:
    from megabar.analysis.superconductivity import published as data

    return tuple(
        (
            tuple(parse_formula(each["formula"]).items()),
            PublishedTc(**{k: v for k, v in each.items() if k != "formula"}),
        )
        for each in data.entries()
    )


def draw(answer: TcAnswer) -> list[Drawing]:
    """Return the figures that the results allow: Tc against pressure, and α²F and Tc against smearing at each."""
    found = [each for each in answer.pressures if not each.missing]
    drawings = [_against_pressure(answer, found)] if found else []
    for each in found:
        drawings += _at_pressure(answer, each)
    return drawings


def _against_pressure(answer: TcAnswer, found: list[TcAt]) -> Drawing:
    plan = answer.plan
    lines = []
    for isotopes in found[0].documents:
        for place, mu_star in enumerate(plan.mu_star):
            known = [each for each in found if KEY in each.documents.get(isotopes, [{}] * (place + 1))[place]]
            errors = [each.error(place) if isotopes == NATURAL else None for each in known]
            at = [each.reached_GPa if each.reached_GPa is not None else each.pressure_GPa for each in known]
            name = f"μ* = {mu_star:g}" + ("" if isotopes == NATURAL else f", {isotopes}")
            lines.append(TcLine(name, at, [each.documents[isotopes][place][KEY] for each in known], errors))
    points = published(plan.ladder.formula)
    sources = "".join(
        f" {each.tc_K:g} K at {each.pressure_GPa:g} GPa: {each.source}{'' if each.measured else ', not measured'}."
        for each in points
    )
    text = "Tc of the isotropic Eliashberg equations; bars: what smearing and q-grid move it by." + sources
    return Drawing("tc-pressure", "Tc against pressure", text, pressure_figure(lines, points))


def _at_pressure(answer: TcAnswer, each: TcAt) -> list[Drawing]:
    place = f"{each.pressure_GPa:g} GPa"
    spectrum = each.readings[NATURAL].spectrum
    lines = []
    for isotopes, documents in each.documents.items():
        for mu_star, document in zip(answer.plan.mu_star, documents, strict=True):
            rows = [row for row in document.get("variants", []) if KEY in row]
            quoted = [row["smearing_Ry"] for row in rows].index(document["smearing_Ry"]) if rows else None
            name = f"μ* = {mu_star:g}" + ("" if isotopes == NATURAL else f", {isotopes}")
            lines.append(TcLine(name, [r["smearing_Ry"] for r in rows], [r[KEY] for r in rows], (), quoted))
    why = each.readings[NATURAL].why
    name = f"{each.pressure_GPa:g}GPa".replace("-", "minus")
    return [
        Drawing(f"alpha2f-{name}", f"α²F(ω) at {place}", caption(spectrum), alpha2f_figure(spectrum, place)),
        Drawing(
            f"tc-smearing-{name}",
            f"Tc against smearing at {place}",
            f"The smearing that is quoted is filled ({why}).",
            smearing_figure(lines, place),
        ),
    ]
