"""What the commands print: tables and short texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from megabar.launchers.cli.numbers import counted
from megabar.structures.names import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from megabar.launchers.answering.studies import Outcome
    from megabar.launchers.machines.description import Machines
    from megabar.launchers.setup.doctor import Finding
    from megabar.launchers.workers.queueing import Fed
    from megabar.structures.phase import Phase
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.parts.volumes.structures_at import StructureAt

FILE_WIDTH = 200
"""Width (characters) of what does not go to a terminal."""


def console() -> Console:
    """Return where commands print to: as wide as the terminal, and wide enough for whole lines elsewhere."""
    # Texts are data: what looks like markup or the name of an emoji in them is neither.
    found = Console(soft_wrap=False, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found = Console(soft_wrap=False, highlight=False, markup=False, emoji=False, width=FILE_WIDTH)
    return found


def show(picture: RenderableType) -> None:
    """Print a table on standard output."""
    console().print(picture)


def empty_table(title: str, *columns: str, numbers: Sequence[int] = ()) -> Table:
    """Return an empty table; numbers: the columns that are aligned to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in numbers else "left")
    return table


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g}–{ends[1]:g}"


def phases_picture(phases: Sequence[Phase]) -> RenderableType:
    """Return what `megabar phases` shows: the phases, and what the library says of them."""
    from rich.console import Group
    from rich.text import Text

    from megabar.structures.magnetism import spin_matters

    notes = [f"{phase.name}: {phase.note}" for phase in phases if phase.note]
    reasons: dict[str, list[str]] = {}
    for phase in phases:
        if why := spin_matters(phase.counts):
            reasons.setdefault(why, []).append(phase.name)
    notes += [f"{', '.join(names)}: {why}; nothing here is spin-polarised yet" for why, names in reasons.items()]
    return Group(_phases_table(phases), *(Text(f"Note: {note}") for note in notes))


def _phases_table(phases: Iterable[Phase]) -> Table:
    table = empty_table("", "phase", "formula", "atoms", "known, GPa", "source", numbers=(2,))
    for phase in phases:
        source = phase.source + (f", doi:{phase.doi}" if phase.doi else "")
        table.add_row(phase.name, phase.formula, str(len(phase.atoms)), _range(phase.known_GPa), source)
    return table


def plan_picture(estimate: StudyEstimate) -> RenderableType:
    """Return what `megabar plan` shows."""
    from rich.console import Group
    from rich.text import Text

    return Group(_plan_table(estimate), *(Text(f"Note: {note}") for note in estimate.notes))


def _plan_table(estimate: StudyEstimate) -> Table:
    more = f", up to about {estimate.extra_calculations} more where the hull depends on them"
    head = (
        f"{counted(estimate.calculations, 'calculation')} to run{more if estimate.extra_calculations else ''}; "
        f"about {estimate.core_minutes:.1f} core-minutes"
    )
    if estimate.complete:
        head = "complete, nothing is left to run; `megabar report` shows the answer"
    title = (
        f"{estimate.name}: {head}\n{estimate.code} {estimate.version}, {estimate.functional}, "
        f"protocol {estimate.protocol}"
    )
    columns = ("phase", "formula", "atoms", "first at, GPa", "k-points", "relaxed", "asked for", "stored", "core-min")
    table = empty_table(title, *columns, numbers=(2, 6, 7, 8))
    for phase in estimate.phases:
        table.add_row(
            phase.phase,
            phase.formula,
            str(phase.atoms),
            f"{phase.window_GPa[0]:.0f}–{phase.window_GPa[1]:.0f}",
            "×".join(map(str, phase.kpoints)),
            "yes" if phase.relaxed else "no",
            str(phase.volumes),
            str(phase.stored),
            f"{phase.core_minutes:.1f}",
        )
    return table


def findings_table(findings: Iterable[Finding]) -> Table:
    """Return the table of `megabar doctor`."""
    table = empty_table("", "", "part", "version", "detail")
    for finding in findings:
        mark = {"ok": "ok", "missing": "MISSING"}.get(finding.status, finding.status)
        detail = finding.detail + (f" – {finding.how_to_get}" if finding.how_to_get else "")
        table.add_row(mark, finding.part, finding.version or "", detail)
    return table


def machines_table(machines: Machines) -> Table:
    """Return the table of `megabar machine list`."""
    from megabar.launchers.machines.description import clock

    title = str(machines.path) if machines.path else "no machine is described; examples/machines.yaml shows how"
    columns = ("machine", "scheduler", "partition", "nodes", "cores", "wall time", "at a time")
    table = empty_table(title, *columns, numbers=(3, 4, 5, 6))
    for each in machines.by_name.values():
        numbers = (str(each.nodes), str(each.cores), clock(each.wall_time), str(each.calculations_at_once))
        table.add_row(each.name, each.scheduler, each.partition or "", *numbers)
    return table


def fed_text(fed: Fed) -> str:
    """Return how a machine's queue stands, in a line."""
    text = (
        f"{fed.machine}: {fed.waiting} calculations wait, {fed.running} run; {fed.jobs_pending} jobs wait, "
        f"{fed.jobs_running} run"
    )
    text += f"; {fed.submitted} jobs submitted" if fed.submitted else ""
    text += f"; {fed.said}" if fed.said else ""
    return text + ("" if fed.unfinished_studies else "; all studies are complete")


def _bound(value: float, error: float | None, is_open: bool) -> str:
    text = f"{value:.1f}" + (f" ± {error:.1f}" if error is not None else "")
    return f"({text})" if is_open else text


def cells_table(structures: Sequence[StructureAt]) -> Table:
    """Return the table of `megabar structures`: conventional cells against pressure."""
    from megabar.workflows.parts.volumes.structure_files import sites

    columns = ("phase", "GPa", "Å³/atom", "a, Å", "b, Å", "c, Å", "c/a", "angles, °", "space group", "", "atoms")
    table = empty_table("", *columns, numbers=(1, 2, 3, 4, 5, 6))
    for each in structures:
        cell = each.parameters
        table.add_row(
            each.phase,
            f"{each.pressure_GPa:g}",
            f"{each.volume_A3:.3f}",
            *(f"{length:.4f}" for length in (cell.a_A, cell.b_A, cell.c_A, cell.c_over_a)),
            " ".join(f"{angle:.5g}" for angle in (cell.alpha_deg, cell.beta_deg, cell.gamma_deg)),
            each.space_group,
            "interpolated" if each.interpolated else "computed",
            sites(cell),
        )
    return table


def hull_text(answer: dict[str, Any]) -> str:
    """Return the text of `megabar hull`: stable phases, transitions, distances above the hull."""
    ranges = answer["stable"] or not answer.get("at_pressures")
    lines = ["Stable phases (GPa; in brackets: the end of what is known):"] if ranges else []
    width = max((len(each["phase"]) for each in answer["stable"]), default=0)
    for each in answer["stable"]:
        low = _bound(each["from_GPa"], each.get("from_error_GPa"), each.get("from_open", False))
        high = _bound(each["to_GPa"], each.get("to_error_GPa"), each.get("to_open", False))
        lines.append(f"  {each['phase']:<{width}}  {low} – {high}")
    lines += _transition_lines(answer) + _single_pressure_lines(answer)
    if "above_hull_eV_per_atom" in answer:
        lines += ["", f"Above the hull at {answer['at_GPa']:g} GPa (meV/atom):"]
        for phase, value in sorted(answer["above_hull_eV_per_atom"].items(), key=lambda item: item[1]):
            lines.append(f"  {phase:<{width}}  {1000 * value:.1f}")
    for each in answer.get("failures", []):
        lines.append(f"Failed: {each['phase']} at {each['volume_A3']:.2f} Å³/atom: {each['detail'] or each['cause']}")
    for phase in sorted({each["phase"] for each in answer.get("left_phase", [])}):
        volumes = ", ".join(f"{each['volume_A3']:.2f}" for each in answer["left_phase"] if each["phase"] == phase)
        lines.append(f"{phase} turns into another phase at {volumes} Å³/atom and is not followed there")
    for each in answer.get("verification", []):
        lines.append(
            f"Verification by {each['code']}: {each['reaction']} at {each['judged_pressure_GPa']:.1f} GPa "
            f"instead of {each['pressure_GPa']:.1f} GPa"
        )
    lines += _source_lines(answer)
    lines += [f"Note: {note}" for note in answer.get("notes", [])]
    return visible("\n".join(lines).lstrip("\n"))


def _single_pressure_lines(answer: dict[str, Any]) -> list[str]:
    """Return the hull at single pressures that no range contains."""
    lines = []
    for each in answer.get("at_pressures", []):
        above = sorted(each["above_hull_eV_per_atom"].items(), key=lambda item: item[1])
        formation = each["formation_enthalpy_eV_per_atom"]
        width = max(len(phase) for phase, _ in above)
        lines += ["", f"At {each['pressure_GPa']:g} GPa (meV/atom: formation enthalpy, height above the hull):"]
        lines += [
            f"  {phase:<{width}}  {1000 * formation[phase]:9.1f}  "
            + ("stable" if phase in each["stable"] else f"{1000 * height:.1f}")
            for phase, height in above
        ]
    return lines


def _source_lines(answer: dict[str, Any]) -> list[str]:
    """Say whose points a table's are, and how the pressures between them were had."""
    if "interpolation" not in answer:
        return []
    return [
        "",
        f"The {answer['points']} points are those of {answer['source']}, computed by somebody else; "
        f"nothing is computed here. {answer['interpolation']}.",
    ]


def _transition_lines(answer: dict[str, Any]) -> list[str]:
    """Return the transitions with what their errors consist of, what that is, and what is not in it."""
    transitions = answer["transitions"]
    if not transitions:
        return []
    lines = ["", "With increasing pressure:"]
    width = max(len(each["reaction"]) for each in transitions)
    spinless = set(answer.get("not_spin_polarised", []))
    for each in transitions:
        pressure = _bound(each["pressure_GPa"], each.get("error_GPa"), False)
        parts = each.get("error_parts_GPa", {})
        marks = [f"{name} {error:.1f}" for name, error in parts.items()] if len(parts) > 1 else []
        marks += [] if each.get("resolved", True) else ["not resolved: moved by its error it leaves a phase nothing"]
        marks += ["without spin"] if spinless & set(each["phases"]) else []
        lines.append(
            f"  {pressure:>14} GPa  {each['reaction']:<{width}}  ({', '.join(marks)})".removesuffix("  ()").rstrip()
        )
    lines += [f"  ± {name}: {source}" for name, source in answer.get("error_sources", {}).items()]
    if answer.get("error_not_included"):
        lines.append(f"  not included in ±: {', '.join(answer['error_not_included'])}")
    return lines + _functional_lines(answer)


def _functional_lines(answer: dict[str, Any]) -> list[str]:
    """Return a row for each other functional: what it makes of each transition."""
    lines = []
    for other in answer.get("functionals", []):
        own = other["pressures_GPa"]
        absent = "not known" if other["missing"] or not other["hull"] else "is not there"
        said = [
            f"{reaction} at {pressure:.1f} GPa" if pressure is not None else f"{reaction} {absent}"
            for reaction, pressure in own.items()
        ]
        more = [each for each in other["transitions"] if each["reaction_of_phases"] not in own]
        said += [f"{each['reaction_of_phases']} at {each['pressure_GPa']:.1f} GPa (only by it)" for each in more]
        lines.append(f"By {other['functional']}: {'; '.join(said) or 'no transition'}")
    return ["", *lines] if lines else []


def answer_text(outcome: Outcome) -> str:
    """Return the text that ends `megabar run`."""
    from megabar.launchers.answering.tc_study import study_text
    from megabar.workflows.kinds.stability.answer import StabilityAnswer

    head = hull_text(outcome.json()) if isinstance(outcome.answer, StabilityAnswer) else study_text(outcome.json())
    counts = f"{outcome.computed} calculations run, {outcome.reused} taken from the database, {outcome.wall_s:.0f} s"
    return f"{head}\n\n{counts}\nReport: {outcome.report}"
