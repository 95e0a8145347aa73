"""Job scripts against references in each scheduler's documented syntax, and the reading of what their programs say.

Slurm and Grid Engine are tested for real as well (test_slurm.py, test_grid_engine.py); of PBS and PJM, which cannot be
had, the texts are examples of their manuals.
"""

import itertools
import os
import subprocess
from pathlib import Path

import pytest

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers import allocation as allocations
from megabar.launchers.schedulers import commands, pbs, pjm, sge, slurm
from megabar.launchers.schedulers.allocation import Allocation, allocation
from megabar.launchers.schedulers.commands import in_one_sentence, run, small
from megabar.launchers.schedulers.interface import JobRequest, Limits, QueuedJob, SchedulerBusy
from megabar.launchers.schedulers.queue import cancel, own_jobs, submit, write_script
from megabar.launchers.schedulers.registry import SCHEDULERS, scheduler_of
from megabar.launchers.schedulers.script import job_script
from megabar.structures.errors import InputError, SetupError

LOGS = Path("/data/jobs/test")


def machine(scheduler, **changes):
    described = {
        "name": "test",
        "scheduler": scheduler,
        "partition": "compute",
        "account": "project",
        "cores": 16,
        "memory_GB": 64,
        "wall_time": "24:00:00",
        **changes,
    }
    return Machine.model_validate(described)


def request(scheduler, array=1, environment=(), **changes):
    command = ("/venv/bin/megabar", "worker", "--machine", "test")
    return JobRequest("megabar", machine(scheduler, **changes), command, LOGS, array, environment=dict(environment))


def head(text):
    """Return the lines of a script that the scheduler reads."""
    return list(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines()))


# The directives, by the manuals.

REFERENCES = {
    "slurm": """\
#!/bin/bash
#SBATCH --job-name=megabar
#SBATCH --partition=compute
#SBATCH --account=project
#SBATCH --qos=high
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem=61035M
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --output=/data/jobs/test/megabar-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --array=0-4
#SBATCH --constraint=cpu
""",
    # Altair PBS Professional 2022.1 User's Guide: 2.2 job scripts, 4.2 select, 8.2 arrays; 3.3.1 for the output.
    "pbs": """\
#!/bin/bash
#PBS -N megabar
#PBS -S /bin/bash
#PBS -q compute
#PBS -A project
#PBS -l select=1:ncpus=16:mpiprocs=16:mem=61035mb
#PBS -l walltime=24:00:00
#PBS -j oe
#PBS -o /data/jobs/test/
#PBS -m n
#PBS -J 0-4
#PBS -l place=excl
""",
    # sge_submit(1).
    "sge": """\
#!/bin/bash
#$ -N megabar
#$ -S /bin/bash
#$ -wd /data/jobs/test
#$ -q compute
#$ -P project
#$ -pe smp 16
#$ -l h_rt=24:00:00
#$ -notify
#$ -j y
#$ -o /data/jobs/test/megabar-$JOB_ID.$TASK_ID.log
#$ -m n
#$ -t 1-5
#$ -l h_vmem=4G
""",
    # Supercomputer Fugaku Users Guide 1.49, 5.4.2 and 5.9.
    "pjm": """\
#!/bin/bash
#PJM --name megabar
#PJM -L "node=1"
#PJM -L "rscgrp=compute"
#PJM -L "elapse=24:00:00"
#PJM -g project
#PJM --mpi "max-proc-per-node=16"
#PJM -j
#PJM -o /data/jobs/test/megabar.%j.out
#PJM -x PJM_LLIO_GFSCACHE=/vol0004
""",
}
CHANGES = {
    "slurm": {"qos": "high", "options": ["--constraint=cpu"]},
    "pbs": {"options": "#PBS -l place=excl"},
    "sge": {"parallel_environment": "smp", "options": ["-l h_vmem=4G"]},
    "pjm": {"options": ["-x PJM_LLIO_GFSCACHE=/vol0004"]},
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_directives_are_those_of_the_manual(name):
    assert head(job_script(request(name, array=5, **CHANGES[name]))) == REFERENCES[name].splitlines()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_single_job_has_no_array(name):
    text = job_script(request(name))
    assert not any(word in text for word in ("--array", "#PBS -J", "-t 1-", "%A", "TASK"))
    assert slurm.submission(Path("s"), request("slurm")) == ["sbatch", "--parsable", "s"]


def test_options_of_bulk_jobs_are_given_to_the_command():
    assert pjm.submission(Path("s"), request("pjm", array=5)) == ["pjsub", "--bulk", "--sparam", "0-4", "s"]
    assert pjm.submission(Path("s"), request("pjm")) == ["pjsub", "s"]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_only_what_is_described_is_asked_for(name):
    bare = Machine(name="test", scheduler=name, cores=1)
    text = "\n".join(head(job_script(JobRequest("megabar", bare, ("true",), LOGS))))
    for word in ("partition", "account", "mem", "-q", "-A", "-P", "rscgrp", "-g "):
        assert word not in text


def test_smaller_jobs_take_their_share_of_the_memory():
    small_job = JobRequest("megabar", machine("slurm"), ("true",), LOGS, cores=4, wall_time=600)
    text = job_script(small_job)
    assert "--ntasks-per-node=4" in text
    assert "--mem=15258M" in text
    assert "--time=00:10:00" in text


# What bash does.


def run_script(folder, name, **changes):
    """Run a job script as the scheduler would, and return what its command sees of the environment."""
    on = machine(name, **changes)
    sees = JobRequest("job", on, ("/usr/bin/env",), folder, environment={"MINE": "a $b 'c'"}, folder=folder)
    script = write_script(sees)
    identity = {
        "SLURM_JOB_ID": "7",
        "PBS_JOBID": "7.server",
        "JOB_ID": "7",
        "SGE_TASK_ID": "undefined",
        "PJM_JOBID": "7",
    }
    done = subprocess.run(
        ["/bin/bash", str(script)],
        env={**identity, "LC_ALL": "C", "HOME": str(folder), "OMP_NUM_THREADS": "16", "USER": "me"},
        capture_output=True,
        text=True,
        check=True,
    )
    log = sees.log("7")
    said = log.read_text() if log.exists() else done.stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


@pytest.mark.parametrize("name", [*SCHEDULERS, "none"])
def test_command_is_told_which_job_this_is(tmp_path, name):
    found = run_script(tmp_path, name, prepare=["export A=$(echo 1)"], scratch=f"{tmp_path}/scratch/$USER")
    assert found["MEGABAR_JOB_ID"] == "7" or name == "none"
    assert (found["MEGABAR_JOB_SECONDS"], found["MEGABAR_JOB_GRACE"]) == ("86400", "300")
    assert (found["MEGABAR_JOB_CORES"], found["MEGABAR_JOB_MACHINE"]) == ("16", "test")
    assert abs(float(found["MEGABAR_JOB_BEGAN"]) - allocations.uptime()) < 60
    assert (found["OMP_NUM_THREADS"], found["MINE"], found["A"]) == ("1", "a $b 'c'", "1")
    assert found["TMPDIR"] == f"{tmp_path}/scratch/me"
    assert Path(found["TMPDIR"]).is_dir()
    assert found["PATH"].endswith("/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
    assert found["PWD"] == str(tmp_path)
    assert "LC_ALL" not in found


def test_threads_can_be_told_otherwise(tmp_path):
    assert run_script(tmp_path, "slurm", prepare="export OMP_NUM_THREADS=2")["OMP_NUM_THREADS"] == "2"


def test_module_is_there_without_a_login_shell(tmp_path):
    (tmp_path / "lmod" / "init").mkdir(parents=True)
    (tmp_path / "lmod" / "init" / "bash").write_text('module() { export LOADED="$*"; }\n')
    found = run_script(tmp_path, "slurm", prepare=["module load espresso"], scratch=None)
    assert "LOADED" not in found
    text = job_script(request("slurm", prepare=["module load espresso"]))
    preparing = text[text.index("if ! type module") : text.index("module load")]
    done = subprocess.run(
        ["/bin/bash", "-c", preparing + "module load espresso; echo $LOADED"],
        env={"LMOD_PKG": str(tmp_path / "lmod")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "load espresso\n"
    assert "type module" not in job_script(request("slurm", prepare=["source /opt/qe/env.sh"]))


def test_command_replaces_the_shell():
    last = job_script(request("slurm")).splitlines()[-1]
    assert last == "exec /venv/bin/megabar worker --machine test </dev/null"


# Wrong requests.


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cores": 17}, "the job megabar asks for more than the machine test has: cores 17, described are 16"),
        ({"nodes": 2}, "nodes 2, described are 1"),
        ({"wall_time": 86401}, "wall_time 24:00:01, described are 24:00:00"),
        ({"array": 11}, "jobs_per_array 11, described are 10"),
        ({"array": 0}, "asks for jobs_per_array 0; at least 1"),
        ({"name": "my job"}, "'my job' cannot be a job's name"),
        ({"logs": Path("/my data")}, "jobs cannot run in /my data"),
        ({"logs": Path("data")}, "in an absolute path"),
        ({"environment": {"A B": "1"}}, "'A B' cannot be the name of an environment variable"),
    ],
)
def test_impossible_job_is_refused(changes, sentence):
    fields = {"name": "megabar", "logs": LOGS, **changes}
    with pytest.raises(InputError, match=sentence):
        job_script(JobRequest(machine=machine("slurm"), command=("true",), **fields))


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {"MEGABAR_DATABASE_URI": "mongodb://db/"}},
        {"environment": {"ELSEWHERE": "mongodb://me:Secret99@db/"}},
        {"prepare": "export ELSEWHERE=mongodb+srv://me:Secret99@db/"},
        {"options": "--comment=mongodb://me:Secret99@db/"},
    ],
)
def test_script_never_holds_a_password(changes):
    with pytest.raises(InputError, match="would hold a password") as told:
        job_script(request("slurm", **changes))
    assert "Secret99" not in str(told.value)


def test_password_of_the_shell_is_known_wherever_it_is(monkeypatch):
    monkeypatch.setenv("MEGABAR_DATABASE_URI", "mongodb://db/?tlsCertificateKeyFilePassword=Secret99")
    with pytest.raises(InputError, match="would hold a password"):
        job_script(request("slurm", prepare=f"export X={os.environ['MEGABAR_DATABASE_URI']}"))


def test_machine_without_scheduler_has_no_queue():
    with pytest.raises(InputError, match="the machine test has no scheduler"):
        scheduler_of(machine("none"))


# What the programs say.


@pytest.mark.parametrize(
    ("scheduler", "said", "identifier"),
    [
        (slurm, "123\n", "123"),
        (slurm, "123;cluster\n", "123"),
        (slurm, "sbatch: Job estimated to cost 3 EUR\n123\n", "123"),
        (slurm, "", None),
        (pbs, "1234.pbs-server.example.org\n", "1234"),
        (pbs, "1234[].pbs-server\n", "1234[]"),
        (pbs, "qsub: waiting", None),
        (sge, "44\n", "44"),
        (sge, "44.1-10:1\n", "44"),
        (sge, "", None),
        (pjm, "[INFO] PJM 0000 pjsub Job 9714 submitted.\n", "9714"),
        (pjm, "[ERR.] PJM 0057 pjsub node=32 is greater than the upper limit (24).", None),
    ],
)
def test_number_of_the_new_job(scheduler, said, identifier):
    assert scheduler.job_id(said) == identifier


@pytest.mark.parametrize(
    ("scheduler", "identifier", "elements"),
    [
        (slurm, "12", ["12_0", "12_1"]),
        (pbs, "12[]", ["12[0]", "12[1]"]),
        (sge, "12", ["12.1", "12.2"]),
        (pjm, "12", ["12[0]", "12[1]"]),
    ],
)
def test_elements_of_an_array(scheduler, identifier, elements):
    assert scheduler.elements(identifier, 2) == elements


def test_list_of_slurm():
    said = (
        "12_0|R|None|megabar\n12_1|PD|Resources|megabar\n13|PD|PartitionTimeLimit|a|b\n14|CG|None|x\n15|CD|None|x\n\n"
    )
    assert slurm.jobs(said) == [
        QueuedJob("12_0", "megabar", "running"),
        QueuedJob("12_1", "megabar", "pending"),
        QueuedJob("13", "a|b", "pending", "PartitionTimeLimit"),
        QueuedJob("14", "x", "running"),
        QueuedJob("15", "x", "ended"),
    ]


# The columns of `qstat -u` in the PBS Professional Reference Guide, 2.57, wide by -w, arrays expanded by -t.
QSTAT = """
pbs-server:
                                                                                                   Req'd  Req'd   Elap
Job ID                         Username        Queue           Jobname         SessID   NDS  TSK   Memory Time  S Time
------------------------------ --------------- --------------- --------------- -------- ---- ----- ------ ----- - -----
2041991.pbs-server-of-a-long-* me              compute         megabar         --          1    16   61gb 24:00 Q   --
2041992.pbs-server             me              compute         megabar         21884       1    16   61gb 24:00 R 01:12
2041993[].pbs-server           me              compute         megabar         --          1    16    --  24:00 B   --
2041993[0].pbs-server          me              compute         megabar         21885       1    16    --  24:00 R 00:12
2041993[1].pbs-server          me              compute         megabar         --          1    16    --  24:00 X   --
2041993[2].pbs-server          me              compute         megabar         --          1    16    --  24:00 H   --
"""


def test_list_of_pbs():
    assert pbs.jobs(QSTAT) == [
        QueuedJob("2041991", "megabar", "pending"),
        QueuedJob("2041992", "megabar", "running"),
        QueuedJob("2041993[0]", "megabar", "running"),
        QueuedJob("2041993[1]", "megabar", "ended"),
        QueuedJob("2041993[2]", "megabar", "pending"),
    ]
    assert pbs.jobs("") == []


QSTAT_XML = """<?xml version='1.0'?>
<job_info  xmlns:xsd="http://example.org/qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>88</JB_job_number><JB_name>megabar</JB_name><state>r</state><tasks>1</tasks>
    </job_list>
    <job_list state="running">
      <JB_job_number>88</JB_job_number><JB_name>megabar</JB_name><state>dr</state><tasks>2</tasks>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending"><JB_job_number>90</JB_job_number><JB_name>x</JB_name><state>hqw</state></job_list>
    <job_list state="pending"><JB_job_number>91</JB_job_number><JB_name>x</JB_name><state>Eqw</state></job_list>
  </job_info>
</job_info>
"""


def test_list_of_grid_engine():
    *found, failed = sge.jobs(QSTAT_XML)
    assert found == [
        QueuedJob("88.1", "megabar", "running"),
        QueuedJob("88.2", "megabar", "running"),
        QueuedJob("90", "x", "pending"),
    ]
    assert (failed.identifier, failed.state) == ("91", "pending")
    assert "error state" in failed.reason
    with pytest.raises(ValueError, match="no XML"):
        sge.jobs("error: ended abnormally")


# `pjstat --data`: a line that begins with H names the columns, in whatever order the site has them.
PJSTAT = """\
H,JOB_ID,ST,JOB_NAME
,34716160,QUE,megabar
,34716168,RUN,megabar
,34716168[0],RUN,megabar
,34716168[1],QUE,megabar
,34716168[2],EXT,megabar
,34716170,HLD,other
"""


def test_list_of_pjm():
    assert pjm.jobs(PJSTAT) == [
        QueuedJob("34716160", "megabar", "pending"),
        QueuedJob("34716168[0]", "megabar", "running"),
        QueuedJob("34716168[1]", "megabar", "pending"),
        QueuedJob("34716168[2]", "megabar", "ended"),
        QueuedJob("34716170", "other", "pending", "held"),
    ]
    assert pjm.jobs("H,JOB_ID,ST,JOB_NAME\n") == []


@pytest.mark.parametrize(
    ("scheduler", "said", "version"),
    [
        (slurm, "slurm 22.05.8\n", "22.05.8"),
        (slurm, "slurm-wlm 23.11.4\n", "23.11.4"),
        (slurm, "sbatch: error: resolve_ctls_from_dns_srv", None),
        (pbs, "pbs_version = 20.0.1\n", "20.0.1"),
        (pbs, "SGE 8.1.9\nusage: qstat", None),
        (sge, "SGE 8.1.9\nusage: qstat [options]", "8.1.9"),
        (sge, "UGE 8.6.12\nusage", "8.6.12"),
        (sge, "usage: qstat [-f] [-J]", None),
    ],
)
def test_versions(scheduler, said, version):
    assert scheduler.version(said) == version


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("9:30\n", 570), ("1:00:00", 3600), ("2-01:00:00", 176400), ("UNLIMITED", None), ("", None), ("INVALID", None)],
)
def test_time_left_on_slurm(said, seconds):
    assert slurm.seconds_left(said) == seconds


def test_time_left_on_pbs():
    said = "Job Id: 7.server\n    Resource_List.walltime = 24:00:00\n    resources_used.walltime = 01:00:30\n"
    assert pbs.seconds_left(said) == 23 * 3600 - 30
    assert pbs.seconds_left("Job Id: 7.server") is None


def test_limits_of_a_partition():
    said = "debug|30:00|2|64|128000\ncompute*|1-00:00:00|100|128|257000+\ncompute*|1-00:00:00|10|256|1030000\n"
    assert slurm.limits(said) == Limits(wall_time=86400, nodes=110, cores=256, memory_MiB=1030000)
    assert slurm.limits("open|infinite|1|4|4000\n") == Limits(None, 1, 4, 4000)
    assert slurm.limits("") == Limits()


# How the programs are run.


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Make programs, to be found alone on PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")

    def make(name, body):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    return make


def job(folder, name="pbs"):
    return JobRequest("job", machine(name), ("true",), folder / "jobs")


def test_missing_program_is_told(programs, tmp_path):
    with pytest.raises(SetupError, match="PBS is not here: there is no program qsub; use a computer that submits jobs"):
        submit(job(tmp_path))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("qsub: Unknown queue\nqsub: really", SetupError),
        ("qsub: cannot connect to server pbs (errno=111)", SchedulerBusy),
    ],
)
def test_refusal_is_told_in_its_words(programs, tmp_path, said, kind):
    programs("qsub", f"echo '{said}' >&2; exit 1")
    with pytest.raises(SetupError, match=r"PBS refuses \(qsub\): ") as told:
        submit(job(tmp_path))
    assert type(told.value) is kind
    assert str(told.value).endswith(said.replace("qsub: ", "").replace("\n", "; "))


def test_program_that_hangs_is_told(monkeypatch, programs):
    programs("squeue", "exec /bin/sleep 20")
    with pytest.raises(SchedulerBusy, match=r"Slurm does not answer: squeue took more than 0\.2 s"):
        run(slurm, ["squeue"], 0.2)


def test_submission_without_a_number_is_a_failure(programs, tmp_path):
    programs("qsub", "echo thank you")
    with pytest.raises(SetupError, match="PBS does not tell the new job's number: thank you"):
        submit(job(tmp_path))


def test_list_that_cannot_be_read_is_no_empty_list(programs):
    programs("qstat", "echo oops")
    with pytest.raises(SetupError, match="Grid Engine's list of jobs cannot be read"):
        own_jobs(machine("sge"))


def test_submission_tells_jobs_and_logs(programs, tmp_path):
    programs("qsub", "echo '1234[].server'")
    made = submit(JobRequest("job", machine("pbs"), ("true",), tmp_path / "jobs", array=2))
    assert made.identifiers == ("1234[0]", "1234[1]")
    assert [log.name for log in made.logs] == ["job-1234[0].log", "job-1234[1].log"]
    assert made.script.read_text().startswith("#!/bin/bash\n#PBS -N job\n")


def test_only_jobs_that_are_there_are_cancelled(programs, tmp_path):
    (tmp_path / "list").write_text(QSTAT)
    programs("qstat", f"exec /bin/cat {tmp_path}/list")
    programs("qdel", f'echo "$@" >{tmp_path}/deleted')
    assert cancel(machine("pbs"), ["2041992", "2041993[1]", "7"]) == ["2041992"]
    assert (tmp_path / "deleted").read_text() == "2041992\n"


def test_cancelling_fails_only_where_jobs_stay(programs, tmp_path):
    (tmp_path / "list").write_text(QSTAT)
    programs("qstat", f"exec /bin/cat {tmp_path}/list")
    programs("qdel", f"echo 'qdel: Unknown Job Id' >&2; : >{tmp_path}/list; exit 153")
    assert cancel(machine("pbs"), ["2041991"]) == ["2041991"]
    (tmp_path / "list").write_text(QSTAT)
    programs("qdel", "echo 'qdel: Unauthorized Request' >&2; exit 1")
    with pytest.raises(SetupError, match="Unauthorized Request"):
        cancel(machine("pbs"), ["2041991"])


def test_little_of_the_shell_reaches_a_program():
    shell = {
        "HOME": "/home/me",
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_JOB_ID": "7",
        "SBATCH_PARTITION": "x",
        "SGE_ROOT": "/sge",
        "SGE_TASK_ID": "1",
        "CONDA_PREFIX": "/conda",
        "MEGABAR_DATABASE_URI": "mongodb://me:Secret99@db/",
    }
    assert set(small(shell)) == {"HOME", "PATH", "SLURM_CONF", "SGE_ROOT"}


def test_complaints_are_one_line():
    said = "sbatch: error: invalid partition specified: x\n\nsbatch: error: Batch job submission failed: Invalid name\n"
    expected = "invalid partition specified: x; Batch job submission failed: Invalid name"
    assert in_one_sentence(said) == expected
    assert len(in_one_sentence("x" * 2000)) == commands.MOST_WORDS


# The job that a process runs in.

OURS = {
    "MEGABAR_JOB_SECONDS": "3600",
    "MEGABAR_JOB_GRACE": "300",
    "MEGABAR_JOB_MACHINE": "test",
    "MEGABAR_JOB_CORES": "16",
    "MEGABAR_JOB_BEGAN": "100.5",
}


@pytest.mark.parametrize(
    ("scheduler", "environment", "identifier", "cores"),
    [
        ("slurm", {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8"}, "7", 8),
        ("slurm", {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3", 16),
        ("pbs", {"PBS_JOBID": "7.server", "NCPUS": "8"}, "7", 8),
        ("pbs", {"PBS_JOBID": "7[3].server"}, "7[3]", 16),
        ("sge", {"JOB_ID": "7", "SGE_TASK_ID": "undefined", "NSLOTS": "8"}, "7", 8),
        ("sge", {"JOB_ID": "7", "SGE_TASK_ID": "3"}, "7.3", 16),
        ("pjm", {"PJM_JOBID": "7", "PJM_SUBJOBID": "7[3]"}, "7[3]", 16),
        ("pjm", {"PJM_JOBID": "7"}, "7", 16),
    ],
)
def test_own_job(monkeypatch, scheduler, environment, identifier, cores):
    monkeypatch.setattr(allocations, "uptime", lambda: 1100.5)
    found = allocation({**environment, **OURS, "MEGABAR_JOB_ID": identifier})
    assert found == Allocation(scheduler, identifier, "test", cores, 3700.5, 3600.0, 300.0)
    assert found.seconds_left() == 2600.0


def test_no_job():
    assert allocation({}) is None
    assert allocation({"JOB_ID": "7"}) is None


def test_foreign_job_is_not_taken_for_ours(programs):
    programs("squeue", "echo 1:00:00")
    found = allocation({**OURS, "MEGABAR_JOB_ID": "6", "SLURM_JOB_ID": "7"})
    assert (found.job, found.machine, found.grace_s, found.length_s) == ("7", "", None, 3600)
    assert 3590 < found.seconds_left() < 3600.001  # sums of uptimes are rounded


def test_foreign_job_without_an_answer_has_no_known_end(programs):
    programs("squeue", "exit 1")
    assert allocation({"SLURM_JOB_ID": "7"}).seconds_left() is None
    assert allocation({"JOB_ID": "7", "SGE_TASK_ID": "undefined"}).seconds_left() is None


def test_clock_that_jumps_moves_no_end(monkeypatch):
    found = allocation({**OURS, "MEGABAR_JOB_ID": "7", "SLURM_JOB_ID": "7"})
    before = found.seconds_left()
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert abs(found.seconds_left() - before) < 5
