"""The doctor: tells what is there and what is missing, on this machine and on machines that lack things."""

import json
import os
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import pytest

from megabar.launchers.cli.printing import findings_table, show
from megabar.launchers.database.mongod_binary import HOW_TO_GET
from megabar.launchers.setup import doctor
from megabar.launchers.setup.doctor import Finding, diagnose
from megabar.structures.errors import SetupError
from megabar.workflows.codes import registry
from megabar.workflows.codes.interface import Installation
from megabar.workflows.config import CodeConfig, Config, DatabaseConfig
from megabar.workflows.paw.generate import gpaw_version


class Code:
    """An adapter that is installed, or is not."""

    def __init__(self, found):
        self.found = found

    def installation(self, config):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture(autouse=True)
def codes(monkeypatch):
    monkeypatch.setattr(
        registry,
        "CODES",
        {
            "espresso": Code(Installation("espresso", "7.4", ("mpirun", "pw.x"))),
            "abinit": Code(SetupError("abinit is not on PATH")),
        },
    )


def parts(config):
    return {finding.part: finding for finding in diagnose(config)}


def test_every_part_is_looked_at_and_nothing_is_changed(tmp_path):
    config = Config(data=tmp_path / "data")
    findings = diagnose(config)
    found = {finding.part: finding for finding in findings}
    assert len(found) == len(findings)
    for part in ("python", "megabar", "numpy", "pymatgen", "database", "cores", "memory", "data folder", "machines"):
        assert found[part].status == "ok", found[part]
    assert found["database"].version[0].isdigit()
    assert found["code espresso"].version == "7.4"
    assert found["code espresso"].detail == "mpirun pw.x"
    assert found["code abinit"].status == "missing"
    assert "abinit is not on PATH" in found["code abinit"].detail
    assert "setup" in found["code abinit"].how_to_get
    assert all(finding.how_to_get for finding in findings if finding.status != "ok")
    assert json.loads(json.dumps([asdict(finding) for finding in findings]))[0]["part"] == "python"
    assert not config.data.exists()


@pytest.mark.slow
def test_code_is_really_found(monkeypatch, tmp_path):
    monkeypatch.undo()
    assert parts(Config(data=tmp_path))["code emt"].status == "ok"


def test_missing_package(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_requirements", lambda: ["megabar", "no-such-package"])
    found = parts(Config(data=tmp_path))
    assert found["no-such-package"].status == "missing"
    assert "python3 launchers setup" in found["no-such-package"].how_to_get


def test_database_that_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setenv("MEGABAR_MONGOD", str(tmp_path / "mongod"))
    found = parts(Config(data=tmp_path))["database"]
    assert found.status == "missing"
    assert "which is not a program" in found.detail
    assert "MEGABAR_DATABASE_URI" in found.how_to_get


def test_a_mongod_that_the_pycurl_wheel_lets_run_is_there(monkeypatch, tmp_path):
    """As `megabar run` finds it, and again nothing is left behind."""
    library = tmp_path / "site" / "pycurl.libs" / "libcurl-0123abcd.so.4.8.0"
    library.parent.mkdir(parents=True)
    library.write_text("")
    needy = tmp_path / "mongod"
    needy.write_text(
        "#!/bin/sh\nIFS=:\nfor d in $LD_LIBRARY_PATH; do\n"
        "[ -e $d/libcurl.so.4 ] && { echo 'db version v7.0.1'; exit 0; }\ndone\necho 'libcurl.so.4: no' >&2; exit 127\n"
    )
    needy.chmod(0o755)
    monkeypatch.setenv("MEGABAR_MONGOD", str(needy))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    found = parts(Config(data=tmp_path / "data"))["database"]
    assert (found.status, found.version) == ("ok", "7.0.1")
    assert not (tmp_path / "data").exists()


def test_advice_is_shown_as_it_is(monkeypatch, capsys):
    """What looks like markup, as in `megabar[mongod]`, or like an emoji is text."""
    show(findings_table([Finding("database", "missing", "", "of [red]x[/red] :smile:", HOW_TO_GET)]))
    said = capsys.readouterr().out
    assert 'pip install "megabar[mongod]"' in said
    assert "[red]x[/red] :smile:" in said


def test_what_gpaw_needs_is_said_in_one_place(monkeypatch):
    """The set-up knows the packages; what is said elsewhere leads there."""

    def nothing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", nothing)
    with pytest.raises(SetupError) as error:
        gpaw_version()
    assert "`python3 launchers setup`" in str(error.value)
    assert "apt-get" not in str(error.value)


def test_configured_database_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setattr("megabar.launchers.database.configured.REACH_TIMEOUT_S", 0.2)
    config = Config(data=tmp_path, database=DatabaseConfig(uri="mongodb://me:Secret99@127.0.0.1:1/"))
    found = parts(config)["database"]
    assert found.status == "missing"
    assert "127.0.0.1:1 does not answer" in found.detail
    assert "Secret99" not in str(found)


def test_pseudopotential_folders(tmp_path):
    (tmp_path / "sssp").mkdir()
    (tmp_path / "sssp" / "Na.upf").write_text("")
    config = Config(data=tmp_path, codes={"espresso": CodeConfig(pseudopotentials=tmp_path / "sssp")})
    assert parts(config)["pseudopotentials of espresso"].detail.startswith("1 files in")
    config = Config(data=tmp_path, codes={"espresso": CodeConfig(pseudopotentials=tmp_path / "none")})
    assert parts(config)["pseudopotentials of espresso"].status == "missing"


def test_data_folder_that_cannot_be_written(tmp_path):
    if os.getuid() == 0:  # to root only the kernel's own folders are read-only
        folder = Path("/proc/self")
    else:
        folder = tmp_path
        folder.chmod(0o500)
    found = parts(Config(data=folder / "data"))["data folder"]
    assert found.status == "missing"
    assert "cannot be written" in found.detail
    assert "MEGABAR_DATA" in found.how_to_get


@pytest.mark.parametrize(("free", "status"), [(50_000_000, "missing"), (1_000_000_000, "warning"), (10**10, "ok")])
def test_free_space(monkeypatch, tmp_path, free, status):
    usage = doctor.shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = parts(Config(data=tmp_path))["data folder"]
    assert found.status == status
    assert f"{free / 1e9:.1f} GB free" in found.detail


def test_threads_are_warned_of(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert parts(Config(data=tmp_path))["threads"].status == "warning"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "threads" not in parts(Config(data=tmp_path))


def programs(folder, names, said):
    """Put programs on PATH alone that say something."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_schedulers_are_told_apart(monkeypatch, tmp_path):
    config = Config(data=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "studies run on this machine" in parts(config)["queue"].detail
    slurm = programs(tmp_path / "slurm", ("sbatch", "squeue", "scancel", "sinfo"), "slurm 23.11.4")
    monkeypatch.setenv("PATH", slurm)
    assert parts(config)["slurm"].version == "23.11.4"
    for folder, said, name, version in (
        ("pbs", "pbs_version = 22.05.11", "pbs", "22.05.11"),
        ("sge", "SGE 8.1.9", "sge", "8.1.9"),
    ):
        monkeypatch.setenv("PATH", programs(tmp_path / folder, ("qsub", "qstat", "qdel"), said))
        found = parts(config)
        assert found[name].version == version
        assert not {"pbs", "sge"} - {name} & set(found)


def test_machines_are_listed_and_mistakes_told(monkeypatch, tmp_path):
    (tmp_path / "machines.yaml").write_text("here: {scheduler: none, cores: 4}\n")
    monkeypatch.setenv("MEGABAR_MACHINES", str(tmp_path / "machines.yaml"))
    assert parts(Config(data=tmp_path))["machines"].detail.startswith("here (")
    (tmp_path / "machines.yaml").write_text("here: {scheduler: none, core: 4}\n")
    found = parts(Config(data=tmp_path))["machines"]
    assert found.status == "warning"
    assert "line 1: unknown key `here.core`; did you mean cores" in found.detail
