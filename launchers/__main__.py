"""``python3 launchers ARGUMENTS``: set up everything on a bare machine, then be ``megabar ARGUMENTS``.

This file is read by whatever ``python3`` is there: nothing but the standard library, no syntax newer than 3.7.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
TOO_NEW = (3, 14)
GOOD = ("python3.13", "python3.12", "python3.11")


def suitable(version: tuple[int, int]) -> bool:
    """Return whether a Python of a version (major, minor) will do."""
    return OLDEST <= version < TOO_NEW


def advice(version: tuple[int, int]) -> str:
    """Return what to say where no suitable Python can be had."""
    return (
        "megabar: this python3 is {}.{}, and Python 3.11, 3.12 or 3.13 is needed. Install one (Debian, Ubuntu: "
        "`apt-get install python3.11 python3.11-venv`; Fedora: `dnf install python3.12`; without root: conda or uv) "
        "and call it by name: `python3.11 launchers …`".format(*version)
    )


def another_python() -> str | None:
    """Return the path of a suitable Python on PATH, as root on Debian or Ubuntu installed now; None without one."""
    for name in GOOD:
        path = shutil.which(name)
        # A name on PATH need not work: version managers leave stubs of versions that are not chosen.
        if path and subprocess.call([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return path
    if os.getuid() == 0 and shutil.which("apt-get"):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for name in reversed(GOOD):
            sys.stderr.write(f"megabar: installing {name} (apt-get)\n")
            for command in (["apt-get", "update"], ["apt-get", "install", "-y", name, name + "-venv", name + "-dev"]):
                code = subprocess.call(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if code == 0 and shutil.which(name):
                return shutil.which(name)
    return None


def main() -> None:
    """Find a suitable Python, then hand over to the bootstrap."""
    here = os.path.dirname(os.path.abspath(__file__))
    if not suitable(sys.version_info[:2]):
        path = another_python()
        if path is None:
            sys.stderr.write(advice(sys.version_info[:2]) + "\n")
            sys.exit(2)
        os.execv(path, [path, here, *sys.argv[1:]])
    # Not the folder of this file, where Python puts it: modules in it would hide those of the standard library.
    sys.path[0] = os.path.join(os.path.dirname(here), ".src")
    from megabar.launchers.setup.bootstrap import main as bootstrap

    bootstrap(sys.argv[1:])


if __name__ == "__main__":
    main()
