"""A private Slurm: own munged, slurmctld and several slurmd in one folder, on free ports, without root or systemd.

The nodes are of this computer and have as many cores as they are said to, so that jobs of any size can run.
"""

import os
import platform
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from megabar.workflows.isolation import die_with_parent

CORES = 4
NODES = 2
MEMORY_MB = 4000
START_S = 30.0
ATTEMPTS = 3
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
{authentication}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/pgid
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
ReturnToService=2
KillWait=5
MpiDefault=none
MaxJobCount=20000
MaxArraySize=2001
SchedulerParameters=default_queue_depth=1000,sched_interval=2,sched_min_interval=100000,batch_sched_delay=0
SlurmdParameters=config_overrides
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{last}] CPUs={cores} \
CoresPerSocket={cores} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes=n[1-{nodes}] Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=short Nodes=n1 MaxTime=00:10:00 State=UP
"""


def missing_programs() -> list[str]:
    """Return the programs of Slurm that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


@dataclass
class SlurmCluster:
    """A running cluster; its configuration file is what SLURM_CONF has to name."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    munge: bool = False

    @property
    def configuration(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def nodes(self) -> list[str]:
        return [f"n{index + 1}" for index in range(NODES)]

    def run(self, *words: str) -> str:
        """Return what a program of Slurm, called in this cluster by hand, writes; it must succeed."""
        environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(self.configuration)}
        done = subprocess.run(words, env=environment, text=True, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start_controller(self) -> None:
        """Start slurmctld; what was in the queue is there again."""
        self._start("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs run on, and nobody can submit or ask."""
        process = self.processes["slurmctld"]
        process.terminate()  # it writes its state down
        process.wait(timeout=30)
        self._stop("slurmctld")

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        spool = self.folder / f"spool.{name}"
        spool.mkdir(exist_ok=True)
        self._start(name, "slurmd", "-D", "-N", name, folder=spool)

    def kill_node(self, name: str) -> None:
        """Kill a node with all that runs on it, as a power cut does."""
        for process in self._belonging(name):
            process.kill()
        self._stop(name)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                if self.run("sinfo", "-h", "-N", "-p", "all", "-o", "%T").split() == ["idle"] * NODES:
                    return
            except AssertionError:
                pass
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = {path.name: path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log")}
                raise RuntimeError(f"the private Slurm does not start (dead: {dead}): {logs}")
            time.sleep(0.1)

    def wait_until_ready_again(self) -> None:
        """Wait until a controller that was started anew answers and knows its nodes."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                if not {"unknown", "down"} & set(self.run("sinfo", "-h", "-N", "-o", "%T").replace("*", "").split()):
                    return
            except AssertionError:
                pass
            assert time.monotonic() < deadline, "slurmctld does not come back"
            time.sleep(0.1)

    def wait_until_empty(self, timeout_s: float = 30.0) -> None:
        """Cancel every job and wait until none is left."""
        deadline = time.monotonic() + timeout_s
        while self.run("squeue", "-h").strip():
            self.run("scancel", f"--user={user_name()}")
            assert time.monotonic() < deadline, self.run("squeue")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the jobs and the daemons; nothing that belongs to the cluster is left."""
        for process in self._belonging():
            process.kill()
        for name in reversed(list(self.processes)):
            self._stop(name)
        for process in self._belonging():  # what the daemons started in the meantime
            process.kill()

    def _start(self, name: str, *words: str, folder: Path | None = None) -> None:
        program = shutil.which(words[0], path=PATH)
        assert program is not None
        with (self.folder / f"{name}.out.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": PATH, "SLURM_CONF": str(self.configuration)},
                cwd=folder or self.folder,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _stop(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def _belonging(self, node: str | None = None) -> list[psutil.Process]:
        """Return the processes of jobs, and slurmstepd behind them, of one node or all."""
        return [process for process in psutil.process_iter() if self._is_of_job(process, node)]

    def _is_of_job(self, process: psutil.Process, node: str | None) -> bool:
        try:
            if process.name() == "slurmstepd":  # which has overwritten its environment, and is where its slurmd was
                place = Path(process.cwd())
                return place.parent == self.folder and node in (None, place.name.removeprefix("spool."))
            environment = process.environ()
        except (psutil.Error, OSError):
            return False
        ours = "SLURM_JOB_ID" in environment and environment.get("SLURM_CONF") == str(self.configuration)
        return ours and node in (None, environment.get("SLURMD_NODENAME"))


def user_name() -> str:
    """Return the name of the user that the tests run as."""
    return pwd.getpwuid(os.getuid()).pw_name


def free_ports(count: int) -> list[int]:
    """Return consecutive ports that nobody listens on now."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        sockets: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return list(range(first, first + count))
        except (OSError, OverflowError):
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no free ports")


def _start_munge(cluster: SlurmCluster) -> Sequence[str]:
    """Start a munged of our own; return the lines of slurm.conf that use it, or those that do without."""
    without = ["AuthType=auth/none", "CredType=cred/none"]
    if shutil.which("munged", path=PATH) is None:
        return without
    key, munge_socket = cluster.folder / "munge.key", cluster.folder / "munge.sock"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    files = {"key-file": key, "socket": munge_socket, "pid-file": cluster.folder / "munged.pid"}
    files |= {"log-file": cluster.folder / "munged.log", "seed-file": cluster.folder / "munged.seed"}
    cluster._start("munged", "munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items()))
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and cluster.processes["munged"].poll() is None:
        if munge_socket.exists():
            cluster.munge = True
            return ["AuthType=auth/munge", "CredType=cred/munge", f"AuthInfo=socket={munge_socket}"]
        time.sleep(0.02)
    cluster._stop("munged")
    return without


def _start_cluster(folder: Path) -> SlurmCluster:
    cluster = SlurmCluster(folder)
    try:
        ports = free_ports(1 + NODES)
        text = CONFIGURATION.format(
            host=platform.node().split(".")[0],
            user=user_name(),
            folder=folder,
            ports=ports,
            last=ports[-1],
            nodes=NODES,
            cores=CORES,
            memory=MEMORY_MB,
            authentication="\n".join(_start_munge(cluster)),
        )
        cluster.configuration.write_text(text)
        (folder / "state").mkdir(exist_ok=True)
        cluster.start_controller()
        for name in cluster.nodes:
            cluster.start_node(name)
        cluster.wait_until_ready()
    except BaseException:
        cluster.stop()
        raise
    return cluster


@contextmanager
def private_slurm() -> Iterator[SlurmCluster]:
    """Have a cluster while the block runs; raises RuntimeError with the daemons' logs where it does not start."""
    for attempt in range(ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # munge's socket must have a short path
        try:
            cluster = _start_cluster(folder)
        except RuntimeError:
            shutil.rmtree(folder, ignore_errors=True)
            if attempt == ATTEMPTS - 1:
                raise
            continue  # somebody else took a port
        try:
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return
