"""A study as one file: exported from one database, imported into another on its own mongod, with nothing computed."""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar import __version__
from megabar.launchers.api.study import report_folder
from megabar.launchers.database.embedded import database_session, stop_database
from megabar.structures.errors import InputError
from megabar.workflows.archive import (
    CALCULATIONS,
    HISTORIES,
    MANIFEST,
    README,
    STUDY,
    as_json,
    published_record,
    published_study,
    write_archive,
)
from megabar.workflows.archive_import import Imported, import_archive
from megabar.workflows.archive_reading import opened
from megabar.workflows.calculation import Calculation
from megabar.workflows.config import Config
from megabar.workflows.kinds.registry import KINDS, load_study, plan_of
from megabar.workflows.kinds.stability.plan import resolve
from megabar.workflows.parts.lattice.supercell import Supercell
from megabar.workflows.parts.volumes.plan import VolumesPlan
from megabar.workflows.publishing import without_places
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
STUDY_YAML = """\
kind: stability
system: Cu-Au
pressures: {from: 0, to: 40, step: 10}
phases: [Cu-fcc.cif, Au-fcc.cif, Cu3Au-L12.cif]
method: {code: emt}
"""


def write_study(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    bulk("Cu", "fcc", a=3.6).write(folder / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(folder / "Au-fcc.cif")
    corners = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    Atoms("AuCu3", cell=[3.75] * 3, scaled_positions=corners, pbc=True).write(folder / "Cu3Au-L12.cif")
    (folder / "cuau.yaml").write_text(STUDY_YAML)
    return folder / "cuau.yaml"


def megabar(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEGABAR_DATA")}
    return subprocess.run(
        [*MEGABAR, *arguments], cwd=folder, env=environment, text=True, capture_output=True, check=False, timeout=240
    )


def succeeded(folder: Path, *arguments: str) -> str:
    done = megabar(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def opened_store(folder: Path) -> Iterator[ResultStore]:
    with database_session(Config(data=folder / ".megabar"), linger_s=1.0) as address:
        store = ResultStore.connect(address.uri, address.name)
        yield store
        store.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project folder where the study has been run, reported and exported."""
    folder = tmp_path_factory.mktemp("home")
    write_study(folder)
    succeeded(folder, "run", "cuau.yaml", "--workers", "2")
    succeeded(folder, "export", "cuau", "--to", "paper.zip")
    yield folder
    stop_database(Config(data=folder / ".megabar"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A project folder without anything, far from the other one."""
    folder = tmp_path / "elsewhere"
    write_study(folder)
    yield folder
    stop_database(Config(data=folder / ".megabar"))


def everything(folder: Path) -> dict[str, dict[Any, Any]]:
    """Return all documents of a database, to see that nothing changes."""
    with opened_store(folder) as store:
        database = store.client[store.name]
        return {
            name: {each["_id"]: each for each in database[name].find()}
            for name in database.list_collection_names()
            if not name.startswith("workers")
        }


@pytest.mark.slow
def test_everything_comes_out_again_without_a_calculation(home: Path, elsewhere: Path) -> None:
    shutil.copy(home / "paper.zip", elsewhere)
    first = json.loads(succeeded(elsewhere, "import", "paper.zip", "--json"))
    assert first["study_state"] == "new"
    assert first["new"] == first["calculations"] >= 6
    assert first["complete"]
    before = everything(elsewhere)
    again = json.loads(succeeded(elsewhere, "import", "paper.zip", "--json"))
    assert (again["new"], again["present"], again["study_state"]) == (0, first["new"], "unchanged")
    assert everything(elsewhere) == before

    hull = succeeded(home, "hull", "cuau", "--json", "--at", "20")
    assert succeeded(elsewhere, "hull", "cuau.yaml", "--json", "--at", "20") == hull
    for folder in (home, elsewhere):
        succeeded(folder, "report", "cuau", "--to", "again")
    files = sorted(path.relative_to(home / "again") for path in (home / "again").rglob("*.*"))
    assert {path.suffix for path in files} == {".html", ".csv", ".json", ".svg", ".png", ".pdf"}
    for path in files:
        ours, theirs = ((folder / "again" / path).read_bytes() for folder in (home, elsewhere))
        if path.suffix == ".html":  # it says when it was written
            assert len(ours) == len(theirs)
        else:
            assert ours == theirs, path

    run = json.loads(succeeded(elsewhere, "run", "cuau.yaml", "--json"))
    assert run["calculations_run"] == 0
    assert run["calculations_reused"] == first["calculations"]
    assert not list((elsewhere / ".megabar").glob("calculations/*/*"))
    succeeded(elsewhere, "export", "cuau", "--to", "once-more.zip")
    assert (elsewhere / "once-more.zip").read_bytes() == (home / "paper.zip").read_bytes()


@pytest.mark.slow
def test_what_is_in_an_archive(home: Path) -> None:
    with zipfile.ZipFile(home / "paper.zip") as content:
        manifest = json.loads(content.read(MANIFEST))
        for name, entry in manifest["members"].items():
            data = content.read(name)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert set(content.namelist()) == {*manifest["members"], MANIFEST}
        assert (manifest["megabar"], manifest["format_version"]) == (__version__, 1)
        lines = [json.loads(line) for line in content.read(CALCULATIONS).decode().splitlines()]
        study = json.loads(content.read(STUDY))
        keys = [line["key"] for line in lines]
        assert keys == sorted(set(study["wanted"]))
        with content.open(f"{HISTORIES}{keys[0]}.npz") as file, np.load(file) as arrays:
            assert arrays["cell_A"].shape[1:] == (3, 3)
            assert arrays["energy_eV"][-1] / len(lines[0]["structure"]["symbols"]) == pytest.approx(
                lines[0]["energy_eV_per_atom"]
            )
        assert "histories/KEY.npz" in content.read(README).decode()
        text = b"".join(content.read(name) for name in content.namelist() if not name.endswith(".npz")).decode()
    password = (home / ".megabar" / "mongodb" / "password").read_text()
    for private in (str(home), password, "mongodb", "owner", "worker", str(Path.home()) + "/"):
        assert private not in text, private
    assert all(line["provenance"]["host"] for line in lines)


@pytest.mark.slow
def test_wrong_exports_are_told(home: Path) -> None:
    with opened_store(home) as store:
        [study] = store.find_studies()
        for name, expected in {
            "paper.zip": "is there already",
            "paper.tar.gz": "ends in .zip",
            "no/paper.zip": "there is no folder",
        }.items():
            with pytest.raises(InputError, match=expected):
                write_archive(home / name, study, store)
    done = megabar(home, "export", "coau", "--to", "new.zip")
    assert done.returncode == 2
    assert "did you mean cuau" in done.stderr
    assert not list(home.glob(".*.zip*"))


# Archives made by hand, imported into one database.


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("empty")
    with opened_store(folder):
        yield folder
    stop_database(Config(data=folder / ".megabar"))


@pytest.fixture
def store(empty: Path) -> Iterator[ResultStore]:
    """A database without anything in it."""
    with opened_store(empty) as found:
        found.client.drop_database(found.name)
        yield found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """A study whose first calculations are asked for."""
    folder = tmp_path_factory.mktemp("study")
    file = load_study(write_study(folder))
    plan = resolve(file, Config(data=folder / "data"))
    rungs = []
    for ladder in plan.ladders:
        for index in ladder.first:
            key = ladder.calculation(plan.method, index).key
            rung = {"phase": ladder.phase, "index": str(index), "key": key, "starts": [], "purpose": "ladder"}
            rungs.append({**rung, "kind": "main"})
    return StudyRecord(
        identifier=file.identifier,
        name=file.name,
        kind="stability",
        definition=file.study.model_dump(mode="json", by_alias=True),
        resolved=json.loads(json.dumps(plan.to_dict())),
        wanted=[rung["key"] for rung in rungs],
        rungs=rungs,
        complete=True,
        created="2026-01-01T00:00:00+00:00",
    )


def calculations(study: StudyRecord) -> list[Calculation]:
    from megabar.workflows.kinds.stability.plan import StabilityPlan

    return [StabilityPlan.from_dict(study.resolved).calculation(rung) for rung in study.rungs]


def record(calculation: Calculation, energy_eV: float = -1.0, **changes: Any) -> CalculationRecord:
    content = {
        "key": calculation.key,
        "calculation": calculation.to_dict(),
        "state": "done",
        "energy_eV_per_atom": energy_eV,
        "pressure_GPa": 10.0,
        "volume_A3_per_atom": calculation.structure.volume_per_atom,
        "provenance": {"host": "there", "folder": "/secret/place", "attempts": [{"folder": "/x", "cpu_s": 1.0}]},
    }
    return CalculationRecord(**{**content, **changes})


@pytest.fixture
def archive(store: ResultStore, study: StudyRecord, tmp_path: Path) -> Path:
    """An archive of the study with a result for each calculation; the database is empty again."""
    path = tmp_path / "made.zip"
    return written(path, study, store)


def written(path: Path, study: StudyRecord, store: ResultStore, **changes: Any) -> Path:
    for calculation in calculations(study):
        store.save(record(calculation, **changes), {"energy_eV": np.array([-1.0, -2.0])})
    write_archive(path, study, store)
    store.client.drop_database(store.name)
    return path


def changed(path: Path, target: Path, change: Callable[[str, bytes], bytes | None], mend: bool = True) -> Path:
    """Write an archive anew with members changed (None: left out), and with mended hashes where asked."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        manifest = json.loads(old.read(MANIFEST))
        for name in old.namelist():
            data = change(name, old.read(name)) if name != MANIFEST else old.read(name)
            if data is not None and name != MANIFEST:
                new.writestr(name, data)
                if mend:
                    manifest["members"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        text = change(MANIFEST, json.dumps(manifest).encode())
        if text is not None:
            new.writestr(MANIFEST, text)
    return target


def refused(path: Path, store: ResultStore) -> str:
    """Return why an import was refused, having seen that it wrote nothing."""
    with pytest.raises(InputError) as error:
        import_archive(path, store, "me")
    said = str(error.value)
    assert "\n" not in said and path.name in said
    database = store.client[store.name]
    assert database.studies.count_documents({}) == 0 or "plan" in said or "other results" in said
    return said


def edited(name: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes | None]:
    def change(member: str, data: bytes) -> bytes:
        if member == name or (name == HISTORIES and member.startswith(HISTORIES)):
            assert old in data
            return data.replace(old, new, 1)
        return data

    return change


def test_import_of_an_archive(archive: Path, store: ResultStore, study: StudyRecord) -> None:
    done = import_archive(archive, store, "me")
    count = len(study.wanted)
    assert done == Imported(study.identifier, "cuau", True, count, count, 0, 0, 0, "new")
    found = store.get_study(study.identifier)
    assert found is not None
    assert (found.owner, found.created, found.complete) == ("me", study.created, True)
    assert found.rungs == study.rungs
    stored = store.get(study.wanted[0])
    assert stored is not None
    assert stored.provenance == {"host": "there", "attempts": [{"cpu_s": 1.0}]}
    assert store.history(study.wanted[0])["energy_eV"].tolist() == [-1.0, -2.0]


def test_numbers_that_json_does_not_have(store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    """As earlier versions stored them: the Fermi level of an insulator."""
    observables = {"fermi_eV": float("-inf"), "band_gap_eV": 3.0}
    path = written(tmp_path / "inf.zip", study, store, observables=observables, energy_eV=0.1 + 0.2)
    import_archive(path, store, "me")
    stored = store.get(study.wanted[0])
    assert stored is not None and stored.observables == observables
    assert stored.energy_eV_per_atom == 0.1 + 0.2
    assert as_json({"x": float("inf")}) == b'{"x": {"$numberDouble": "Infinity"}}'


def test_damaged_archives_name_the_member(
    archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path
) -> None:
    history = f"{HISTORIES}{study.wanted[0]}.npz"
    cases: list[tuple[Path, str]] = [
        (changed(archive, tmp_path / "a.zip", edited(CALCULATIONS, b"-1.0", b"-1.1"), mend=False), CALCULATIONS),
        (changed(archive, tmp_path / "b.zip", edited(STUDY, b"emt", b"emu"), mend=False), STUDY),
        (changed(archive, tmp_path / "c.zip", lambda name, data: None if name == history else data), history),
        (changed(archive, tmp_path / "d.zip", lambda n, data: b"no npz" if n == history else data), history),
        (changed(archive, tmp_path / "e.zip", lambda name, data: None if name == MANIFEST else data), MANIFEST),
        (changed(archive, tmp_path / "f.zip", lambda n, data: b"{" if n == MANIFEST else data), MANIFEST),
    ]
    for path, member in cases:
        assert member in refused(path, store), path
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("more.txt", "more")
    assert "more.txt is not in its manifest" in refused(archive, store)


def test_a_cut_and_a_flipped_archive(archive: Path, store: ResultStore, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    assert "its end is missing" in refused(cut, store)
    with zipfile.ZipFile(archive) as content:
        place = content.getinfo(CALCULATIONS).header_offset + 200
    flipped = tmp_path / "flipped.zip"
    flipped.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    assert CALCULATIONS in refused(flipped, store)
    (tmp_path / "text.zip").write_text("no archive")
    assert "no archive of megabar" in refused(tmp_path / "text.zip", store)
    assert "no such file" in refused(tmp_path / "none.zip", store)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as content:
        content.writestr("readme.txt", "something else")
    assert "it has no manifest.json" in refused(tmp_path / "other.zip", store)


def test_archives_of_other_versions(archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    cases = [
        (edited(MANIFEST, b'"format_version": 1', b'"format_version": 7'), "format version 7", "knows 1"),
        (edited(MANIFEST, b'"key_format": 1', b'"key_format": 2'), "key format 2", "knows 1"),
        (edited(STUDY, b'"stability"', b'"magic"'), "'magic'", STUDY),
        (edited(STUDY, b'"pressures_GPa"', b'"pressures_TPa"'), "cannot be understood", STUDY),
        (edited(CALCULATIONS, b'"state"', b'"stage": 1, "state"'), "stage", f"{CALCULATIONS}, line 1"),
        (edited(CALCULATIONS, b'"version": "', b'"version": "x'), "is another one's", f"{CALCULATIONS}, line 1"),
    ]
    for number, (change, *expected) in enumerate(cases):
        said = refused(changed(archive, tmp_path / f"{number}.zip", change), store)
        assert all(each in said for each in expected), said


def test_other_results_are_never_overwritten(archive: Path, store: ResultStore, study: StudyRecord) -> None:
    own = calculations(study)[2]
    store.save(record(own, energy_eV=-1.01))
    said = refused(archive, store)
    for expected in (own.key, "-1.000000 eV/atom in the archive", "-1.010000 eV/atom here", "nothing was imported"):
        assert expected in said
    assert store.client[store.name].calculations.count_documents({}) == 1
    stored = store.get(own.key)
    assert stored is not None and stored.energy_eV_per_atom == -1.01


def test_results_that_agree_stay_and_failures_are_mended(archive: Path, store: ResultStore, study: StudyRecord) -> None:
    agreeing, failed, *_ = calculations(study)
    store.save(record(agreeing, energy_eV=-1.00001))
    store.save(CalculationRecord(key=failed.key, calculation=failed.to_dict(), state="failed", cause="killed"))
    done = import_archive(archive, store, "me")
    assert (done.present, done.agreeing, done.mended) == (1, 1, 1)
    stored = store.get_many([agreeing.key, failed.key])
    assert stored[agreeing.key].energy_eV_per_atom == -1.00001
    assert stored[failed.key].done
    assert import_archive(archive, store, "me").mended == 0


def test_a_study_that_is_there_with_another_plan(archive: Path, store: ResultStore, study: StudyRecord) -> None:
    resolved = json.loads(json.dumps(study.resolved))
    resolved["method"]["version"] = "ASE 1.0"
    store.put_study(study.model_copy(update={"resolved": resolved}))
    said = refused(archive, store)
    assert "another plan (emt ASE 1.0 here, emt ASE" in said
    assert "MEGABAR_DATABASE_NAME" in said
    assert store.client[store.name].calculations.count_documents({}) == 0


def test_a_study_that_is_there_in_part_is_joined(archive: Path, store: ResultStore, study: StudyRecord) -> None:
    moved = json.loads(json.dumps(study.resolved))
    for each in moved["method"]["data"]:
        each |= {"path": "/another/place", "origin": "folder elsewhere"}
    store.put_study(study.model_copy(update={"resolved": moved, "owner": "alice"}))
    store.add_wanted(study.identifier, study.rungs[:2])
    done = import_archive(archive, store, "me")
    assert (done.study_state, done.complete) == ("joined", True)
    found = store.get_study(study.identifier)
    assert found is not None
    assert sorted(found.wanted) == sorted(study.wanted)
    assert found.owner == "alice"
    assert found.resolved["method"]["data"][0]["path"] == "/another/place"


def test_an_unfinished_study(store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    unfinished = study.model_copy(update={"complete": False})
    store.save(record(calculations(study)[0]))
    exported = write_archive(tmp_path / "half.zip", unfinished, store)
    assert (exported.asked, exported.calculations, exported.complete) == (len(study.wanted), 1, False)
    store.client.drop_database(store.name)
    done = import_archive(tmp_path / "half.zip", store, "me")
    assert (done.new, done.complete) == (1, False)


def test_what_a_killed_export_left_is_swept(store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    left, running, other = (tmp_path / f".{name}" for name in ("a.zip.123", "a.zip.456", "ab.zip.7"))
    for path in (left, running, other):
        path.write_bytes(b"PK")
    with running.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        written(tmp_path / "a.zip", study, store)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", running.name, other.name}


@pytest.mark.slow
def test_many_calculations_need_little_memory(store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    plan = plan_of(study)
    places = [{**study.rungs[0], "index": f"{number}/64"} for number in range(400)]
    many = [plan.calculation(each) for each in places]
    rungs = [{**place, "key": each.key} for place, each in zip(places, many, strict=True)]
    history = {"cell_A": np.random.default_rng(1).random((20, 3, 3)), "energy_eV": np.arange(20.0)}
    for each in many:
        store.save(record(each), history)
    large = study.model_copy(update={"wanted": [each.key for each in many], "rungs": rungs})
    path = tmp_path / "many.zip"
    tracemalloc.start()
    write_archive(path, large, store)
    writing = tracemalloc.get_traced_memory()[1]
    store.client.drop_database(store.name)
    tracemalloc.reset_peak()
    done = import_archive(path, store, "me")
    reading = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.new == len(many)
    assert max(writing, reading) < 25e6
    with opened(path) as found:
        assert sum(1 for _ in found.records()) == len(many)


# Archives that somebody made to do harm, or by mistake.


def renamed(name: str) -> Callable[[str, bytes], bytes | None]:
    """Give the study of an archive another name, its identifier with it."""

    def change(member: str, data: bytes) -> bytes:
        if member != STUDY:
            return data
        content = json.loads(data)
        content["identifier"] = f"{name}-{content['identifier'][-8:]}"
        content["name"] = name
        return json.dumps(content).encode()

    return change


def with_study(**changes: Any) -> Callable[[str, bytes], bytes | None]:
    return lambda member, data: json.dumps({**json.loads(data), **changes}).encode() if member == STUDY else data


def with_record(**changes: Any) -> Callable[[str, bytes], bytes | None]:
    def change(member: str, data: bytes) -> bytes:
        if member != CALCULATIONS:
            return data
        first, *others = data.splitlines()
        return b"\n".join([as_json({**json.loads(first), **changes}), *others]) + b"\n"

    return change


@pytest.mark.parametrize(
    "name", ["/tmp/owned", "../../owned", "a/b", "", ".hidden", "x\x1b[31m", "a\nb", "=1+1", "a\u202eb", "x" * 300]
)
def test_names_of_imported_studies_are_names(archive: Path, store: ResultStore, tmp_path: Path, name: str) -> None:
    """A report is written into a folder of the study's name."""
    said = refused(changed(archive, tmp_path / "hostile.zip", renamed(name)), store)
    assert STUDY in said and said.isprintable()


@pytest.mark.parametrize("name", ["/tmp/owned", "../owned", "a/b"])
def test_a_report_stays_below_the_present_folder(study: StudyRecord, name: str) -> None:
    """Also that of a study which was imported before names were checked."""
    assert report_folder(study) == Path("cuau-report")
    with pytest.raises(InputError, match="say with --to where"):
        report_folder(study.model_copy(update={"name": name}))


def test_names_of_imported_phases_are_names(
    archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path
) -> None:
    for name in ("\x1b[2J", "=cmd", "a\u202eb"):
        rungs = [{**study.rungs[0], "phase": name}, *study.rungs[1:]]
        ladders = [{**study.resolved["ladders"][0], "phase": name}, *study.resolved["ladders"][1:]]
        for number, changes in enumerate(({"rungs": rungs}, {"resolved": {**study.resolved, "ladders": ladders}})):
            said = refused(changed(archive, tmp_path / f"{number}{len(name)}.zip", with_study(**changes)), store)
            assert "the phase" in said and said.isprintable()


CUBE = {"symbols": ["Cu"], "cell": [[2, 0, 0], [0, 2, 0], [0, 0, 2]], "positions": [[0, 0, 0]]}


def test_a_result_that_is_one(archive: Path, store: ResultStore, tmp_path: Path) -> None:
    made = changed(archive, tmp_path / "fine.zip", with_record(structure=CUBE, stress_deviation_GPa=0.1))
    assert import_archive(made, store, "me").study_state == "new"


def test_swapped_keys_are_told(archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path) -> None:
    """One phase would have the energies of another."""
    one, other = study.rungs[0], next(each for each in study.rungs if each["phase"] != study.rungs[0]["phase"])
    keys = {one["key"]: other["key"], other["key"]: one["key"]}
    rungs = [{**each, "key": keys.get(each["key"], each["key"])} for each in study.rungs]
    said = refused(changed(archive, tmp_path / "swapped.zip", with_study(rungs=rungs)), store)
    assert f"of {one['phase']} names the calculation {other['key']}, and its plan makes" in said


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"energy_eV_per_atom": float("nan")}, "energy_eV_per_atom: nan is no result"),
        ({"pressure_GPa": float("inf")}, "pressure_GPa: inf is no result"),
        ({"volume_A3_per_atom": -3.0}, "volume_A3_per_atom: -3.0 cannot be"),
        ({"energy_eV_per_atom": None}, "it is done, and has none"),
        ({"state": "perfect"}, "state: 'perfect' is none of done, failed, left"),
        ({"state": "\x1b[2J"}, "state: '\\x1b[2J' is none of"),
        ({"calculation": [1, 2]}, "cannot be understood"),
        ({"energy_eV_per_atom": {"x": 1}}, "energy_ev_per_atom"),
        ({"stress_deviation_GPa": float("nan")}, "stress_deviation_GPa: nan is no result"),
        ({"observables": {"bands": [{"x": float("nan")}]}}, "observables: bands has what is no number"),
        ({"structure": {**CUBE, "spin": 1}}, "structure: unknown: spin"),
        ({"structure": {**CUBE, "cell": [[1, 0, 0], [0, float("nan"), 0], [0, 0, 1]]}}, "what is no number"),
        ({"structure": {**CUBE, "positions": [[0, 0, float("inf")]]}}, "what is no number"),
        ({"structure": {**CUBE, "positions": []}}, "a position of each atom"),
        ({"structure": {"symbols": ["Cu"]}}, "structure: "),
    ],
)
def test_results_that_are_none(
    archive: Path, store: ResultStore, tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    said = refused(changed(archive, tmp_path / "hostile.zip", with_record(**changes)), store)
    assert f"{CALCULATIONS}, line 1" in said and expected.lower() in said.lower() and said.isprintable()


@pytest.mark.parametrize("text", [b"[1, 2]", b"5", b"null", b'"text"'])
@pytest.mark.parametrize("member", [STUDY, CALCULATIONS, MANIFEST])
def test_members_that_are_something_else(
    archive: Path, store: ResultStore, tmp_path: Path, member: str, text: bytes
) -> None:
    said = refused(changed(archive, tmp_path / "hostile.zip", lambda n, data: text if n == member else data), store)
    assert member in said


@pytest.mark.parametrize(("begin", "end"), [(b'{"x":', b"}"), (b"[", b"]")])
def test_json_that_is_nested_too_deeply(
    archive: Path, store: ResultStore, tmp_path: Path, begin: bytes, end: bytes
) -> None:
    deep = b'"more": ' + 200_000 * begin + b"1" + 200_000 * end + b', "definition": {'
    made = changed(archive, tmp_path / "hostile.zip", edited(STUDY, b'"definition": {', deep))
    assert "nested too deeply" in refused(made, store)


def test_manifests_that_tell_no_sizes(archive: Path, store: ResultStore, tmp_path: Path) -> None:
    for number, entry in enumerate(
        ([], 5, {"bytes": "many", "sha256": "x"}, {"bytes": 5}, {"bytes": True, "sha256": "x"})
    ):

        def change(member: str, data: bytes, entry: Any = entry) -> bytes:
            if member != MANIFEST:
                return data
            content = json.loads(data)
            content["members"][STUDY] = entry
            return json.dumps(content).encode()

        assert "does not tell size and hash" in refused(changed(archive, tmp_path / f"{number}.zip", change), store)


@pytest.mark.parametrize("member", [CALCULATIONS, STUDY, README, MANIFEST])
def test_what_would_unpack_without_bounds_is_refused(
    archive: Path, store: ResultStore, tmp_path: Path, member: str
) -> None:
    """Sixty kilobytes that would be 60 MB: told from the sizes, before it is unpacked."""
    path = tmp_path / "bomb.zip"
    zeros = bytes(1 << 20)
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        manifest = json.loads(old.read(MANIFEST))
        manifest["members"][member] = {"bytes": 60 << 20, "sha256": "0" * 64}
        for name in old.namelist():
            if name == member:
                with new.open(name, "w", force_zip64=True) as file:
                    for _ in range(60):
                        file.write(zeros)
            elif name == MANIFEST:
                new.writestr(name, json.dumps(manifest))
            else:
                new.writestr(name, old.read(name))
    tracemalloc.start()
    said = refused(path, store)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert member in said and "would unpack to 63 MB" in said
    assert memory < 20e6


def test_arrays_that_would_unpack_without_bounds_are_refused(
    archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path
) -> None:
    """An npz file in the archive is a ZIP file itself."""
    history = f"{HISTORIES}{study.wanted[0]}.npz"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as arrays, arrays.open("x.npy", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    made = changed(archive, tmp_path / "hostile.zip", lambda n, data: buffer.getvalue() if n == history else data)
    said = refused(made, store)
    assert history in said and "unpacks to 315 MB" in said


def test_texts_that_a_terminal_would_obey_are_written_out(
    archive: Path, store: ResultStore, study: StudyRecord, tmp_path: Path
) -> None:
    texts = {"warnings": ["\x1b[2Jgone"], "detail": "a\tb\u202ec", "observables": {"version": "\x1b]0;title\x07"}}
    import_archive(changed(archive, tmp_path / "hostile.zip", with_record(**texts)), store, "me")
    with zipfile.ZipFile(archive) as content:
        key = json.loads(content.read(CALCULATIONS).splitlines()[0])["key"]
    found = store.get(key)
    assert found is not None
    assert found.warnings == ["\\x1b[2Jgone"] and found.detail == "a\tb\\u202ec"
    assert found.observables == {"version": "\\x1b]0;title\\x07"}


# What may be published: said by each kind, and held for every one.


def local_data(name: str) -> dict[str, Any]:
    return {
        "element": "Al",
        "path": f"/home/alice/pseudo/{name}",
        "sha256": "0" * 64,
        "radius_A": 1.0,
        "cutoff_eV": 300.0,
        "origin": f"folder /home/alice/pseudo/{name}",
    }


def method(functional: str) -> dict[str, Any]:
    return {
        "code": "emt",
        "version": "1",
        "protocol": "fast",
        "functional": functional,
        "data": [local_data(f"Al-{functional}.upf")],
    }


def local_stability(study: StudyRecord) -> StudyRecord:
    plan = {**study.resolved, "method": method("PBE"), "judge": method("LDA"), "functionals": [method("PBEsol")]}
    files = ["/home/alice/a.cif", "~/b.cif", {"file": "/home/alice/c d.cif", "name": "x", "pressure": None}]
    return study.model_copy(update={"resolved": plan, "definition": {**study.definition, "phases": files}})


def local_superconductivity(study: StudyRecord) -> StudyRecord:
    own = {name: study.resolved[name] for name in VolumesPlan.__dataclass_fields__}
    volumes = {**own, "method": method("PBE"), "judge": None}
    plan = {
        "volumes": volumes,
        "ladders": volumes["ladders"],
        "grids": {"q": [2, 2, 2], "k": [4, 4, 4], "dense": [8, 8, 8]},
        "coupling": {},
        "phonon": {},
        "mu_star": [0.1],
        "mu_ref_meV": None,
        "isotopes": {},
    }
    structure = {"file": "/home/alice/a.cif", "name": None, "pressure": None}
    return study.model_copy(
        update={"kind": "superconductivity", "resolved": plan, "definition": {"structure": structure}}
    )


def local_phonons(study: StudyRecord) -> StudyRecord:
    own = {name: study.resolved[name] for name in VolumesPlan.__dataclass_fields__}
    supercell = Supercell("Al-fcc", ((2, 0, 0), (0, 2, 0), (0, 0, 2)), ((1.0, 0.0, 0.0),) * 3, 0.03, {}, False)
    plan = {
        "volumes": {**own, "method": method("PBE"), "judge": None},
        "supercells": [supercell.to_dict()],
        "pressures_GPa": [0.0],
        "expanded_GPa": {},
        "temperatures_K": [],
        "masses": {},
        "check": True,
        "responses": [],
        "born": False,
        "elastic": False,
        "follow": False,
    }
    files = ["/home/alice/a.cif", {"file": "~/b.cif", "name": "x", "pressure": None}]
    return study.model_copy(update={"kind": "phonons", "resolved": plan, "definition": {"phases": files}})


LOCAL = {"stability": local_stability, "superconductivity": local_superconductivity, "phonons": local_phonons}
PUBLISHED = {
    "stability": ("Al-PBE.upf", "Al-LDA.upf", "Al-PBEsol.upf"),
    "superconductivity": ("Al-PBE.upf",),
    "phonons": ("Al-PBE.upf",),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_study_publishes_where_files_lie(kind: str, study: StudyRecord) -> None:
    local = LOCAL[kind](study)
    text = as_json(published_study(local)).decode()
    assert "/home" not in text and "~" not in text
    assert all(name in text for name in (*PUBLISHED[kind], "a.cif"))
    # What is read of it again is the same plan.
    published = StudyRecord(**json.loads(text))
    assert plan_of(published).fingerprint == plan_of(local).fingerprint


def test_texts_of_failures_do_not_tell_where_they_happened(study: StudyRecord) -> None:
    calculation = calculations(study)[0].to_dict()
    found = published_record(
        CalculationRecord(
            key="0" * 40,
            calculation={**calculation, "data": [local_data("Al.upf")]},
            state="failed",
            detail="cannot read /home/alice/.megabar/calculations/ab/abc/out: at 3.2 eV/Å, P6_3/mmc",
            warnings=["~/scratch/x was full", "see https://doi.org/10.1103/PhysRevB.54.11169"],
            mendings=["started afresh ('/data/bob/STATE.OUT' was not as it was left)"],
            provenance={
                "host": "node1",
                "folder": "/big disk/alice/x",
                "said": "/home/alice/y at /big disk/alice/data/z",
                "attempts": [{"folder": "/odd; place/bob/x", "said": "/odd; place/bob/y"}],
            },
        )
    )
    assert found["provenance"] == {"host": "node1", "said": "y at z", "attempts": [{"said": "y"}]}
    text = as_json(found).decode()
    assert not any(place in text for place in ("/home", "/data", "alice", "bob", "~"))
    assert "cannot read out: at 3.2 eV/Å, P6_3/mmc" in text and "https://doi.org/10.1103/PhysRevB.54.11169" in text


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("cannot read /home/Alice Smith/data/x.in", "cannot read x.in"),
        ("[Errno 2] no such file: '/big disk/a b/c d.in'", "[Errno 2] no such file: 'c d.in'"),
        ("/home/bob/a,b/c (/home/bob/x(1)/y)", "c (y)"),
        ("pw.x -i/home/bob/x.in -L/opt/lib", "pw.x -ix.in -Llib"),
        ("see file:///home/bob/x/y, file://host/home/y", "see y, y"),
        ("see /scratch, or read:/data/bob/y", "see scratch, or read:y"),
        ("/home/bob is full; ~bob/x too, ~/y", "… is full; x too, y"),
        (r"/data/Alice\ Smith/x", "x"),
        ("in '/home/bob'", "in '…'"),
        ("of /big disk/megabar/calculations/ab/out in /big disk/megabar", "of out in …"),
        ("/big disk/other/out", "out"),
        ("/big disk/megabars x", "megabars x"),
        ("https://x.org/home/bob/y", "https://x.org/home/bob/y"),
    ],
)
def test_places_in_texts(text: str, published: str) -> None:
    assert without_places(text, "/big disk/megabar") == published


@pytest.mark.parametrize(
    "text",
    [
        *(
            "3.2 eV/Å",
            "P6_3/mmc",
            "I4_1/a -3 m",
            "meV /atom",
            "4 /mmm",
            "(001)/(110)/(111)",
            "P-1/x",
            "and/or",
            "a / b",
        ),
        *("Å³/atom", "doi:10.1103/PhysRevB.54.11169", "calculations/ab/abc/out", "1/2 and ~1/3", "2 /3 /4", "50 %/h/s"),
    ],
)
def test_what_is_no_place_stays(text: str) -> None:
    assert without_places(text) == text


def test_places_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, place = tmp_path / "a (b) c", tmp_path / "d; e"
    for each in (home, place):
        each.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(place)
    assert without_places(f"no {home}/x/y in {place} or {place}/z") == "no y in … or z"
