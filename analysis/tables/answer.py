"""The answer of a table: the stability of its phases, with the error that its uncertainties make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from megabar.analysis.error_budget import with_budget
from megabar.analysis.stability import Stability, analyse
from megabar.analysis.stability_output import stability_json
from megabar.analysis.tables import Table
from megabar.analysis.ties import without_ties

GIVEN = "given"
"""The part of an error that the uncertainties of the table make."""
ERROR_SOURCES = {GIVEN: "the uncertainties in the table, taken as standard errors that are independent of each other"}
NOT_INCLUDED = ("the interpolation between the points", "whatever the uncertainties of the table leave out")


def table_stability(table: Table) -> Stability:
    """Return the stability of the phases of a table; exact ties are degenerate and decide nothing."""
    curves, ties = without_ties(table.curves, [curve.pressures_GPa for curve in table.curves], table.tie_eV)
    found = with_budget(analyse(curves, error_name=GIVEN), lambda transition: ())
    return replace(found, notes=(*found.notes, *ties, *table.notes))


def table_json(table: Table, stability: Stability, at_GPa: float | None = None) -> dict[str, Any]:
    """Return the JSON document of a table: that of `stability_json`, and where its numbers come from."""
    document = stability_json(stability, at_GPa)
    document["source"] = str(table.path)
    document["points"] = sum(len(curve.pressures_GPa) for curve in table.curves)
    document["differences"] = table.differences
    document["interpolation"] = table.interpolation
    if any(each.error_GPa is not None for each in stability.transitions):
        document["error_sources"] = ERROR_SOURCES
        document["error_not_included"] = list(NOT_INCLUDED)
    return document
