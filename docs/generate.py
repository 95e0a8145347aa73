"""The parts of the reference that follow from the code: keys of study files and of the configuration, commands.

``python docs/generate.py`` renews the tables in reference.md; a test holds that they are as the models say. The pages
of commands and modules are made when the site is built.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

DOCS = Path(__file__).parent
GENERATED = DOCS / "generated"
CODES_KEY = "codes.<code>"


def models() -> dict[str, type[BaseModel]]:
    """Return the model of each table in reference.md, by the name that marks its place."""
    from megabar.workflows.config import Config
    from megabar.workflows.kinds.phonons.question import PhononStudy
    from megabar.workflows.kinds.stability.question import StabilityStudy
    from megabar.workflows.kinds.superconductivity.question import SuperconductivityStudy

    return {
        "stability": StabilityStudy,
        "phonons": PhononStudy,
        "superconductivity": SuperconductivityStudy,
        "configuration": Config,
    }


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Return key, meaning and default of every field of a model and of the models in it, in a natural order."""
    fields = model.model_fields
    first = [name for name in ("kind", "system", "structure") if name in fields]
    for name in [*first, *(name for name in fields if name not in first)]:
        field = fields[name]
        key = prefix + (field.alias or name)
        yield key, field.description or "", default_of(field)
        for inner in inner_models(field.annotation):
            yield from rows(inner, f"{CODES_KEY}." if key == "codes" else f"{key}.")


def inner_models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found = [each for part in get_args(annotation) for each in inner_models(part)]
    return list(dict.fromkeys(found))


def default_of(field: FieldInfo) -> str:
    """Return a field's default as YAML would have it, in words where it is none."""
    if field.default is PydanticUndefined and field.default_factory is None:
        return "required"
    value = field.get_default(call_default_factory=True)  # type: ignore[call-overload]
    if value is None or isinstance(value, NoneType | BaseModel) or value in ((), {}):
        return "–"
    if isinstance(value, tuple):
        return f"`[{', '.join(f'{each:g}' if isinstance(each, float) else str(each) for each in value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(model: type[BaseModel]) -> str:
    """Return the table of a model's keys."""
    lines = ["| key | meaning | default |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {meaning} | {default} |" for key, meaning, default in rows(model)]
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """Return a page with the tables between its marks renewed."""
    for name, model in models().items():
        mark = re.compile(rf"(<!-- {name}: .*?-->\n).*?(\n<!-- end -->)", re.DOTALL)
        text = mark.sub(lambda found, model=model: f"{found[1]}\n{table(model)}\n{found[2]}", text)  # type: ignore[misc]
    return text


def commands() -> str:
    """Return the page of the commands, from their own help."""
    import typer
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from megabar.launchers.cli.command import app

    command = get_command(app)
    text = str(get_docs_for_click(obj=command, ctx=typer.Context(command), name="megabar"))
    text = re.sub(r"\*\*Usage\*\*:\n\n```console\n\$ (.*?)\n```", r"```text\n\1\n```", text)
    text = re.sub(r"\*\*(Options|Arguments|Commands)\*\*:", r"\1:", text)
    text = re.sub(r"\* `--help`: Show this message and exit\.(\n|$)", "", text)
    text = re.sub(r"Options:\n\n(?=\n|$|#)", "", text)
    rest = text.partition("\n")[2]
    # The list of commands is cut short, and the page has them all.
    rest = re.sub(r"Commands:\n\n(?:\* .*\n)+", "", rest)
    return f"# Commands\n\n{rest}"


def modules() -> str:
    """Return the page of all modules, with the first line of each."""
    lines = ["# Modules", ""]
    for floor in ("structures", "analysis", "workflows", "launchers"):
        folder = DOCS.parent / floor
        for room in sorted({path.parent for path in folder.rglob("*.py")}):
            lines += [f"## {room.relative_to(DOCS.parent)}/", "", "| | |", "| --- | --- |"]
            for path in sorted(room.glob("*.py")):
                says = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
                first = " ".join(says.split("\n\n")[0].split()).replace("|", "\\|").replace("``", "`")
                name = "" if path.name == "__init__.py" else f"`{path.name}`"
                lines.append(f"| {name} | {first} |")
            lines.append("")
    return "\n".join(lines)


def write_pages() -> None:
    """Write what the site has and the repository has not."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "commands.md").write_text(commands(), encoding="utf-8")
    (GENERATED / "modules.md").write_text(modules(), encoding="utf-8")


if __name__ == "__main__":
    reference = DOCS / "reference.md"
    reference.write_text(with_tables(reference.read_text(encoding="utf-8")), encoding="utf-8")
