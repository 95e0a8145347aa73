"""Published results and ours, side by side: makes docs/validation.md from the answers kept in docs/validation/.

An answer is what a command printed with ``--json``, as it was; ``rows.yaml`` says which of its numbers stands for which
published result. To keep a new answer: ``megabar hull STUDY --json > docs/validation/NAME.json`` and add a row.
Run: python benchmarks/validation.py           writes docs/validation.md
     python benchmarks/validation.py --check   says whether it is what the answers make of it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from megabar.workflows.report.values import measured
from megabar.workflows.yaml_input import plain, read_yaml

DOCS = Path(__file__).resolve().parent.parent / "docs"
KEPT, PAGE = DOCS / "validation", DOCS / "validation.md"
HEAD = """# Published results and ours

Each row comes from an answer that is kept in `docs/validation/`, as the command in its row printed it with
`--json`; `python benchmarks/validation.py` makes this page from them. ± is the error that megabar prints; what it
holds is in [stability.md](stability.md) and [superconductivity_study.md](superconductivity_study.md).

{covered} of the {judged} rows with an error are covered by it (`apart` up to 1 ±), {twice} more within twice it; of
standard errors that hold all there is, two thirds would be. What no ± here holds: zero-point motion and temperature,
and the functional where the study asks for no others (`functionals`).

| system | quantity | here | published | apart | source | command |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page that the kept answers make."""
    every = rows()
    apart = [_apart(row) / row["error"] for row in every if row["error"]]
    covered, twice = (sum(low < each <= high for each in apart) for low, high in ((-1, 1), (1, 2)))
    head = HEAD.format(covered=covered, judged=len(apart), twice=twice)
    return head + "\n".join(_line(row) for row in every) + "\n"


def rows() -> list[dict[str, Any]]:
    """Return the rows as written in rows.yaml, each with ``value`` and ``error`` from its answer."""
    found = []
    for row in plain(read_yaml(KEPT / "rows.yaml"))["rows"]:
        answer = json.loads((KEPT / row["answer"]).read_text(encoding="utf-8"))
        value = pick(answer, row["find"])
        error = pick(answer, row["error"]) if "error" in row else row.get("error_value")
        found.append({**row, "value": float(value), "error": None if error is None else float(error)})
    return found


def pick(content: Any, path: list[Any]) -> Any:
    """Return what lies at a path: keys, numbers of list entries, and mappings that an entry of a list must hold."""
    for step in path:
        if isinstance(step, dict):
            fitting = [each for each in content if all(each.get(name) == value for name, value in step.items())]
            if len(fitting) != 1:
                raise KeyError(f"{len(fitting)} entries have {step}")
            content = fitting[0]
        else:
            content = content[step]
    return content


def within(row: dict[str, Any]) -> str:
    """Return how far ours and the published value are apart, in our error where there is one, else in percent."""
    off = _apart(row)
    if row["error"]:
        return f"{off / row['error']:.1f} ±"
    return f"{100 * off / abs(sum(_bounds(row)) / 2):.2g} %"


def _apart(row: dict[str, Any]) -> float:
    """Return how far a value is off the published range, in its unit."""
    low, high = _bounds(row)
    return float(max(low - row["value"], row["value"] - high, 0.0))


def _bounds(row: dict[str, Any]) -> tuple[float, float]:
    low, high = row["published"] if isinstance(row["published"], list) else [row["published"]] * 2
    return float(low), float(high)


def _line(row: dict[str, Any]) -> str:
    published = row["published"]
    said = f"{published[0]:g}–{published[1]:g}" if isinstance(published, list) else f"{published:g}"
    digits = row.get("decimals", 1)
    link = row.get("doi", "").replace("(", "%28").replace(")", "%29")
    source = row["source"] + (f", [doi:{row['doi']}](https://doi.org/{link})" if link else "")
    cells = (
        row["system"],
        row["quantity"],
        f"{measured(row['value'], row['error'], digits)} {row.get('unit', '')}".strip(),
        f"{said} {row.get('unit', '')}".strip() + (f" ({row['how']})" if row.get("how") else ""),
        within(row),
        source,
        f"`{row['command']}`",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE.name} is not what the kept answers make; run benchmarks/validation.py")
        return
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
