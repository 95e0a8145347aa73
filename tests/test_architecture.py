"""The structure of the house: imports point down, analysis is pure, the code is checked by mypy and ruff."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from megabar.workflows.kinds.interface import Late
from megabar.workflows.kinds.registry import KINDS

ROOT = Path(__file__).parent.parent
BELOW = {
    "structures": set(),
    "analysis": {"structures"},
    "workflows": {"structures", "analysis"},
    "launchers": {"structures", "analysis", "workflows"},
}
FORBIDDEN = {
    "structures": {"fireworks", "pymongo", "bson", "gridfs", "subprocess", "typer", "rich"},
    "analysis": {"fireworks", "pymongo", "bson", "gridfs", "subprocess", "multiprocessing", "typer", "rich"},
    "workflows": {"typer"},
}
# Read before anything is installed, or alive as long as the database.
STANDARD_LIBRARY_ONLY = (
    "launchers/__main__.py",
    "launchers/setup/bootstrap.py",
    "launchers/setup/site.py",
    "launchers/setup/system_packages.py",
    "launchers/database/mongod_folder.py",
    "launchers/database/mongod_supervisor.py",
    "launchers/cli/interrupts.py",
    "launchers/entry.py",
    "launchers/cli/streams.py",
    "workflows/places.py",
)
FILES = sorted(path for package in BELOW for path in (ROOT / package).rglob("*.py"))


def imports(source):
    """Return what a source imports anywhere in it, as (line, level, dotted name)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, 0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [(node.lineno, node.level, f"{module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call):
            found += [(node.lineno, 0, name) for name in named_in(node)]
    return found


def named_in(call):
    """Return the module or name that a call imports: ``import_module("…")``, ``Late("module:name")``."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    words = [each.value for each in call.args[:1] if isinstance(each, ast.Constant)]
    return [word.replace(":", ".") for word in words] if called in ("import_module", "Late") else []


def faults(package, source):
    """Return what a source of a package imports and must not."""
    found = []
    for line, level, name in imports(source):
        parts = name.split(".")
        if level:
            found.append(f"line {line}: relative import of {name}")
        elif parts[0] == "megabar" and len(parts) > 1 and parts[1] in BELOW:
            if parts[1] not in BELOW[package] | {package}:
                found.append(f"line {line}: {package} imports {name}, which is above it")
        elif parts[0] in BELOW:
            found.append(f"line {line}: {name} should be megabar.{name}")
        elif parts[0] in FORBIDDEN.get(package, ()):
            found.append(f"line {line}: {package} must not import {parts[0]}")
    return found


def test_there_are_files_in_every_package():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(BELOW)
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    assert faults(path.relative_to(ROOT).parts[0], path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("package", "source", "fault"),
    [
        ("analysis", "from megabar.workflows.config import Config", "above it"),
        ("analysis", "def f():\n    import pymongo.errors", "must not import pymongo"),
        ("analysis", "from subprocess import run", "must not import subprocess"),
        ("structures", "import megabar.analysis.hull", "above it"),
        ("structures", "from importlib import import_module\nimport_module('megabar.workflows.study')", "above it"),
        ("workflows", "Late('megabar.launchers.cli.command:app')", "above it"),
        ("workflows", "from megabar import launchers", "above it"),
        ("launchers", "from . import cli", "relative"),
        ("launchers", "from analysis.hull import x", "should be megabar"),
    ],
)
def test_the_test_sees_faults(package, source, fault):
    (found,) = faults(package, source)
    assert fault in found


def modules_known(path, names):
    """Return which of our modules a file imports, anywhere but for its types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in names else node.module for each in inner}
        elif isinstance(node, ast.Call):
            found |= {each if each in names else each.rpartition(".")[0] for each in named_in(node)}
    return found & names


def test_imports_make_no_circle_even_where_they_are_late():
    names = {path: ".".join(("megabar", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES}
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    left = {name: modules_known(path, set(names.values())) - {name} for path, name in names.items()}
    while done := {name for name, known in left.items() if not known & left.keys()}:
        left = {name: known for name, known in left.items() if name not in done}
    assert not left


def test_nobody_asks_of_which_kind_a_plan_or_an_answer_is():
    kinds = ROOT / "workflows" / "kinds"
    asked = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in FILES
        for found in re.findall(r"isinstance\([^()]*,[^()]*\w(?:Plan|Answer|Study)\b[^()]*\)", path.read_text())
        if kinds not in path.parents
    ]
    assert not asked


def test_what_kinds_load_late_is_there():
    late = [value for kind in KINDS.values() for value in vars(kind).values() if isinstance(value, Late)]
    assert len(late) > 2 * len(KINDS)
    assert all(callable(each.found()) for each in late)


def test_kinds_of_studies_do_not_know_each_other():
    kinds = ROOT / "workflows" / "kinds"
    names = sorted(path.name for path in kinds.iterdir() if (path / "kind.py").is_file())
    assert names == sorted(KINDS)
    for path in kinds.rglob("*.py"):
        own = path.relative_to(kinds).parts[0]
        known = {
            name.split(".")[3]
            for _, _, name in imports(path.read_text())
            if name.startswith("megabar.workflows.kinds.")
        }
        if own == "registry.py":
            assert set(names) < known  # the one line of each
        else:
            assert known <= {own, "interface"}, path


def test_fireworks_stands_behind_one_room():
    for path in FILES:
        if ROOT / "workflows" / "queue" not in path.parents:
            text = path.read_text(encoding="utf-8")
            names = {name.split(".")[0] for _, _, name in imports(text)}
            assert "fireworks" not in names or "if TYPE_CHECKING" in text, path
            assert not re.findall(r"\.(?:fireworks|launches|fw_id_assigner)\.", text), path


def test_parts_do_not_know_kinds():
    for path in (ROOT / "workflows" / "parts").rglob("*.py"):
        assert not [name for _, _, name in imports(path.read_text()) if name.startswith("megabar.workflows.kinds")], (
            path
        )


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_what_runs_before_the_installation_needs_nothing_installed(name):
    names = {found for _, _, found in imports((ROOT / name).read_text(encoding="utf-8"))}
    ours = {"/".join(found.split(".")[1:]) for found in names if found.startswith("megabar.")}
    # What is imported from a module is a name in it; a folder's own file says no more than what is in the folder.
    ours = {each if (ROOT / f"{each}.py").is_file() else each.rpartition("/")[0] for each in ours if each}
    ours = {f"{each}.py" for each in ours if not (ROOT / each).is_dir()}
    assert ours <= {*STANDARD_LIBRARY_ONLY, *(["launchers/cli/command.py"] if name == "launchers/entry.py" else [])}
    others = {found.split(".")[0] for found in names} - {"megabar"}
    assert others <= set(sys.stdlib_module_names)


def test_what_looks_at_studies_loads_little():
    # `megabar status` is typed all day: what it does not need would be most of its time
    script = (
        "import sys, megabar.launchers.cli.command;"
        "import megabar.launchers.seeing.status, megabar.launchers.seeing.status_tables;"
        "heavy = {'ase', 'fireworks', 'matplotlib', 'numpy', 'pymatgen', 'ruamel', 'scipy'};"
        "sys.exit(' '.join(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(("leave", "said"), [("", "waits"), ("leave()", "")])
def test_a_command_does_not_wait_for_threads_of_closed_clients(leave, said):
    # pymongo's hook is private: this tells when it is called otherwise
    script = (
        "from pymongo.synchronous import monitor; from megabar.launchers.cli.command import _leave_at_once as leave;"
        f"monitor._shutdown_monitors = lambda: print('waits'); {leave}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


@pytest.mark.parametrize("package", BELOW)
def test_packages_are_the_folders_at_the_top(package):
    module = import_module(f"megabar.{package}")
    assert Path(module.__file__).resolve() == ROOT / package / "__init__.py"
    assert module.__doc__


@pytest.mark.slow
@pytest.mark.skipif(Path(sys.prefix).name == ".venv-lowest", reason="judged by the newest of the tools")
@pytest.mark.parametrize("command", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=" ".join)
def test_linters_and_types(command):
    arguments = [*command, "."] if command[0] == "ruff" else command
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_that_the_docs_name_exist():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        (page.name, name) for page in pages for name in re.findall(r"(?<![\w/])((?:\w+/)+\w+\.py)", page.read_text())
    }
    roots = [ROOT, *(ROOT / folder for folder in BELOW)]
    missing = [each for each in sorted(named) if not any((root / each[1]).is_file() for root in roots)]
    assert not missing
