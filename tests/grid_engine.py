"""A private Grid Engine: own qmaster and execd in one folder, on free ports, without /var or an administrator."""

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from slurm_cluster import free_ports, user_name

from megabar.workflows.isolation import die_with_parent

BINARIES = Path("/usr/lib/gridengine")
DEFAULTS = Path("/usr/share/gridengine")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PROGRAMS = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qdel", "qconf")
SLOTS = 8
START_S = 30.0

BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {folder}/default/common;{folder}/default/spool
binary_path {binaries}
qmaster_spool_dir {folder}/default/spool
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""
PARALLEL_ENVIRONMENT = """\
pe_name smp
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves TRUE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""
CHANGED = {"qname": "all.q", "slots": str(SLOTS), "pe_list": "smp", "notify": "00:00:05", "load_thresholds": "NONE"}
"""What the queue has that its template has not. Its shell is csh, as at many sites."""


def missing_programs() -> list[str]:
    """Return what is missing: programs, or a host name that resolves."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    lacking += [str(place) for place in (BINARIES, DEFAULTS) if not place.is_dir()]
    try:
        socket.gethostbyname(platform.node())
    except OSError:
        lacking.append(f"address of {platform.node()}")
    return lacking


@dataclass
class GridEngine:
    """A running cell; ``environment`` is what its programs need."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *words: str) -> str:
        """Return what a program writes; it must succeed."""
        environment = {**os.environ, **self.environment, "PATH": PATH}
        done = subprocess.run(words, env=environment, text=True, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def set_up(self) -> None:
        """Write what the daemons start from."""
        common, spool = self.folder / "default" / "common", self.folder / "default" / "spool"
        for place in (common, spool, self.folder / "execd"):
            place.mkdir(parents=True)
        (self.folder / "util").symlink_to(DEFAULTS / "util")
        (common / "bootstrap").write_text(BOOTSTRAP.format(folder=self.folder, binaries=BINARIES))
        (common / "act_qmaster").write_text(platform.node())
        (common / "host_aliases").write_text(f"{platform.node()} localhost\n")
        configuration = self.folder / "configuration"
        lines = (DEFAULTS / "default-configuration").read_text().splitlines()
        # No login shells: what the profile of whoever runs the tests does, may take its time.
        given = {"execd_spool_dir": str(self.folder / "execd"), "min_uid": "0", "min_gid": "0", "login_shells": "none"}
        configuration.write_text(_changed(lines, given))
        self.run(str(BINARIES / "spoolinit"), "classic", "libspoolc", f"{common};{spool}", "init")
        for what, source in (
            ("configuration", str(configuration)),
            ("complexes", str(DEFAULTS / "util" / "resources" / "centry")),
            ("usersets", str(DEFAULTS / "util" / "resources" / "usersets")),
            ("managers", user_name()),
        ):
            self.run(str(BINARIES / "spooldefaults"), what, source)

    def start(self) -> None:
        """Start the daemons and make a queue with a parallel environment."""
        self._daemon("sge_qmaster")
        self._until(lambda: self.run("qconf", "-sm"))
        host = platform.node()
        for option in ("-ah", "-as"):
            if (
                host
                not in subprocess.run(
                    ["qconf", f"-s{option[2]}"], env=self._all(), capture_output=True, text=True
                ).stdout
            ):
                self.run("qconf", option, host)
        self._daemon("sge_execd")
        (self.folder / "pe").write_text(PARALLEL_ENVIRONMENT)
        self.run("qconf", "-Ap", str(self.folder / "pe"))
        template = self.run("qconf", "-sq").splitlines()
        (self.folder / "queue").write_text(_changed(template, {**CHANGED, "hostlist": host}))
        self.run("qconf", "-Aq", str(self.folder / "queue"))
        quick = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        scheduling = _changed(self.run("qconf", "-ssconf").splitlines(), {**quick, "job_load_adjustments": "NONE"})
        (self.folder / "scheduling").write_text(scheduling)
        self.run("qconf", "-Msconf", str(self.folder / "scheduling"))
        self._until(lambda: "lx-amd64" in self.run("qstat", "-f") and " au" not in self.run("qstat", "-f"))

    def wait_until_empty(self) -> None:
        """Delete every job and wait until none is left."""
        if self.run("qstat").strip():
            self.run("qdel", "-f", "-u", user_name())
        self._until(lambda: not self.run("qstat").strip())

    def stop(self) -> None:
        """Kill daemons and jobs."""
        for process in self.processes:
            process.kill()
            process.wait()
        for each in psutil.process_iter():
            try:
                if each.environ().get("SGE_ROOT") == str(self.folder):
                    each.kill()
            except psutil.Error:
                continue

    def _all(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PATH": PATH}

    def _daemon(self, name: str) -> None:
        program = shutil.which(name, path=PATH)
        assert program is not None
        environment = {**self._all(), "SGE_ND": "1", "LD_LIBRARY_PATH": str(BINARIES)}
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                [program], stdout=log, stderr=log, env=environment, start_new_session=True, preexec_fn=die_with_parent
            )
        self.processes.append(started)

    def _until(self, condition) -> None:
        deadline = time.monotonic() + START_S
        while True:
            problem = "nothing said"
            try:
                if condition():
                    return
            except AssertionError as error:
                problem = str(error)
            if time.monotonic() > deadline or any(each.poll() is not None for each in self.processes):
                logs = {path.name: path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log")}
                raise RuntimeError(f"the private Grid Engine does not work: {problem}; {logs}")
            time.sleep(0.2)


def _changed(lines: list[str], values: dict[str, str]) -> str:
    """Return lines of `key value` with other values for some keys."""
    kept = [line for line in lines if line.split()[:1] and line.split()[0] not in values]
    return "\n".join([*kept, *(f"{key} {value}" for key, value in values.items())]) + "\n"


@contextmanager
def private_grid_engine() -> Iterator[GridEngine]:
    """Have a cell while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="sge-", dir="/tmp"))
    ports = free_ports(2)
    environment = {
        "SGE_ROOT": str(folder),
        "SGE_CELL": "default",
        "SGE_QMASTER_PORT": str(ports[0]),
        "SGE_EXECD_PORT": str(ports[1]),
    }
    cell = GridEngine(folder, environment)
    try:
        cell.set_up()
        cell.start()
        yield cell
    finally:
        cell.stop()
        shutil.rmtree(folder, ignore_errors=True)
