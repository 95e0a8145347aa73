"""A database that a group shares: on a real server with passwords, TLS and a replica set; and where secrets may be."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import pytest
import trustme
from ase import Atoms
from ase.build import bulk
from mongo_server import MongoServer, free_port, mongo_server
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from typer.testing import CliRunner

from megabar.launchers.cli import command as cli
from megabar.launchers.database import configured as mongo_uri
from megabar.launchers.database.admin import create_admin, create_user, remove_user
from megabar.launchers.database.check import check, check_text
from megabar.launchers.database.embedded import database, database_session, stop_database
from megabar.launchers.database.mongod_binary import find_mongod
from megabar.launchers.database.sharing import (
    check_may_change,
    check_may_replan,
    current_user,
    may_change,
    refusal,
    system_user,
)
from megabar.launchers.database.uri_parts import for_user, with_hosts, with_options
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config, DatabaseConfig, load_config
from megabar.workflows.secrecy import has_password, hidden, user_of, with_absolute_files
from megabar.workflows.store import ResultStore, StudyRecord

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
STUDY_YAML = """\
kind: stability
system: Cu-Au
pressures: {from: 0, to: 20, step: 10}
phases: [Cu-fcc.cif, Au-fcc.cif, Cu3Au-L12.cif]
method: {code: emt}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("server")) as found:
        create_admin(found.uri, "boss", found.host, found.folder / "boss.uri")
        yield found


@pytest.fixture(scope="module")
def members(server: MongoServer) -> dict[str, str]:
    """Addresses: alice and bob (who only reads) of workspace iron, carol of workspace ice."""
    boss = address(server.folder / "boss.uri")
    found = {"boss": boss}
    for name, workspace, read_only in (("alice", "iron", False), ("bob", "iron", True), ("carol", "ice", False)):
        create_user(boss, name, workspace, read_only, server.folder / f"{name}.uri")
        found[name] = address(server.folder / f"{name}.uri")
    return found


def address(uri_file: Path) -> str:
    return with_absolute_files(uri_file.read_text().strip(), uri_file.parent)


def password_of(uri: str) -> str:
    return uri.partition("://")[2].partition("@")[0].partition(":")[2]


def configured(uri: str, workspace: str, folder: Path = Path("nowhere")) -> Config:
    return Config(data=folder, database=DatabaseConfig(uri=uri, name=workspace))


def project(folder: Path, server: MongoServer, user: str, workspace: str) -> Path:
    """Return a project folder with a study and a user's configuration."""
    folder.mkdir(exist_ok=True)
    bulk("Cu", "fcc", a=3.6).write(folder / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(folder / "Au-fcc.cif")
    corners = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    Atoms("AuCu3", cell=[3.75] * 3, scaled_positions=corners, pbc=True).write(folder / "Cu3Au-L12.cif")
    (folder / "cuau.yaml").write_text(STUDY_YAML)
    uri_file = server.folder / f"{user}.uri"
    (folder / "megabar.yaml").write_text(f"database: {{uri_file: {uri_file}, name: {workspace}}}\nworkers: 1\n")
    return folder


def megabar(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEGABAR_D")}
    return subprocess.run(
        [*MEGABAR, *arguments],
        cwd=folder,
        env={**environment, **variables},
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )


# Users and what the server lets them do.


@pytest.mark.slow
def test_files_of_users_are_theirs_alone(server: MongoServer, members: dict[str, str]) -> None:
    for name, uri in members.items():
        path = server.folder / f"{name}.uri"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert user_of(uri) == name
        assert len(password_of(uri)) >= 32
        assert f"tlsCAFile={name}.ca.pem" in path.read_text()
        assert "replicaSet=group" in uri
    assert len({password_of(uri) for uri in members.values()}) == len(members)
    with pytest.raises(InputError, match="is there already"):
        create_user(members["boss"], "dave", "iron", False, server.folder / "alice.uri")
    with MongoClient(members["boss"]) as client:
        assert not client.admin.command("usersInfo", "dave")["users"]


@pytest.mark.slow
def test_the_server_keeps_workspaces_apart(server: MongoServer, members: dict[str, str]) -> None:
    with MongoClient(members["alice"]) as alice:
        for name in ("iron", "iron_fireworks"):
            alice[name]["calculations"].insert_one({"by": "alice"})
    with MongoClient(members["bob"]) as bob:
        assert bob["iron"]["calculations"].find_one()["by"] == "alice"
        assert bob["iron_fireworks"]["calculations"].find_one()["by"] == "alice"
        for name in ("iron", "iron_fireworks"):
            for change in (
                lambda found: found.insert_one({}),
                lambda found: found.delete_many({}),
                lambda found: found.update_one({}, {"$set": {"by": "bob"}}),
                lambda found: found.drop(),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    change(bob[name]["calculations"])
    with MongoClient(members["carol"]) as carol:
        for name in ("iron", "iron_fireworks"):
            for read in (
                lambda found: found.find_one(),
                lambda found: found.count_documents({}),
                lambda found: found.insert_one({}),
                lambda found: found.aggregate([{"$out": {"db": "ice", "coll": "stolen"}}]),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    read(carol[name]["calculations"])
        assert not {"iron", "iron_fireworks"} & set(carol.list_database_names())
        for forbidden in ("usersInfo", "createUser", "grantRolesToUser"):
            arguments = {"roles": ["root"]} if forbidden == "grantRolesToUser" else {}
            if forbidden == "createUser":
                arguments = {"pwd": "x", "roles": []}
            with pytest.raises(OperationFailure, match="not authorized"):
                carol.admin.command(forbidden, "alice" if forbidden == "usersInfo" else "carol", **arguments)
    with pytest.raises(SetupError) as error:
        database(configured(members["carol"], "iron"))
    assert "carol has no rights in the workspace 'iron' (workspaces of this user: ice)" in str(error.value)
    with MongoClient(members["boss"]) as boss:
        for name in ("iron", "iron_fireworks"):
            boss.drop_database(name)


@pytest.mark.slow
def test_check_says_who_one_is(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    found = check(configured(members["bob"], "iron"))
    assert (found["user"], found["workspace"], found["may_read"], found["may_write"]) == ("bob", "iron", True, False)
    assert found["tls"] and found["tls_verified"] and found["retryable_writes"]
    assert found["replica_set"] == "group"
    assert 0 < found["latency_ms"] < 1000
    assert "you may         read\n" in check_text(found)
    assert check(configured(members["alice"], "iron"))["may_write"]
    folder = project(tmp_path / "p", server, "alice", "iron")
    done = megabar(folder, "database", "check", "--json")
    assert json.loads(done.stdout)["user"] == "alice"
    assert password_of(members["alice"]) not in done.stdout + done.stderr
    careless = members["alice"] + "&tlsAllowInvalidCertificates=true"
    assert check(configured(careless, "iron"))["tls_verified"] is False


@pytest.mark.slow
def test_check_of_the_embedded_database(tmp_path: Path) -> None:
    config = Config(data=tmp_path / "data")
    found = check(config)
    assert (found["database"], found["may_write"], found["retryable_writes"]) == ("megabar's own", True, True)
    with database_session(config) as own, MongoClient(own.uri) as client:
        assert current_user(config, client) == system_user()
    assert stop_database(config)


@pytest.mark.slow
def test_a_user_in_two_workspaces_and_in_none(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    boss = members["boss"]
    made = create_user(boss, "erin", "iron", False, tmp_path / "erin.uri")
    uri = address(tmp_path / "erin.uri")
    assert made.uri_file == tmp_path / "erin.uri"
    again = create_user(boss, "erin", "ice", True, tmp_path / "other.uri")
    assert again.uri_file is None and not (tmp_path / "other.uri").exists()
    found = check(configured(uri, "ice"))
    assert (found["may_read"], found["may_write"], found["other_workspaces"]) == (True, False, ["iron"])
    create_user(boss, "erin", "iron", True, tmp_path / "other.uri")
    assert not check(configured(uri, "iron"))["may_write"]

    create_user(boss, "erin", "iron", False, tmp_path / "new.uri", new_password=True)
    with pytest.raises(SetupError, match="refused the user or the password"):
        database(configured(uri, "iron"))
    uri = address(tmp_path / "new.uri")
    assert check(configured(uri, "iron"))["may_write"]

    assert not remove_user(boss, "erin", "iron")
    with pytest.raises(SetupError, match="erin has no rights in the workspace 'iron'"):
        database(configured(uri, "iron"))
    with pytest.raises(InputError, match="has no rights in the workspace 'iron'"):
        remove_user(boss, "erin", "iron")
    assert remove_user(boss, "erin", "ice")
    with pytest.raises(InputError, match="there is no database user erin"):
        remove_user(boss, "erin", "ice")


@pytest.mark.slow
def test_only_an_administrator_makes_users(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="the database user alice may not change users"):
        create_user(members["alice"], "mallory", "iron", False, tmp_path / "mallory.uri")
    with pytest.raises(SetupError, match="refused the user or the password"):
        create_user(members["boss"].replace("boss:", "boss:x"), "mallory", "iron", False, tmp_path / "mallory.uri")
    with pytest.raises(SetupError, match="has users already"):
        create_admin(server.uri, "mallory", None, tmp_path / "mallory.uri")
    assert not (tmp_path / "mallory.uri").exists()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "$x"])
def test_impossible_user_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be a user's name"):
        create_user("mongodb://h/", name, "iron", False, tmp_path / "x.uri")


@pytest.mark.parametrize("name", ["", "admin", "local", "iron_fireworks", "Iron_FIREWORKS", "a.b", "1st", "x" * 51])
def test_impossible_workspaces(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be a workspace's name"):
        create_user("mongodb://h/", "alice", name, False, tmp_path / "x.uri")


@pytest.mark.slow
def test_passwords_are_printed_only_when_asked(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "admin"
    folder.mkdir()
    boss = {"MEGABAR_ADMIN_URI": members["boss"]}
    done = megabar(folder, "database", "create-user", "frank", "--workspace", "iron", **boss)
    assert done.returncode == 0, done.stderr
    secret = password_of((folder / "frank.uri").read_text())
    assert secret not in done.stdout + done.stderr
    assert "database: {uri_file: frank.uri, name: iron}" in done.stdout
    arguments = ("create-user", "frank", "--workspace", "iron", "--new-password", "--to", "2.uri", "--show")
    shown = megabar(folder, "database", *arguments, "--admin-uri-file", str(server.folder / "boss.uri"))
    assert shown.returncode == 0, shown.stderr
    assert password_of((folder / "2.uri").read_text()) in shown.stdout
    nobody = megabar(folder, "database", "create-user", "x", "--workspace", "iron")
    assert nobody.returncode == 2
    assert "there is no shared database" in nobody.stderr
    gone = megabar(folder, "database", "remove-user", "frank", "--workspace", "iron", **boss)
    assert "is removed" in gone.stdout


# What can be wrong between a user and the server.


@pytest.mark.slow
def test_what_is_wrong_is_told(
    server: MongoServer, members: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mongo_uri, "REACH_TIMEOUT_S", 1.5)
    alice = members["alice"]
    secret = password_of(alice)
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    authority = f"tlsCAFile={server.folder / 'alice.ca.pem'}"
    assert authority in alice
    cases = {
        alice.replace(secret, "Wrong99"): "refused the user or the password",
        alice.replace("alice:", "alicia:"): "refused the user or the password",
        alice.replace(f"alice:{secret}@", ""): "refused the user or the password",
        alice.replace(str(server.port), str(free_port())): "does not answer within",
        alice.replace(authority, f"tlsCAFile={stranger}"): "is not to be trusted",
        alice.replace(f"&{authority}", ""): "is not to be trusted",
        alice.replace("@localhost", "@127.0.0.1"): "IP address mismatch",
        alice.replace(authority, "tlsCAFile=/no/ca.pem"): "/no/ca.pem, which the database URI",
        alice.replace(authority, f"tlsCAFile={server.folder / 'key'}"): "which the database URI",
        alice.replace(f"tls=true&{authority}&", ""): "tls=true where the server wants TLS",
        alice.replace("mongodb://", "mysql://"): "is no MongoDB address",
    }
    for uri, expected in cases.items():
        assert uri != alice, expected
        with pytest.raises(SetupError, match=expected) as error:
            database(configured(uri, "iron"))
        said = str(error.value)
        assert "\n" not in said
        assert secret not in said and "Wrong99" not in said
    database(configured(alice, "iron"))


@pytest.mark.slow
def test_a_reader_reads_and_cannot_run(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    writer = project(tmp_path / "alice", server, "alice", "iron")
    assert megabar(writer, "run", "cuau.yaml").returncode == 0
    reader = project(tmp_path / "bob", server, "bob", "iron")
    hull = megabar(reader, "hull", "cuau", "--json")
    assert hull.stdout == megabar(writer, "hull", "cuau", "--json").stdout
    assert megabar(reader, "export", "cuau", "--to", "iron.zip").returncode == 0
    before = contents(members["boss"], "iron")
    (reader / "more.yaml").write_text(STUDY_YAML.replace("to: 20", "to: 60"))
    for arguments in (("run", "cuau.yaml"), ("run", "more.yaml"), ("import", "iron.zip")):
        done = megabar(reader, *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert "the database user bob may read the workspace 'iron' but not change it" in done.stderr
        assert "Traceback" not in done.stderr and done.stderr.strip().count("\n") == 0
    assert contents(members["boss"], "iron") == before
    [study] = [each for each in before["iron.studies"] if each["name"] == "cuau"]
    assert study["owner"] == "alice"

    # Nor does another member replan her study: here, by what seems to be another version of the code.
    create_user(members["boss"], "dora", "iron", False, server.folder / "dora.uri")
    with MongoClient(members["boss"]) as boss:
        boss["iron"].studies.update_one({"_id": study["_id"]}, {"$set": {"resolved.method.version": "ASE 1.0"}})
    before = contents(members["boss"], "iron")
    done = megabar(project(tmp_path / "dora", server, "dora", "iron"), "run", "cuau.yaml")
    assert done.returncode == 2
    assert "is alice's and was planned otherwise" in done.stderr
    assert contents(members["boss"], "iron") == before


def contents(uri: str, workspace: str) -> dict[str, list[dict[str, object]]]:
    with MongoClient(uri) as client:
        return {
            f"{name}.{collection}": list(client[name][collection].find().sort("_id"))
            for name in (workspace, f"{workspace}_fireworks")
            for collection in client[name].list_collection_names()
        }


# Secrets.


@pytest.mark.slow
def test_a_password_is_nowhere_but_in_its_file(server: MongoServer, members: dict[str, str], tmp_path: Path) -> None:
    folder = project(tmp_path / "carol", server, "carol", "ice")
    secret = password_of(members["carol"]).encode()
    seen: set[str] = set()
    looked = [0]
    done = threading.Event()

    def look() -> None:
        """Look through the command lines and environments of all processes that may be looked at."""
        own = str(os.getpid())
        while not done.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ") if process.name != own else ():
                    try:
                        text = (process / name).read_bytes()
                    except OSError:
                        continue
                    looked[0] += b"megabar" in text
                    if secret in text:
                        seen.add(f"{name}: {text[:300]!r}")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        run = megabar(folder, "run", "cuau.yaml", "--json")
        export = megabar(folder, "export", "cuau", "--to", "out.zip")
    finally:
        done.set()
        watcher.join()
    assert run.returncode == 0, run.stderr
    assert export.returncode == 0
    assert json.loads(run.stdout)["calculations_run"] > 5
    assert looked[0] > 10
    assert not seen
    for text in (run.stdout, run.stderr, export.stdout, repr(contents(members["boss"], "ice"))):
        assert secret.decode() not in text and "mongodb://" not in text
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if secret in path.read_bytes()] == []
    assert secret not in (server.folder / "mongod.log").read_bytes()


def test_codes_do_not_inherit_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multiprocessing import get_context

    from megabar.workflows import isolation

    monkeypatch.setenv("MEGABAR_DATABASE_URI", "mongodb://me:Secret99@h/")
    monkeypatch.setattr(isolation, "execute", _say_environment)
    child = get_context("fork").Process(target=isolation._child, args=(str(tmp_path), "{}"))
    child.start()
    child.join()
    said = (tmp_path / "environment").read_text()
    assert "PATH=" in said
    assert "Secret99" not in said


def _say_environment(folder: Path, config: Config) -> None:
    (folder / "environment").write_text(subprocess.run(["env"], capture_output=True, text=True, check=True).stdout)


def test_addresses_in_texts_are_hidden() -> None:
    cases = {
        "no address": "no address",
        "at mongodb://me:Secret99@h:1/W?tls=true now": "at mongodb://***@h:1 now",
        "'mongodb://me:Secret99@'": "'mongodb://***@",
        "mongodb://a:Secret99@h:port/": "mongodb://***@h",
        "mongodb://a:Secret99": "mongodb://a",
        "mongodb+srv://u:Se/cre@t99@h1,h2:2/W?x=Secret99": "mongodb+srv://***@h1,h2:2",
    }
    for text, expected in cases.items():
        assert hidden(text) == expected


def test_configurations_do_not_show_their_secret() -> None:
    config = configured("mongodb://me:Secret99@h/", "iron")
    assert "Secret99" not in repr(config) + str(config)
    with pytest.raises(ValueError, match="database") as error:
        Config.model_validate_json(config.model_dump_json().replace('"name":"iron"', '"name":7'))
    assert "Secret99" not in str(error.value)
    store = ResultStore(
        MongoClient("mongodb://me:Secret99@h/?tlsCertificateKeyFilePassword=Secret99", connect=False), "x"
    )
    assert "Secret99" not in repr(store)
    store.close()
    assert has_password("mongodb://a:b@h/") and not has_password("mongodb://a@h/") and not has_password("mongodb://h/")


@pytest.mark.parametrize(
    "text",
    [
        "database: mongodb://me:Secret99@h/\n",
        "database: {uri: mongodb://me:Secret99@h/, nam: x}\n",
        "database: {uri: [mongodb://me:Secret99@h/]}\n",
        "database: {uri: mongodb://me:Secret99@h/: x}\n",
        "data: *mongodb://me:Secret99@h/\n",
    ],
)
def test_mistakes_in_the_configuration_do_not_show_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "megabar.yaml").write_text(text)
    (tmp_path / "megabar.yaml").chmod(0o600)
    with pytest.raises(InputError, match=r"megabar.yaml, line 1") as error:
        load_config(tmp_path, {})
    assert "Secret99" not in str(error.value)


def test_a_failure_of_ours_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("cannot use mongodb://me:Secret99@h:5/W")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "mongodb://***@h:5" in said
    details = Path(said.strip().rpartition("details in ")[2])
    assert "Secret99" not in details.read_text() + said
    assert stat.S_IMODE(details.stat().st_mode) == 0o600
    details.unlink()


# Files with addresses.


def uri_file(folder: Path, text: str = "mongodb://me:Secret99@h/?tls=true&tlsCAFile=ca.pem", mode: int = 0o600) -> Path:
    path = folder / "db.uri"
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def test_the_address_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "megabar.yaml").write_text("database: {uri_file: db.uri, name: iron}\n")
    uri_file(tmp_path)
    (tmp_path / "below").mkdir()
    config = load_config(tmp_path / "below", {})
    assert config.database.uri == f"mongodb://me:Secret99@h/?tls=true&tlsCAFile={tmp_path}/ca.pem"
    assert config.database.name == "iron"
    assert Config.model_validate_json(config.model_dump_json()).database.uri == config.database.uri
    by_variable = load_config(tmp_path / "below", {"MEGABAR_DATABASE_URI_FILE": str(tmp_path / "db.uri")})
    assert by_variable.database.uri == config.database.uri
    first = load_config(tmp_path, {"MEGABAR_DATABASE_URI": "mongodb://other/", "MEGABAR_DATABASE_NAME": "n"})
    assert (first.database.uri, first.database.name) == ("mongodb://other/", "n")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "megabar.yaml").write_text("database: {uri_file: db.uri}\n")
    uri_file(tmp_path, mode=mode)
    with pytest.raises(
        InputError, match=r"db.uri holds a password and others may read it; `chmod 600 .*db.uri`"
    ) as error:
        load_config(tmp_path, {})
    assert "Secret99" not in str(error.value)
    (tmp_path / "megabar.yaml").write_text("database: {uri: 'mongodb://me:Secret99@h/'}\n")
    (tmp_path / "megabar.yaml").chmod(mode)
    with pytest.raises(InputError, match=r"megabar.yaml: `database.uri` holds a password.*uri_file"):
        load_config(tmp_path, {})
    (tmp_path / "megabar.yaml").write_text("database: {uri: 'mongodb://h/'}\n")
    assert load_config(tmp_path, {}).database.uri == "mongodb://h/"


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "megabar.yaml").write_text("database: {uri_file: db.uri}\n")
    with pytest.raises(InputError, match=r"`database.uri_file` names .*db.uri, which is not there"):
        load_config(tmp_path, {})
    (tmp_path / "db.uri").mkdir()
    with pytest.raises(InputError, match=r"names .*db.uri, which is not a file"):
        load_config(tmp_path, {})
    (tmp_path / "db.uri").rmdir()
    for text in ("", "user: me\npassword: Secret99", "mongodb://a/ Secret99"):
        uri_file(tmp_path, text)
        with pytest.raises(InputError, match="should hold one database address") as error:
            load_config(tmp_path, {})
        assert "Secret99" not in str(error.value)
    (tmp_path / "megabar.yaml").write_text("database: {uri_file: db.uri, uri: 'mongodb://h/'}\n")
    with pytest.raises(InputError, match="not both"):
        load_config(tmp_path, {})
    with pytest.raises(InputError, match="MEGABAR_DATABASE_URI_FILE names"):
        load_config(tmp_path, {"MEGABAR_DATABASE_URI_FILE": "none"})


def test_addresses_are_taken_apart_and_put_together() -> None:
    boss = "mongodb://boss:p%40w@a:1,b:2/admin?replicaSet=r&tls=true&tlsCAFile=/x/ca.pem&authSource=admin&appName=x"
    own = for_user(boss, "al ice", "s/cret", "alice.ca.pem")
    assert own == ("mongodb://al+ice:s%2Fcret@a:1,b:2/?replicaSet=r&tls=true&tlsCAFile=alice.ca.pem&authSource=admin")
    assert for_user("mongodb://h", "a", "b") == "mongodb://a:b@h/?authSource=admin"
    assert with_options("mongodb://h", {"w": "1"}) == "mongodb://h/?w=1"
    assert with_options("mongodb://u:p@h/W?W=2&x=1", {"w": "1"}) == "mongodb://u:p@h/W?x=1&w=1"
    assert with_hosts("mongodb://u:p@h:1/W?x=1", "i:2") == "mongodb://u:p@i:2/W?x=1"


# Whose studies.


def test_who_may_change_a_study() -> None:
    study = StudyRecord(identifier="s-1", name="s", kind="stability", definition={}, resolved={}, owner="alice")
    nobodys = study.model_copy(update={"owner": ""})
    assert may_change(study, "alice") and may_change(nobodys, "bob") and not may_change(study, "bob")
    check_may_change(study, "alice")
    check_may_change(study, "bob", force=True)
    with pytest.raises(InputError, match="the study s-1 is alice's, and you are bob; with --force"):
        check_may_change(study, "bob")
    check_may_replan(study, "alice")
    with pytest.raises(InputError, match="is alice's and was planned otherwise"):
        check_may_replan(study, "bob")


def test_refusals_are_told_from_outages() -> None:
    config = configured("mongodb://bob:Secret99@h/", "iron")
    refused = refusal(OperationFailure("not authorized on iron", 13), config)
    assert refused is not None and "bob may read the workspace 'iron' but not change it" in refused
    assert refusal(OperationFailure("x", 11600), config) is None
    assert refusal(OperationFailure("x", 13), Config()) is None


def test_commands_are_there() -> None:
    said = CliRunner().invoke(cli.app, ["database", "--help"])
    assert said.exit_code == 0
    assert {"check", "create-user", "create-admin", "remove-user"} <= set(said.stdout.split())


# The documentation.


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which the documentation uses, is not here")
def test_the_commands_of_the_documentation_work(tmp_path: Path) -> None:
    """Copy and paste, with another port and host name, by a user whose home is empty."""
    text = (Path(__file__).parent.parent / "docs" / "database.md").read_text(encoding="utf-8")
    section = text.partition("## A server for a group")[2].partition("\n## ")[0]
    script = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    port = str(free_port())
    assert script.count("27017") == 3 and "$(hostname -f)" in script
    script = (
        script.replace("27017", port).replace("$(hostname -f)", "localhost").replace("'localhost,$HOST'", "localhost")
    )
    mongod = find_mongod("", tmp_path / "lib")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mongod").symlink_to(mongod.path)
    (programs / "megabar").write_text(f'#!/bin/sh\nexec {quote(sys.executable)} -m megabar.launchers.cli "$@"\n')
    (programs / "megabar").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEGABAR", "XDG"))}
    environment = {**kept, "HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}", **mongod.environment}
    try:
        done = subprocess.run(
            ["bash", "-eu", "-c", script], env=environment, cwd=tmp_path, text=True, capture_output=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith(("user", "TLS")))
        assert found == {"user": "alice", "TLS": "yes"}
        assert "read and write" in done.stdout
    finally:
        lock = tmp_path / "megabar-database" / "data" / "mongod.lock"
        if lock.exists() and lock.read_text().strip():
            os.kill(int(lock.read_text()), signal.SIGKILL)
