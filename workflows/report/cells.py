"""Tables as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from megabar.structures.names import visible

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What a text must not begin with: spreadsheets run it (OWASP, CSV injection)."""


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as CSV with its heading."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cell(each) for each in row] for row in rows])
    return content.getvalue()


def cell(value: Any) -> Any:
    """Return a cell that is no formula: a text that begins like one, and is no number, has an apostrophe before it.

    Control characters are written out.
    """
    if not isinstance(value, str):
        return value
    value = visible(value)
    if not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
