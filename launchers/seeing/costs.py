"""What studies have cost, by study, phase and code: what `megabar cost` shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from megabar.launchers.cli.numbers import core_time, counted, hours
from megabar.launchers.cli.printing import empty_table
from megabar.launchers.database.stored import existing_store, find_identifier
from megabar.workflows.config import load_config
from megabar.workflows.spending import Account, Spending, spending, total

Accounts = Mapping[Account, Spending]


def costs(name: str | None) -> Accounts:
    """Return what a study (its file, name or identifier), or all, have cost."""
    with existing_store(load_config()) as store:
        return spending(store, None if name is None else find_identifier(name, store))


def costs_json(accounts: Accounts) -> dict[str, Any]:
    """Return the same as JSON-able data: by study, by phase, by code, and all together."""
    return {
        "studies": [{"study": name, **_json(spent)} for name, spent in _by(accounts, lambda each: each.study).items()],
        "phases": [
            {"study": study, "phase": phase, "code": code, **_json(spent)}
            for (study, phase, code), spent in accounts.items()
        ],
        "codes": [{"code": name, **_json(spent)} for name, spent in _by(accounts, lambda each: each.code).items()],
        "total": _json(total(accounts.values())),
    }


def _json(spent: Spending) -> dict[str, Any]:
    return {
        "run": spent.run,
        "reused": spent.reused,
        "core_hours": round(spent.core_s / 3600, 6),
        "interrupted_core_hours": round(spent.interrupted_core_s / 3600, 6),
        "estimate_core_hours": round(spent.estimate_core_s / 3600, 6),
        "truth_by_estimate": None if spent.ratio is None else round(spent.ratio, 4),
        "saved_core_hours": round(spent.saved_core_s / 3600, 6),
        "peak_memory_MB": round(spent.peak_memory_MB, 1),
    }


def _by(accounts: Accounts, name_of: Callable[[Account], str]) -> dict[str, Spending]:
    found: dict[str, Spending] = defaultdict(Spending)
    for account, spent in accounts.items():
        found[name_of(account)] += spent
    return dict(found)


def costs_picture(accounts: Accounts, in_full: bool) -> RenderableType:
    """Return what `megabar cost` shows: a row for each study, in_full: for each of its phases."""
    if not accounts:
        return Text("nothing was computed yet")
    if in_full:
        rows = {(each.phase, each.code): spent for each, spent in accounts.items()}
        table = _table("phase", rows)
    else:
        studies: dict[tuple[str, str], Spending] = defaultdict(Spending)
        for each, spent in accounts.items():
            studies[each.study, each.code] += spent
        table = _table("study", studies)
    return Group(table, Text(_last_line(total(accounts.values()))))


def _table(what: str, rows: Mapping[tuple[str, str], Spending]) -> Table:
    columns = ("run", "reused", "core-h", "of it interrupted", "estimate", "truth/estimate", "saved", "memory, MB")
    table = empty_table("", what, "code", *columns, numbers=tuple(range(2, 10)))
    for (name, code), spent in rows.items():
        table.add_row(name, code, *_cells(spent))
    if len(rows) > 1:
        table.add_row("all", "", *_cells(total(rows.values())))
    return table


def _cells(spent: Spending) -> tuple[str, ...]:
    return (
        str(spent.run),
        str(spent.reused or ""),
        hours(spent.core_s / 3600),
        hours(spent.interrupted_core_s / 3600) if spent.interrupted_core_s else "",
        hours(spent.estimate_core_s / 3600) if spent.estimate_core_s else "–",
        f"{spent.ratio:.2g}" if spent.ratio is not None else "–",
        hours(spent.saved_core_s / 3600) if spent.saved_core_s else "",
        f"{spent.peak_memory_MB:.0f}" if spent.peak_memory_MB else "–",
    )


def _last_line(spent: Spending) -> str:
    text = f"{core_time(spent.core_s)} spent on {counted(spent.run, 'calculation')}"
    if spent.reused:
        text += (
            f"; {counted(spent.reused, 'result')} taken from the database, which saved {core_time(spent.saved_core_s)}"
        )
    return text
