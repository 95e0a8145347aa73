"""The documentation says what the code says; the site builds without a warning and without anything from outside."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from megabar.launchers.cli.command import app

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
generate = import_module("generate")


def test_the_tables_of_the_reference_are_those_of_the_models():
    text = (ROOT / "docs" / "reference.md").read_text()
    assert generate.with_tables(text) == text, "renew them: python docs/generate.py"
    assert text.count("| key | meaning | default |") == len(generate.models())


def all_models() -> Iterator[type[BaseModel]]:
    for model in generate.models().values():
        yield model
        for field in model.model_fields.values():
            yield from generate.inner_models(field.annotation)


def test_every_key_of_a_study_file_and_of_the_configuration_says_what_it_means():
    silent = [
        f"{model.__name__}.{name}"
        for model in all_models()
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert not silent


def test_the_tables_tell_defaults_and_nested_keys():
    rows = {key: default for key, _, default in generate.rows(generate.models()["superconductivity"])}
    assert rows["mu_star"] == "`[0.1, 0.13]`" and rows["structure"] == "required" and rows["q_grid"] == "–"
    assert rows["pressures.from"] == "required" and rows["method.protocol"] == "`fast`"
    rows = {key: default for key, _, default in generate.rows(generate.models()["configuration"])}
    assert rows["data"] == "`.megabar`" and "codes.<code>.command" in rows


def test_all_commands_are_in_the_reference():
    page = generate.commands()
    command = get_command(app)
    names = [f"megabar {name}" for name in command.commands]
    names += [f"megabar machine {name}" for name in command.commands["machine"].commands]
    assert len(names) > 25
    assert not [name for name in names if f"`{name}`" not in page]
    assert "--workers" in page and "--help" not in page and "with where they come from." in page


def test_every_page_is_in_the_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^([\w/]+)$", index, re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"} <= listed


class Resources(HTMLParser):
    """What a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "link", "iframe", "source"):
            self.found |= {value for name, value in attrs if name in ("src", "href") and value}


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_outside(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(tmp_path)], capture_output=True, text=True, check=False, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text())
        assert not [each for each in resources.found if re.match(r"(https?:)?//", each)], page
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", sheet.read_text()), sheet
    assert "study" in (tmp_path / "python.html").read_text()
