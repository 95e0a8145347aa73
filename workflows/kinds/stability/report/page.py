"""The HTML page of a report, from its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar import __version__
from megabar.structures.composition import parse_system
from megabar.structures.errors import InputError
from megabar.structures.library import gaps_of, phases_of
from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.stability.report.citations import citations, phase_sources
from megabar.workflows.kinds.stability.report.tables import CalculationRow, phase_rows, settings_by_phase
from megabar.workflows.kinds.stability.report.vibrations import imaginary_modes, vibration_rows
from megabar.workflows.kinds.stability.report.words import headline
from megabar.workflows.parts.volumes.notes import spin_notes
from megabar.workflows.protocols import Protocol, protocol
from megabar.workflows.report.page import chem, style, templates
from megabar.workflows.report.provenance import cpu_seconds, provenance
from megabar.workflows.report.values import duration, flat
from megabar.workflows.store import StudyRecord

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from megabar.analysis.figures.drawing import Drawings


@dataclass(frozen=True)
class Most:
    """Rows of the page's tables, so that it stays below 10 MB whatever the study; the files hold all of them."""

    calculations: int = 1500
    failures: int = 300
    phases: int = 2000
    notes: int = 300


def render(
    study: StudyRecord,
    answer: StabilityAnswer,
    rows: Sequence[CalculationRow],
    drawings: Drawings,
    svgs: Mapping[str, str],
) -> str:
    """Return the page; ``svgs``: each figure as SVG, by name."""
    return template("page.html.j2").render(_context(study, answer, rows, drawings, svgs))


@cache
def template(name: str) -> Template:
    """Return a template of this folder."""
    from jinja2 import pass_context

    environment = templates(Path(__file__).parent)
    environment.filters |= {
        "phase": pass_context(lambda context, phase: phase_name(phase, context["formulas"])),
        "cpu": lambda record: "–" if cpu_seconds(record) is None else duration(cpu_seconds(record) or 0.0),
    }
    return environment.get_template(name)


def phase_name(phase: str, formulas: Mapping[str, str]) -> Markup:
    """Return a phase's name; the formula that it begins with has subscripts, other numbers stay."""
    from markupsafe import Markup, escape

    formula = formulas.get(phase, "")
    if formula and (phase == formula or phase.startswith(f"{formula}-")):
        return chem(formula) + Markup(escape(phase[len(formula) :]))
    return escape(phase)


def _context(
    study: StudyRecord,
    answer: StabilityAnswer,
    rows: Sequence[CalculationRow],
    drawings: Drawings,
    svgs: Mapping[str, str],
) -> dict[str, Any]:
    from markupsafe import Markup

    from megabar.analysis.figures.style import DARK_PALETTE, PALETTE

    plan = answer.plan
    shared, own, by_phase = settings_by_phase(plan.ladders)
    records = [row.record for row in rows if row.record]
    return {
        "study": study,
        "formulas": {ladder.phase: ladder.formula for ladder in plan.ladders},
        "answer": answer,
        "plan": plan,
        "style": style(),
        "palettes": (PALETTE, DARK_PALETTE),
        "sentences": headline(answer),
        "spin_notes": [] if plan.toy else spin_notes(plan),
        "drawings": drawings,
        "svgs": {name: Markup(svg) for name, svg in svgs.items()},
        "phase_rows": phase_rows(answer),
        "vibrations": vibration_rows(answer),
        "imaginary": imaginary_modes(answer),
        "isotopes": any(each.isotopes for each in answer.hot),
        "rows": rows,
        "most": Most(),
        "counts": {state: sum(row.state == state for row in rows) for state in ("done", "failed", "left", "open")},
        "mended": [row for row in rows if row.record and row.record.mendings],
        "failed": [row for row in rows if row.state in ("failed", "left")],
        "notes": _notes(answer),
        "protocol": _protocol(plan),
        "shared": shared,
        "own": own,
        "by_phase": by_phase,
        "judge_settings": flat(next((ladder.judge_settings for ladder in plan.ladders if ladder.judge_settings), {})),
        "limits": next((ladder.relaxation for ladder in plan.ladders if ladder.relaxation), None),
        "left_out": _left_out(plan),
        "gaps": gaps_of(parse_system(plan.system)),
        "provenance": provenance(records),
        "citations": citations(plan),
        "phase_sources": phase_sources(plan),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }


def _notes(answer: StabilityAnswer) -> list[str]:
    """Return what a reader must know; that a toy computed it stands in the banner."""
    said = answer.stability.notes if answer.stability else ()
    return [*said, *(warning for warning in answer.warnings if not (answer.plan.toy and "is a toy" in warning))]


def _protocol(plan: StabilityPlan) -> Protocol | None:
    try:
        return protocol(plan.method.code, plan.method.protocol)
    except InputError:  # a study of an earlier version may name a protocol that is no more
        return None


def _left_out(plan: StabilityPlan) -> list[str]:
    """Return the phases of the library in this system that are not in the study."""
    inside = {ladder.phase for ladder in plan.ladders}
    return [phase.name for phase in phases_of(parse_system(plan.system)) if phase.name not in inside]
