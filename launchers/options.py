"""What the command's modules share: options, and how JSON is printed."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document and nothing else")]


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
