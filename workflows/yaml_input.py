"""YAML files of the user, read so that every mistake can be told with its line and key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from megabar.structures.errors import InputError
from megabar.workflows.secrecy import hidden

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap

Model = TypeVar("Model", bound=BaseModel)
MOST_BYTES, MOST_NODES, DEEPEST = 1_000_000, 50_000, 30
"""Bounds of a file, aliases written out: thousands of phases fit in, and reading never takes long or much memory."""


SHOWN = 40
NO_VALUE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What the parser raises, beside its own errors, where a value is none of its type: 2001-13-45, `!!int abc`, `+_`."""


def read_yaml(path: Path) -> CommentedMap:
    """Return the mapping in a YAML file, line numbers kept.

    Raises InputError where the file cannot be read, is not YAML, or is not a mapping.
    """
    from ruamel.yaml import YAML  # a tenth of a second of every command, most of which read no YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _text(path)
    yaml = YAML(typ="rt")
    yaml.Constructor = _constructor()
    try:
        _check_size(path, text)
        content = yaml.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}, line {line}: not valid YAML ({hidden(str(error.problem))})") from None
    except YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({hidden(' '.join(str(error).split()))})") from None
    except NO_VALUE:
        raise InputError(f"{path}: not valid YAML (a value in it is none of its type)") from None
    if content is None:
        content = CommentedMap()
    if not isinstance(content, CommentedMap):
        raise InputError(f"{path}, line 1: a list of `key: value` lines is expected")
    return content


def _constructor() -> Any:
    """Return the parser's class that makes values, which here tells the line of one that it cannot make."""
    from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor

    class Constructor(RoundTripConstructor):
        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except NO_VALUE:
                found, kind = str(node.value)[:SHOWN], str(node.tag).rpartition(":")[2]
                reason = f"{found!r} cannot be read as {kind}"
                raise ConstructorError(problem=reason, problem_mark=node.start_mark) from None

    return Constructor


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path}: is larger than {MOST_BYTES // 1_000_000} MB; is it the file that was meant?")
        return content.decode("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _check_size(path: Path, text: str) -> None:
    """Raise InputError where a text is nested too deeply, or becomes too much when its aliases are written out.

    Counted from the events of the parser, before anything is built: nine lines of aliases may stand for a billion.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, nodes before it
    nodes = 0
    for event in YAML(typ="rt").parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise InputError(f"{path}, line {line}: the alias *{hidden(event.anchor)} stands for nothing before it")
            nodes += sizes[event.anchor]
        elif isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = nodes - before
        elif isinstance(event, NodeEvent):
            nodes += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if len(open_nodes) > DEEPEST:
            raise InputError(f"{path}, line {line}: is nested more than {DEEPEST} levels deep")
        if nodes > MOST_NODES:
            raise InputError(f"{path}, line {line}: holds more than {MOST_NODES:,} values with its aliases written out")


def validated(model: type[Model], content: CommentedMap, path: Path) -> Model:
    """Return the content as the model, or raise InputError naming file, line, key, what was found and what is right."""
    try:
        return model.model_validate(plain(content))
    except ValidationError as error:
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        location = tuple(part for part in first["loc"] if not str(part).startswith("function-"))
        raise InputError(f"{path}, line {line_of(content, location)}: {_sentence(model, first, location)}") from None


def plain(content: Any) -> Any:
    """Return the content as plain dictionaries, lists, strings and numbers."""
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [plain(value) for value in content]
    if isinstance(content, bool) or content is None:
        return content
    for kind in (int, float, str):
        if isinstance(content, kind):
            return kind(content)
    return content


def line_of(content: Any, location: tuple[Any, ...]) -> int:
    """Return the line (from 1) of the deepest part of a location that the file has."""
    line = 1
    for part in location:
        try:
            if isinstance(content, dict):
                line = content.lc.key(part)[0] + 1  # type: ignore[attr-defined]
            elif isinstance(content, list):
                line = content.lc.item(part)[0] + 1  # type: ignore[attr-defined]
            content = content[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def nearest(name: str, known: list[str], count: int = 3) -> str:
    """Return ``; did you mean …?`` with the known names closest to a name, or nothing where none is close."""
    lowered = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=count, cutoff=0.5)
    return f"; did you mean {', '.join(lowered[each] for each in close)}?" if close else ""


def _sentence(model: type[BaseModel], error: Any, location: tuple[Any, ...]) -> str:
    key = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        known = _keys(model, location[:-1])
        return f"unknown key `{key}`{nearest(str(location[-1]), known)} (known: {', '.join(known)})"
    if error["type"] == "missing":
        return f"the key `{key}` is missing"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    found = error.get("input")
    shown = f" (found {hidden(repr(found))})" if isinstance(found, str | int | float | bool) else ""
    return f"`{key}`: {message[0].lower() + message[1:]}{shown}" if key else message


def _keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Return the keys that a model knows at a location inside it."""
    current: Any = model
    if issubclass(model, RootModel):  # a mapping by the user's own names
        current, location = model.model_fields["root"].annotation.__args__[1], location[1:]  # type: ignore[union-attr]
    for part in location:
        field = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
        current = models[0] if models else current
    return [field.alias or name for name, field in current.model_fields.items()]
