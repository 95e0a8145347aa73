"""The machines' descriptions: read, refused in a sentence, laid over the configuration, checked."""

from pathlib import Path

import pytest

from megabar.launchers.machines.check import checked, sentences
from megabar.launchers.machines.description import Machine, Machines, clock, config_on, load_machines, seconds_of
from megabar.launchers.machines.jobs import job_environment
from megabar.launchers.machines.remarks import remarks
from megabar.launchers.schedulers.script import job_script
from megabar.structures.errors import InputError
from megabar.workflows.config import CodeConfig, Config, DatabaseConfig

EXAMPLES = Path(__file__).parent.parent / "examples" / "machines.yaml"
FILE = """
levante:
  scheduler: slurm
  partition: compute
  cores: 128
  wall_time: 24:00:00
  prepare: |
    module load espresso

    export A=1
  launch: srun --exact --mem=0 -n {cores}
  cores_per_calculation: 8
here: {scheduler: none, cores: 2}
"""


@pytest.fixture
def home(tmp_path):
    """The environment of a user without any file."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "home")}


def load(folder, text, environment):
    (folder / "machines.yaml").write_text(text)
    return load_machines(folder, environment)


def machine(**changes):
    return Machine.model_validate({"name": "test", "scheduler": "slurm", "cores": 8, **changes})


# The file.


def test_description_is_read(tmp_path, home):
    machines = load(tmp_path, FILE, home)
    assert machines.path == tmp_path / "machines.yaml"
    assert list(machines.by_name) == ["levante", "here"]
    levante = machines.named("levante")
    assert (levante.name, levante.cores, levante.wall_time, levante.grace) == ("levante", 128, 86400, 300)
    assert levante.prepare == ("module load espresso", "export A=1")
    assert levante.launch == ("srun", "--exact", "--mem=0", "-n", "{cores}")
    assert levante.calculations_at_once == 16
    assert levante.command[1:] == ("-m", "megabar.launchers.cli")


def test_example_is_a_file_that_works():
    machines = load_machines(EXAMPLES.parent, {"MEGABAR_MACHINES": str(EXAMPLES)})
    assert {each.scheduler for each in machines.by_name.values()} == {"slurm", "pbs", "sge", "pjm", "none"}
    for each in machines.by_name.values():
        assert config_on(each, Config()).code("espresso").launch[0] in ("srun", "mpirun", "mpiexec")
        found = remarks(each, Config(), {})
        assert not [remark for remark in found if remark.key not in ("scheduler", "database")], each.name
        assert sentences(each)


def test_nearest_file_counts(tmp_path, home):
    (tmp_path / "home" / "megabar").mkdir(parents=True)
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    assert load_machines(inner, home) == Machines()
    (tmp_path / "home" / "megabar" / "machines.yaml").write_text("home: {scheduler: none, cores: 1}")
    assert list(load_machines(inner, home).by_name) == ["home"]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "machines.yaml").write_text("beside: {scheduler: none, cores: 1}")
    beside = {**home, "MEGABAR_CONFIG": str(tmp_path / "config" / "other.yaml")}
    assert list(load_machines(inner, beside).by_name) == ["beside"]
    load(tmp_path / "project", "above: {scheduler: none, cores: 1}", home)
    assert list(load_machines(inner, beside).by_name) == ["above"]
    named = {**home, "MEGABAR_MACHINES": str(tmp_path / "home" / "megabar" / "machines.yaml")}
    assert list(load_machines(inner, named).by_name) == ["home"]


def test_named_file_must_be_there(tmp_path):
    with pytest.raises(InputError, match="MEGABAR_MACHINES names /no/file, which is not a file"):
        load_machines(tmp_path, {"MEGABAR_MACHINES": "/no/file"})


def test_unknown_machine_is_told_with_the_nearest(tmp_path, home):
    with pytest.raises(InputError, match=r"no machine is described yet; describe it in machines\.yaml"):
        load_machines(tmp_path, home).named("levante")
    with pytest.raises(
        InputError, match=r"there is no machine 'levant' in .*; did you mean levante\? \(known: levante"
    ):
        load(tmp_path, FILE, home).named("levant")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("scheduler: slrum", r"line 3: `m.scheduler`: input should be 'slurm', 'pbs', .* \(found 'slrum'\)"),
        ("core: 4", r"line 3: unknown key `m.core`; did you mean cores"),
        ("wall_time: 1440", r"line 3: `m.wall_time`: should be hours:minutes:seconds like 24:00:00.*\(found 1440\)"),
        ("wall_time: 24h", r"line 3: `m.wall_time`: should be hours:minutes:seconds"),
        ("wall_time: 00:00:30", r"line 3: `m.wall_time`: 00:00:30 is too short for a job"),
        ("wall_time: 00:05:00", r"line 3: `m.wall_time`: jobs of 00:05:00 would be told to stop 300 s before"),
        ("partition: a b", r"line 3: `m.partition`: should be one word.*\(found 'a b'\)"),
        ("nodes: 2", r"line 3: `m.nodes`: a job of 2 nodes runs one calculation on all of its 16 cores; .* `nodes: 1`"),
        ("cores_per_calculation: 9", r"line 3: `m.cores_per_calculation`: 9 cores are more than the 8 of a job"),
        ("launch: srun -n {procs}", r"line 3: `m.launch`: {procs} is unknown; only {cores} is replaced"),
        ("parallel_environment: smp", r"line 3: `m.parallel_environment`: slurm has none; that is Grid Engine's"),
        ("codes: {espreso: {}}", r"line 3: `m.codes`: unknown code espreso; did you mean espresso"),
        ("codes: {espresso: {comand: x}}", r"line 3: unknown key `m.codes.espresso.comand`; did you mean command"),
        ("memory_GB: 0", r"line 3: `m.memory_GB`: input should be greater than 0 \(found 0\)"),
        ("qos: [", "not valid YAML"),
    ],
)
def test_mistake_is_told_with_file_line_and_key(tmp_path, home, line, sentence):
    described = {"scheduler": "scheduler: slurm", "cores": "cores: 8"}
    described.pop(line.split(":")[0], None)
    text = (
        "m:\n  cores: 8\n  " + line + "\n" + "".join(f"  {rest}\n" for key, rest in described.items() if key != "cores")
    )
    with pytest.raises(InputError, match=sentence) as told:
        load(tmp_path, text, home)
    assert str(told.value).startswith(f"{tmp_path}/machines.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("9m: {scheduler: none, cores: 1}", "line 1: `9m`: a machine's name starts with a letter"),
        ("m: {scheduler: pbs, cores: 1, qos: high}", "`m.qos`: pbs has none; give its own directive in `options`"),
        ("m: {scheduler: pbs}", "line 1: the key `m.cores` is missing"),
        ("- m", "a list of `key: value` lines is expected"),
    ],
)
def test_other_mistakes(tmp_path, home, text, sentence):
    with pytest.raises(InputError, match=sentence):
        load(tmp_path, text, home)


@pytest.mark.parametrize(("text", "seconds"), [("00:01:30", 90), ("24:00:00", 86400), ("2-00:00:10", 172810)])
def test_durations(text, seconds):
    assert seconds_of(text) == seconds
    assert seconds_of(clock(seconds)) == seconds


# The configuration on a machine.


def test_codes_of_the_machine_come_first():
    config = Config(
        codes={
            "espresso": CodeConfig(command="/here/pw.x", launch="mpirun -n 2", pseudopotentials=Path("/here")),
            "elk": CodeConfig(command="/here/elk"),
        }
    )
    on = config_on(
        machine(
            cores_per_calculation=4,
            launch="srun --exact -n {cores}",
            codes={
                "espresso": {"command": "pw.x -nk {cores}"},
                "gpaw": {"launch": ""},
                "abinit": {"launch": "x {cores}"},
            },
        ),
        config,
    )
    assert on.code("espresso").command == ("pw.x", "-nk", "{cores}")
    assert on.code("espresso").launch == ("srun", "--exact", "-n", "4")
    assert on.code("espresso").pseudopotentials == Path("/here")
    assert on.code("elk") == CodeConfig(command="/here/elk", launch="srun --exact -n 4")
    assert on.code("abinit").launch == ("x", "4")
    assert on.code("gpaw").launch == ()
    assert on.code("emt").launch == ()
    assert on.workers == 2


def test_without_a_launch_the_configured_one_stays():
    config = Config(codes={"espresso": CodeConfig(launch="mpirun -n 2")})
    assert config_on(machine(), config).codes == config.codes


def test_jobs_find_what_their_submitter_sees_and_no_secret(tmp_path):
    environment = {
        "MEGABAR_DATABASE_URI": "mongodb://me:Secret99@host/",
        "MEGABAR_JOB_ID": "7",
        "MEGABAR_ESPRESSO_COMMAND": "/opt/pw.x",
        "MEGABAR_CONFIG": "config.yaml",
        "HOME": "/home/me",
    }
    found = job_environment(Machines(tmp_path / "machines.yaml"), Config(data=tmp_path / "data"), environment)
    assert found == {
        "MEGABAR_ESPRESSO_COMMAND": "/opt/pw.x",
        "MEGABAR_CONFIG": str(Path.cwd() / "config.yaml"),
        "MEGABAR_DATA": str(tmp_path / "data"),
        "MEGABAR_DATABASE_NAME": "megabar",
        "MEGABAR_MACHINES": str(tmp_path / "machines.yaml"),
    }


# What a check says.


def test_real_job_in_words():
    text = " ".join(
        sentences(
            machine(
                partition="compute",
                account="mine",
                memory_GB=64,
                cores_per_calculation=2,
                launch="srun --exact -n {cores}",
                wall_time="10:00:00",
            )
        )
    )
    assert (
        "A Slurm job on test has 8 cores and 64 GB of one node, in partition compute, for 10:00:00, charged to mine"
        in text
    )
    assert "At most 20 jobs are in the queue at once, up to 10 of them as one array." in text
    assert "4 calculations run at a time, each on 2 cores and about 16 GB, started with `srun --exact -n 2`." in text
    assert (
        "After 09:55:00, 300 s before the end (signal TERM, up to a minute earlier), calculations are stopped" in text
    )


@pytest.mark.parametrize(
    ("changes", "status", "key", "words"),
    [
        (
            {"cores_per_calculation": 3, "launch": "x {cores}"},
            "warning",
            "cores_per_calculation",
            "2 of 8 cores stay idle",
        ),
        ({"cores_per_calculation": 2}, "problem", "launch", "every code would run on 1 core, not 2"),
        ({"cores_per_calculation": 2, "launch": "mine"}, "problem", "launch", "would take all cores of the job"),
        ({"launch": "srun -n {cores}"}, "problem", "launch", "one srun waits for the other"),
        ({"launch": "mpirun -n {cores}"}, "warning", "launch", "pinned to the same cores"),
        ({"codes": {"espresso": {"launch": "srun -n 1"}}}, "problem", "codes.espresso.launch", "waits for the other"),
        (
            {"cores_per_calculation": 2, "launch": "x {cores}", "codes": {"gpaw": {"launch": ""}}},
            "warning",
            "codes.gpaw.launch",
            "gpaw uses 1 of the 2 cores",
        ),
        ({"scheduler": "sge"}, "problem", "parallel_environment", "gives a job one core, not 8"),
        ({"most_jobs": 2}, "warning", "jobs_per_array", "no array gets beyond"),
    ],
)
def test_remarks(changes, status, key, words):
    found = {
        each.key: each for each in remarks(machine(**changes), Config(database=DatabaseConfig(uri="mongodb://db/")), {})
    }
    assert found[key].status == status
    assert words in found[key].sentence


def test_single_code_without_launch_is_named():
    found = remarks(
        machine(cores_per_calculation=8, codes={"espresso": {}, "gpaw": {"launch": "mpirun -n 8"}}), Config(), {}
    )
    assert any(each.sentence.startswith("espresso would run on 1 core, not 8") for each in found)


def test_pinning_that_is_seen_to_is_not_remarked():
    for described in ({"launch": "mpirun --bind-to none -n {cores}"}, {"prepare": "export I_MPI_PIN=off"}):
        on = machine(**{"launch": "mpirun -n {cores}", **described})
        assert not [each for each in remarks(on, Config(), {}) if each.key == "launch"]


@pytest.mark.parametrize(
    ("config", "environment", "status", "words"),
    [
        (DatabaseConfig(), {}, "warning", "megabar's own database is reached from this computer only"),
        (DatabaseConfig(uri="mongodb://127.0.0.1:7/"), {}, "warning", "is another computer in a job on another node"),
        (
            DatabaseConfig(uri="mongodb://me:Secret99@db/"),
            {"MEGABAR_DATABASE_URI": "mongodb://me:Secret99@db/"},
            "problem",
            "MEGABAR_DATABASE_URI of this shell, which no job gets to see",
        ),
    ],
)
def test_database_that_jobs_do_not_reach(config, environment, status, words):
    (found,) = (each for each in remarks(machine(), Config(database=config), environment) if each.key == "database")
    assert found.status == status
    assert words in found.sentence
    assert "Secret99" not in found.sentence


def test_nothing_is_submitted_where_something_is_wrong(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = checked(machine(launch="srun -n {cores}"), Machines(), Config(data=tmp_path / "data"), 100.0)
    assert not result.ok
    assert result.trial is None
    assert result.json()["ok"] is False
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_check_of_this_computer_runs_a_script(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEGABAR_MACHINES", str(tmp_path / "machines.yaml"))
    machines = load(tmp_path, "here: {scheduler: none, cores: 2, codes: {emt: {}}}", {})
    here = machines.named("here")
    result = checked(here, machines, Config(data=tmp_path / "data"), 100.0)
    assert result.ok, result.trial
    assert result.trial.answer["codes"].keys() == {"emt"}
    assert result.trial.answer["seconds_left"] > 500
    broken = here.model_copy(update={"megabar": ("/no/such/megabar",)})
    result = checked(broken, machines, Config(data=tmp_path / "data"), 100.0)
    assert [each.sentence for each in result.remarks] == [
        "/no/such/megabar is not a program here; name the megabar command of the nodes"
    ]


def test_script_of_a_machine_without_scheduler_has_no_directives(tmp_path, monkeypatch):
    from megabar.launchers.machines.jobs import worker_job

    monkeypatch.chdir(tmp_path)  # jobs run in the working folder, whose path schedulers must take
    here = Machine(name="here", scheduler="none", cores=2)
    text = job_script(worker_job(here, Machines(), Config(data=tmp_path)))
    assert "\n#" not in text
    assert 'MEGABAR_JOB_ID="$$"' in text
