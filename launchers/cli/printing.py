"""What the commands print: tables and short texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from megabar.launchers.api.running import Outcome
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
    title = f"{estimate.headline}\n{estimate.by}"
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


def answer_text(outcome: Outcome) -> str:
    """Return the text that ends `megabar run`."""
    counts = f"{outcome.computed} calculations run, {outcome.reused} taken from the database, {outcome.wall_s:.0f} s"
    return f"{outcome.view.text}\n\n{counts}\nReport: {outcome.report}"
