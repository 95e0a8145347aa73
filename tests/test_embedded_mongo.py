"""The embedded database, on a real mongod: started once, shared, back after every kind of death, gone when unused."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from megabar.launchers.database import configured as mongo_uri
from megabar.launchers.database import embedded as embedded_mongo
from megabar.launchers.database import mongod_setup
from megabar.launchers.database.configured import with_driver_options
from megabar.launchers.database.embedded import database, database_session, running, stop_database
from megabar.launchers.database.mongod_binary import find_mongod
from megabar.launchers.database.mongod_folder import MongodFolder, State, library_folder, socket_folder, try_lock
from megabar.structures.errors import SetupError
from megabar.workflows import places
from megabar.workflows.config import Config, DatabaseConfig

LINGER_S = 0.3


@pytest.fixture
def config(tmp_path):
    """A data folder of its own, its database stopped afterwards whatever happened."""
    chosen = Config(data=tmp_path / "data")
    yield chosen
    for process in servers(chosen) + supervisors(chosen):
        process.kill()


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """One database for the tests that leave it running."""
    chosen = Config(data=tmp_path_factory.mktemp("common") / "data")
    with database_session(chosen, LINGER_S) as address:
        yield chosen, address
    assert stop_database(chosen)


def processes(config, word):
    root = str(Path(os.path.realpath(config.data)) / "mongodb")
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if any(word in part for part in line) and any(part.startswith(root) for part in line):
            found.append(process)
    return found


def servers(config):
    return [p for p in processes(config, "--dbpath") if p.status() != psutil.STATUS_ZOMBIE]


def supervisors(config):
    return [
        p
        for p in processes(config, "megabar.launchers.database.mongod_supervisor")
        if p.status() != psutil.STATUS_ZOMBIE
    ]


def wait_until(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def documents(address):
    with MongoClient(address.uri) as client:
        return sorted(each["n"] for each in client[address.name]["things"].find())


def insert(address, numbers):
    with MongoClient(address.uri) as client:
        for n in numbers:
            client[address.name]["things"].insert_one({"n": n})


def in_process(code, config, **options):
    """Start Python code that finds `config` ready."""
    head = (
        "import os, sys, time\nfrom pathlib import Path\nfrom pymongo import MongoClient\n"
        "from megabar.workflows.config import Config\n"
        "from megabar.launchers.database.embedded import database, database_session\n"
        f"config = Config(data=Path({str(config.data)!r}))\n"
    )
    return subprocess.Popen([sys.executable, "-c", head + code], stdout=subprocess.PIPE, text=True, **options)


@pytest.mark.slow
def test_starts_keeps_data_and_stops_when_unused(config):
    with database_session(config, LINGER_S) as address:
        assert address.embedded
        assert address.name == "megabar"
        insert(address, [1, 2])
        assert running(config).version
        (server,) = servers(config)
    wait_until(lambda: not servers(config) and not supervisors(config))
    assert not psutil.pid_exists(server.pid) or server.status() == psutil.STATUS_ZOMBIE
    assert running(config) is None
    assert '"exitCode":0' in MongodFolder(config.data / "mongodb").log.read_text()
    with database_session(config, LINGER_S) as again:
        assert documents(again) == [1, 2]
    assert stop_database(config)


def test_only_its_owner_reaches_it(common):
    config, address = common
    root = config.data / "mongodb"
    password = (root / "password").read_text()
    assert root.stat().st_mode & 0o777 == 0o700
    for name in ("key", "password", "state.json", "mongod.log", "mongod.sock"):
        assert (root / name).stat().st_mode & 0o077 == 0, name
    secrets = [password, (root / "key").read_text()]
    for process in servers(config) + supervisors(config):
        assert not any(secret in " ".join(process.cmdline()) for secret in secrets)
        assert not [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert password not in repr(address)
    stranger = MongoClient(address.uri.replace(f"megabar:{password}@", ""))
    with stranger, pytest.raises(OperationFailure, match="requires authentication"):
        stranger["megabar"]["things"].find_one()


def test_writes_are_retryable_and_journaled(common):
    _, address = common
    with MongoClient(address.uri) as client:
        concern = client[address.name].write_concern.document
        assert concern == {"w": "majority", "j": True}
        assert client.options.retry_writes
        assert client.admin.command("hello")["setName"] == "megabar"
        with client.start_session() as session, session.start_transaction():  # standalone servers have none
            client[address.name]["things"].insert_one({"n": 0}, session=session)


@pytest.mark.slow
def test_two_processes_at_once_start_one_server(config):
    code = (
        "with database_session(config, 0.3) as address, MongoClient(address.uri) as client:\n"
        "    client[address.name].things.insert_one({'n': int(os.getpid())})\n"
        "    print('up', flush=True); sys.stdin.read()\n"
    )
    both = [in_process(code, config, stdin=subprocess.PIPE) for _ in range(2)]
    assert [each.stdout.readline() for each in both] == ["up\n", "up\n"]
    assert len(servers(config)) == len(supervisors(config)) == 1
    assert documents(database(config)) == sorted(each.pid for each in both)
    both[0].communicate("")
    time.sleep(4 * LINGER_S)  # longer than the linger: the other one still holds its lease
    assert len(servers(config)) == 1
    both[1].communicate("")
    wait_until(lambda: not servers(config))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "Data of Alice"])
def test_killed_server_is_back_with_every_acknowledged_write(config, tmp_path, name):
    config = config.model_copy(update={"data": tmp_path / name})
    code = (
        "with database_session(config, 0.3) as address, MongoClient(address.uri) as client:\n"
        "    for n in range(100000):\n"
        "        client[address.name].things.insert_one({'n': n}); print(n, flush=True)\n"
    )
    errors = config.data.parent / "errors"
    with errors.open("wb") as stream:
        writer = in_process(code, config, stderr=stream)
    acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
    for _ in range(2):
        (server,) = servers(config)
        server.kill()
        lines = [writer.stdout.readline() for _ in range(300)]  # the writer lives on
        assert "" not in lines, errors.read_text()
        acknowledged += [int(line) for line in lines]
    writer.kill()
    writer.communicate()
    assert set(acknowledged) <= set(documents(database(config)))


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["supervisor", "both"])
def test_killed_supervisor_is_replaced(config, victims):
    with database_session(config, LINGER_S) as address:
        insert(address, [1])
        (supervisor,), (server,) = supervisors(config), servers(config)
        supervisor.kill()
        if victims == "both":
            server.kill()
        wait_until(lambda: [p.pid for p in supervisors(config)] not in ([], [supervisor.pid]) and running(config))
        assert len(servers(config)) == 1
        assert (servers(config)[0].pid == server.pid) == (victims == "supervisor")  # a healthy server is left alone
        insert(address, [2])
        assert documents(address) == [1, 2]
    wait_until(lambda: not servers(config) and not supervisors(config))


@pytest.mark.slow
def test_everybody_killed_and_started_again(config):
    code = (
        "with database_session(config, 0.3) as address, MongoClient(address.uri) as client:\n"
        "    client[address.name].things.insert_one({'n': 7}); print('up', flush=True); time.sleep(60)\n"
    )
    user = in_process(code, config)
    assert user.stdout.readline() == "up\n"
    for process in (user, *supervisors(config), *servers(config)):
        process.kill()
    user.communicate()
    assert (config.data / "mongodb" / "mongod.sock").exists()  # left behind, as after a power cut
    assert documents(database(config, LINGER_S)) == [7]


@pytest.mark.slow
def test_user_killed_and_the_server_goes(config):
    user = in_process("with database_session(config, 0.3):\n    print('up', flush=True); time.sleep(60)\n", config)
    assert user.stdout.readline() == "up\n"
    user.kill()
    user.communicate()
    wait_until(lambda: not servers(config) and not supervisors(config))


@pytest.mark.slow
def test_interrupt_of_a_command_spares_the_server(config):
    user = in_process(
        "with database_session(config, 5):\n    print('up', flush=True); time.sleep(60)\n",
        config,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    assert user.stdout.readline() == "up\n"
    os.killpg(user.pid, signal.SIGINT)  # what the terminal does at Ctrl-C
    user.communicate()
    assert len(servers(config)) == 1
    assert stop_database(config)
    assert not servers(config)


def test_stop_spares_a_database_in_use(common, config):
    assert stop_database(config)  # nothing there: nothing to do
    assert not stop_database(common[0])
    assert running(common[0])


@pytest.mark.slow
def test_interrupted_first_setup_is_taken_up(config):
    user = in_process("database(config)", config)
    log = config.data / "mongodb" / "mongod.log"
    wait_until(lambda: log.exists() and servers(config))
    for process in (user, *supervisors(config), *servers(config)):
        process.kill()
    user.communicate()
    assert not MongodFolder(config.data / "mongodb").prepared.exists()
    address = database(config, LINGER_S)
    insert(address, [1])
    assert documents(address) == [1]


@pytest.mark.slow
def test_lost_password_is_made_anew(config):
    insert(database(config, LINGER_S), [1])
    assert stop_database(config)
    (config.data / "mongodb" / "password").unlink()
    assert documents(database(config, LINGER_S)) == [1]


@pytest.mark.slow
def test_long_path_has_its_socket_elsewhere(config, tmp_path):
    far = config.model_copy(update={"data": tmp_path / ("long" * 20) / ("path" * 20)})
    try:
        with database_session(far, LINGER_S) as address:
            insert(address, [1])
            place = Path(running(far).socket).parent
            assert place != far.data / "mongodb"
            assert place.stat().st_mode & 0o777 == 0o700
            assert documents(address) == [1]
        assert stop_database(far)
        assert not place.exists()
    finally:
        for process in servers(far) + supervisors(far):
            process.kill()


@pytest.fixture
def temporary(monkeypatch):
    """Two temporary folders, and no others; pytest's own have names too long for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        yield from _temporary(Path(base), monkeypatch)


def _temporary(base, monkeypatch):
    folders = [base / "1", base / "2"]
    for folder in folders:
        folder.mkdir()
    for name in (*places.VARIABLES, "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "OTHER_TEMPORARY", tuple(map(str, folders)))
    yield folders


@pytest.mark.parametrize("name", ["Upper", "with space", "a%b", "a+b", "a@b", "a,b", "a:b", "größe", "x" * 120, "a=b"])
def test_socket_lies_where_drivers_find_it(tmp_path, temporary, name):
    """Its path is the host's name of the replica set, which drivers write in small letters and split."""
    folder = MongodFolder(tmp_path / name)
    folder.root.mkdir()
    assert socket_folder(folder).parent == temporary[0]
    plain = MongodFolder(temporary[1] / "plain-0.x_y")
    plain.root.mkdir()
    assert socket_folder(plain) == plain.root


@pytest.mark.parametrize("name", ["a:b", "a;b", "$ORIGIN"])
def test_the_library_lies_where_the_loader_finds_it(tmp_path, temporary, name):
    folder = MongodFolder(tmp_path / name)
    folder.root.mkdir()
    assert library_folder(folder) == socket_folder(folder) / "lib"
    assert library_folder(MongodFolder(tmp_path / "Größe, neu")) == tmp_path / "Größe, neu" / "lib"


def test_short_socket_folder_of_somebody_else_is_not_used(tmp_path, temporary):
    folder = MongodFolder(tmp_path / ("x" * 120))
    folder.root.mkdir()
    short = socket_folder(folder)
    short.chmod(0o777)
    assert socket_folder(folder) == temporary[1] / short.name
    (temporary[1] / short.name).chmod(0o777)
    with pytest.raises(OSError, match="no folder is fit for its socket") as error:
        socket_folder(folder)
    assert f"{short} does not belong to this user alone" in str(error.value)
    assert "name one in TMPDIR" in str(error.value)
    told = embedded_mongo._did_not_start(folder, str(error.value))
    assert "name one in TMPDIR" in told
    assert "repair" not in told  # which would not help
    assert "repair" in embedded_mongo._did_not_start(folder, "the key is too short")


def test_socket_stays_where_it_was_though_the_next_command_has_another_tmpdir(tmp_path, temporary, monkeypatch):
    folder = MongodFolder(tmp_path / "Upper")
    folder.root.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary[1]))
    chosen = socket_folder(folder)
    assert chosen.parent == temporary[1]
    folder.write_state(State("ready", folder.name, os.uname().nodename, 1, str(chosen / "mongod.sock")))
    monkeypatch.setenv("TMPDIR", str(temporary[0]))
    assert socket_folder(folder) == chosen  # where those look for it who had it before
    folder.write_state(State("ready", folder.name, "another host", 1, str(chosen / "mongod.sock")))
    assert socket_folder(folder).parent == temporary[0]


@pytest.mark.slow
def test_moved_and_copied_folders_have_their_own_server(config, tmp_path):
    insert(database(config, LINGER_S), [1])
    assert stop_database(config)
    moved = config.model_copy(update={"data": tmp_path / "moved"})
    shutil.copytree(config.data, moved.data)
    try:
        with database_session(config, LINGER_S) as original, database_session(moved, LINGER_S) as other:
            insert(other, [2])
            assert documents(original) == [1]
            assert documents(other) == [1, 2]
    finally:
        for process in servers(moved) + supervisors(moved):
            process.kill()


@pytest.mark.slow
def test_deleted_folder_takes_its_server_along(config):
    database(config, 60)
    assert servers(config)
    shutil.rmtree(config.data)
    wait_until(lambda: not servers(config) and not supervisors(config))


@pytest.mark.slow
def test_state_of_a_dead_database_is_not_believed(config):
    database(config, LINGER_S)
    for process in supervisors(config) + servers(config):
        process.kill()
    wait_until(lambda: not servers(config))
    assert MongodFolder(config.data / "mongodb").state().status == "ready"
    assert running(config) is None


def test_a_database_of_another_machine_is_named(config):
    folder = MongodFolder(config.data / "mongodb")
    folder.root.mkdir(parents=True)
    lock = try_lock(folder.supervisor_lock)  # as seen through a network file system
    try:
        folder.write_state(folder.state().__class__("ready", str(folder.root), "node17", 1, "/nowhere/mongod.sock"))
        with pytest.raises(SetupError, match="runs on node17, and an embedded database serves one machine only"):
            database(config)
    finally:
        os.close(lock)


# What cannot work is said in one sentence.


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_data_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"data folder .*file/data cannot be written \(not a directory\)") as error:
        database(Config(data=tmp_path / "file" / "data"))
    assert "MEGABAR_DATA" in one_sentence(error)


def test_read_only_data_folder(tmp_path):
    if os.getuid() == 0:  # to root no folder of a disk is read-only: take one of the kernel's
        folder = Path("/proc/self")
    else:
        folder = tmp_path
        folder.chmod(0o500)
    with pytest.raises(SetupError, match="cannot be written"):
        database(Config(data=folder / "data"))


def test_full_disk(config, monkeypatch):
    full = shutil.disk_usage(config.data.parent)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(SetupError, match=r"only 5 MB are free where the data folder .* lies"):
        database(config)
    assert not servers(config)


def test_outage_in_mid_work_is_explained(config, monkeypatch):
    assert "is gone" in embedded_mongo.explain_outage(config)
    folder = MongodFolder(config.data / "mongodb")
    folder.root.mkdir(parents=True)
    folder.write_state(folder.state().__class__("failed", str(folder.root), message="mongod ended 5 times"))
    assert "does not answer any more (mongod ended 5 times); its log is" in embedded_mongo.explain_outage(config)
    full = shutil.disk_usage(config.data)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "only 5 MB are free" in embedded_mongo.explain_outage(config)
    external = Config(database=DatabaseConfig(uri="mongodb://me:Secret99@h:1/"))
    assert embedded_mongo.explain_outage(external) == "the database at h:1 does not answer any more"


@pytest.mark.slow
def test_server_that_cannot_start_is_quoted(config):
    database(config, LINGER_S)
    assert stop_database(config)
    (config.data / "mongodb" / "data" / "WiredTiger.turtle").write_text("rubbish")
    (config.data / "mongodb" / "data" / "WiredTiger.wt").write_text("rubbish")
    with pytest.raises(SetupError, match=r"did not start \(.+\); its log is .*mongod.log") as error:
        database(config)
    one_sentence(error)
    assert not supervisors(config)


def test_no_binary(config, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("megabar.launchers.database.mongod_binary.COMMON_PLACES", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MEGABAR_MONGOD", raising=False)
    with pytest.raises(SetupError, match=r"no usable mongod was found.*MEGABAR_DATABASE_URI"):
        database(config)
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'db version v3.6.8'\n")
    broken.chmod(0o755)
    with pytest.raises(SetupError, match=r"mongod is version 3.6, at least 5.0 is needed"):
        database(config)
    broken.write_text("#!/bin/sh\necho 'libfrob.so.1: cannot open shared object file' >&2; exit 127\n")
    with pytest.raises(SetupError, match=r"mongod does not run \(libfrob.so.1: cannot open"):
        database(config)
    broken.write_text("#!/bin/sh\necho 'libcurl.so.4: cannot open shared object file' >&2; exit 127\n")
    with pytest.raises(SetupError, match=r"needs libcurl .*apt-get install libcurl4"):
        database(config)


def test_libcurl_of_the_pycurl_wheel_serves(monkeypatch, tmp_path):
    library = tmp_path / "site" / "pycurl.libs" / "libcurl-0123abcd.so.4.8.0"
    library.parent.mkdir(parents=True)
    library.write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    needy = tmp_path / "mongod"
    needy.write_text(
        "#!/bin/sh\nIFS=:\nfor d in $LD_LIBRARY_PATH; do\n"
        "[ -e $d/libcurl.so.4 ] && { echo 'db version v7.0.1'; exit 0; }\ndone\necho 'libcurl.so.4: no' >&2; exit 127\n"
    )
    needy.chmod(0o755)
    found = find_mongod("", tmp_path / "lib", {"MEGABAR_MONGOD": str(needy), "PATH": ""})
    assert found.version == "7.0.1"
    assert (tmp_path / "lib" / "libcurl.so.4").resolve() == library


@pytest.mark.slow
def test_named_binary_is_the_one(config, monkeypatch, tmp_path):
    real = find_mongod(environment={"PATH": os.environ["PATH"]}).path
    (tmp_path / "mine").symlink_to(real)
    monkeypatch.setenv("MEGABAR_MONGOD", str(tmp_path / "mine"))
    with database_session(config, LINGER_S):
        assert running(config).binary == str(tmp_path / "mine")
    assert stop_database(config)
    monkeypatch.setenv("MEGABAR_MONGOD", str(tmp_path / "missing"))
    with pytest.raises(SetupError, match=r"MEGABAR_MONGOD names .*missing, which is not a program"):
        database(config)


def test_binary_that_wrote_the_data_is_preferred(tmp_path):
    real = find_mongod(environment={"PATH": os.environ["PATH"]}).path
    (tmp_path / "first").symlink_to(real)
    assert find_mongod(str(tmp_path / "first"), environment={"PATH": ""}).path == str(tmp_path / "first")
    assert find_mongod(str(tmp_path / "gone"), environment={"PATH": os.path.dirname(real)}).path == real


# A database of the user's own.


def test_uri_is_checked_and_used(common):
    config, own = common
    theirs = Config(data=config.data / "none", database=DatabaseConfig(uri=own.uri, name="other"))
    with database_session(theirs) as address:
        assert not address.embedded
        assert address.name == "other"
        insert(address, [5])
        assert documents(address) == [5]
    assert not theirs.data.exists()
    password = (config.data / "mongodb" / "password").read_text()
    wrong = own.uri.replace(password, "Secret99")
    with pytest.raises(SetupError, match="refused the user or the password") as error:
        database(Config(database=DatabaseConfig(uri=wrong)))
    assert "Secret99" not in one_sentence(error)
    nobody = own.uri.replace(f"megabar:{password}@", "")
    with pytest.raises(SetupError, match="refused the user or the password"):
        database(Config(database=DatabaseConfig(uri=nobody)))


def test_uri_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setattr(mongo_uri, "REACH_TIMEOUT_S", 0.3)
    config = Config(data=tmp_path / "data", database=DatabaseConfig(uri="mongodb://me:Secret99@127.0.0.1:1/"))
    with pytest.raises(SetupError, match=r"the database at 127.0.0.1:1 does not answer within") as error:
        database(config)
    assert "Secret99" not in one_sentence(error)
    assert not config.data.exists()


@pytest.mark.parametrize(
    "uri", ["localhost:27017", "mongodb://me:Secret99@", "mongodb://a:Secret99@h:port/", "mongodb://a:Secret99"]
)
def test_uri_that_is_none(uri):
    with pytest.raises(SetupError, match="mongodb://user:password@host") as error:
        database(Config(database=DatabaseConfig(uri=uri)))
    assert "Secret99" not in one_sentence(error)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mongodb://h", "mongodb://h/?w=majority&journal=true&retryWrites=true&serverSelectionTimeoutMS=120000"),
        ("mongodb://u:p@h/db?w=1&JOURNAL=false&retrywrites=false&serverselectiontimeoutms=5", None),
        (
            "mongodb://h/db?w=2",
            "mongodb://h/db?w=2&journal=true&retryWrites=true&serverSelectionTimeoutMS=120000",
        ),
    ],
)
def test_options_that_the_uri_leaves_open(given, expected):
    assert with_driver_options(given) == (expected or given)


def test_a_server_that_closes_its_connections_is_set_up_all_the_same(config, monkeypatch):
    """As one does that changes its state in the replica set, for which the moment cannot be chosen."""
    database(config, 60)
    folder = MongodFolder(config.data / "mongodb")
    broken = []
    whole = mongod_setup._configured

    def breaks_once(client, socket):
        if not broken:
            broken.append(socket)
            raise AutoReconnect(f"{socket}: connection closed")
        return whole(client, socket)

    monkeypatch.setattr(mongod_setup, "_configured", breaks_once)
    mongod_setup.prepare(folder, folder.state().socket)
    assert broken
    insert(database(config, LINGER_S), [1])
