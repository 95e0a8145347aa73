"""The script of a job: bash, the same for all schedulers but for their directives.

Its last line replaces the shell by the command, so that the scheduler's signals reach that; bash would die of them.
It starts from a fixed PATH and no login shell, so that a job does not depend on who submits it from where. It says to
the command, in ``MEGABAR_JOB_…`` (``allocation.py``), which job this is and how long it may take.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

from megabar.launchers.schedulers.interface import JobRequest, Scheduler, check_request
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.structures.errors import InputError
from megabar.workflows.secrecy import SECRET_VARIABLES

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
MODULES = (
    "if ! type module >/dev/null 2>&1; then",
    '  for file in "${LMOD_PKG:-}/init/bash" "${MODULESHOME:-}/init/bash" \\',
    "    /etc/profile.d/modules.sh /etc/profile.d/lmod.sh /etc/profile.d/z00_lmod.sh; do",
    '    if [ -r "$file" ]; then . "$file"; break; fi',
    "  done",
    "fi",
)
"""A shell that is no login shell has no `module` where that is a function."""
_MODULE = re.compile(r"\bmodule\b")
_PASSWORD = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")


def job_script(request: JobRequest) -> str:
    """Return the script that runs a request; raises InputError where it would ask for too much or hold a secret."""
    check_request(request)
    scheduler = SCHEDULERS.get(request.machine.scheduler)
    lines = [
        "#!/bin/bash",
        *_directives(request, scheduler),
        *(scheduler.opening(request) if scheduler else []),
        f"export PATH={shlex.quote(_path(scheduler))}",
        "unset LC_ALL BASH_ENV",
        *_identity(request, scheduler),
        "export OMP_NUM_THREADS=1",
        *(f"export {name}={shlex.quote(value)}" for name, value in request.environment.items()),
        *_scratch(request),
        *(MODULES if any(_MODULE.search(line) for line in request.machine.prepare) else ()),
        *request.machine.prepare,
        f"cd {shlex.quote(str(request.folder or request.logs))} || exit 72",
        f"exec {shlex.join(request.command)} </dev/null",
    ]
    text = "\n".join(lines) + "\n"
    _check_secrecy(request, text)
    return text


def _directives(request: JobRequest, scheduler: Scheduler | None) -> list[str]:
    if scheduler is None:
        return []
    verbatim = [line.strip().removeprefix(scheduler.PREFIX).strip() for line in request.machine.options]
    return [f"{scheduler.PREFIX} {line}" for line in (*scheduler.directives(request), *verbatim)]


def _path(scheduler: Scheduler | None) -> str:
    """Return the folders of programs: the system's and that of the scheduler's own."""
    program = shutil.which(scheduler.COMMANDS[0]) if scheduler else None
    own = str(Path(program).parent) if program else ""
    return SYSTEM_PATH if not own or own in SYSTEM_PATH.split(":") else f"{own}:{SYSTEM_PATH}"


def _identity(request: JobRequest, scheduler: Scheduler | None) -> list[str]:
    job = scheduler.job_variable(request) if scheduler else "$$"
    return [
        "read -r MEGABAR_JOB_BEGAN _ </proc/uptime",
        f'export MEGABAR_JOB_BEGAN MEGABAR_JOB_ID="{job}" MEGABAR_JOB_SECONDS={request.seconds_asked}',
        f"export MEGABAR_JOB_GRACE={request.machine.grace} MEGABAR_JOB_CORES={request.cores_asked}",
        f"export MEGABAR_JOB_MACHINE={request.machine.name}",
    ]


def _scratch(request: JobRequest) -> list[str]:
    if request.machine.scratch is None:
        return []
    return [f'export TMPDIR="{request.machine.scratch}"', 'mkdir -p "$TMPDIR" || exit 73']


def _check_secrecy(request: JobRequest, text: str) -> None:
    named = [name for name in SECRET_VARIABLES if name in request.environment]
    found = [value for name in SECRET_VARIABLES if (value := os.environ.get(name)) and value in text]
    if named or found or _PASSWORD.search(text):
        raise InputError(
            f"the script of the job {request.name} would hold a password, which others can read; put the database's "
            "address into a file that only you can read and name it in `database.uri_file` (megabar.yaml)"
        )
