"""`import megabar`: light to load, its examples run, and what it offers of a real study is what the commands say."""

import ast
import doctest
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from elph_data import unpacked
from matplotlib.figure import Figure
from tc_studies import study_with

import megabar
from megabar.analysis.tables import read_table
from megabar.launchers.answering.studies import hull_of, plan_study
from megabar.launchers.api.session import default
from megabar.launchers.database.embedded import stop_database
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config
from megabar.workflows.kinds.registry import KINDS

ROOT = Path(__file__).parent.parent
API = [f"megabar.launchers.api.{path.stem}" for path in (ROOT / "launchers" / "api").glob("[a-z]*.py")]
CU = "kind: stability\nsystem: Cu\npressures: {from: 0, to: 40, step: 20}\nphases: [Cu-fcc.cif]\nmethod: {code: emt}\n"
CUAU = """\
kind: stability
system: Cu-Au
pressures: {from: 0, to: 60, step: 10}
phases: [Cu-fcc.cif, Au-fcc.cif, Cu3Au-L12.cif, {file: hcp.cif, name: Cu-hcp, pressure: 0}]
method: {code: emt}
"""


@contextmanager
def working_in(path: Path) -> Iterator[Path]:
    """Have study files, a table and a spectrum in a folder, the working one; its database is stopped at the end."""
    bulk("Cu", "fcc", a=3.6).write(path / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(path / "Au-fcc.cif")
    corners = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    Atoms("AuCu3", cell=[3.75] * 3, scaled_positions=corners, pbc=True).write(path / "Cu3Au-L12.cif")
    bulk("Cu", "hcp", a=2.55, c=4.16).write(path / "hcp.cif")
    (path / "cu.yaml").write_text(CU)
    (path / "cuau.yaml").write_text(CUAU)
    (path / "nahe.csv").write_text(table())
    (path / "al.a2f").write_bytes((ROOT / "tests" / "data" / "epw" / "al.a2f").read_bytes())
    before = Path.cwd()
    os.chdir(path)
    try:
        yield path
    finally:
        default().close()
        os.chdir(before)
        stop_database(Config(data=path / ".megabar"))


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the study of copper and gold was run, the working one."""
    with working_in(tmp_path_factory.mktemp("notebook")) as path:
        plan = megabar.open("cuau.yaml").plan
        assert plan.calculations == sum(plan.frame()["calculations"]) > 8
        assert "Cu3Au-L12" in plan._repr_html_() and f"{plan.calculations} calculations to run" in str(plan)
        assert megabar.open("cuau.yaml").run(workers=2).text
        yield path


@pytest.fixture(autouse=True)
def _there(request: pytest.FixtureRequest) -> Iterator[None]:
    """Work in the folder of the notebook in every test that has it, whatever ran between."""
    before = Path.cwd()
    if "notebook" in request.fixturenames:
        os.chdir(request.getfixturevalue("notebook"))
    yield
    os.chdir(before)


def table() -> str:
    """Return enthalpies of sodium, helium and Na2He, which is stable above 121.7 GPa: Murnaghan solids."""
    from ase.units import GPa

    pressure = np.arange(0, 501, 50.0)

    def solid(volume: float, bulk: float, prime: float) -> np.ndarray:
        return GPa * volume * bulk / (prime - 1) * ((1 + prime * pressure / bulk) ** (1 - 1 / prime) - 1)

    sodium, helium = solid(37.0, 7.0, 3.6), solid(13.0, 3.0, 4.5)
    curves = {("Na-bcc", "Na"): sodium, ("He-hcp", "He"): helium}
    curves["Na2He", "Na2He"] = (2 * sodium + helium) / 3 + 0.14 - 0.00115 * pressure
    rows = [
        f"{phase},{formula},{p:g},{h:.9f}"
        for (phase, formula), enthalpies in curves.items()
        for p, h in zip(pressure, enthalpies, strict=True)
    ]
    return "\n".join(["phase,formula,pressure_GPa,enthalpy_eV_per_atom", *rows]) + "\n"


def test_importing_it_loads_nothing_else():
    script = (
        "import sys, megabar; before = {name.split('.')[0] for name in sys.modules};"
        "assert 'open' in dir(megabar);"
        "heavy = {'ase', 'fireworks', 'matplotlib', 'numpy', 'pandas', 'pymatgen', 'pymongo', 'rich', 'scipy'};"
        "print(*(heavy & before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_is_offered_is_there_and_documented():
    for name in megabar.__all__:
        assert getattr(megabar, name).__doc__ or name == "__version__"
    with pytest.raises(AttributeError, match="has no attribute 'stduies'"):
        _ = megabar.stduies


def functions_with_examples() -> list[str]:
    """Return the public functions of the interface that ought to have an example."""
    tree = ast.parse((ROOT / "launchers" / "api" / "functions.py").read_text())
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_every_function_has_an_example():
    module = import_module("megabar.launchers.api.functions")
    assert sorted(functions_with_examples()) == ["hull", "open", "phases", "results", "studies", "tc"]
    for name in functions_with_examples():
        assert ">>> " in getattr(module, name).__doc__, name


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    ran = 0
    with working_in(tmp_path):
        for name in [*sorted(API), "megabar"]:
            module: ModuleType = import_module(name)
            found = doctest.testmod(module, extraglobs={"megabar": megabar}, optionflags=options)
            assert found.failed == 0, f"{name}:\n{capsys.readouterr().out}"
            ran += found.attempted
    assert ran > 15


@pytest.mark.slow
def test_a_study_in_a_notebook(notebook: Path):
    answer = megabar.open("cuau.yaml").answer()
    assert plan_study(Path("cuau.yaml")).complete  # the command sees the same
    said = hull_of(["cuau"], 30.0)
    assert json.loads(json.dumps(answer.json(at=30.0))) == json.loads(json.dumps(said))

    transitions = answer.transitions
    assert list(transitions["pressure_GPa"]) == [each["pressure_GPa"] for each in said["transitions"]]
    assert list(answer.stable["phase"]) == [each["phase"] for each in said["stable"]]
    hull = answer.hull(at=30)
    assert hull["above_hull_eV_per_atom"].to_dict() == pytest.approx(said["above_hull_eV_per_atom"])
    assert 0 < hull["stable"].sum() < len(hull)  # one of fcc and hcp copper is not
    assert (hull["stable"] == (hull["above_hull_eV_per_atom"] < 1e-9)).all()
    assert isinstance(answer.curves["Cu-fcc"].enthalpy(30), float)
    assert answer.stability is not None and len(answer.stability.intervals) == len(answer.stable)
    assert "<h4>stable</h4>" in answer._repr_html_() and repr(answer) == answer.text

    # What is written is what `megabar hull FILE.csv` reads, and the same phases are stable.
    answer.enthalpies(np.linspace(0, 60, 13)).to_csv("again.csv", index=False)
    assert [curve.phase for curve in read_table("again.csv").curves] == list(answer.curves)
    again = megabar.hull("again.csv").hull(at=30)
    assert again["above_hull_eV_per_atom"].to_dict() == pytest.approx(
        hull["above_hull_eV_per_atom"].to_dict(), abs=2e-4
    )


@pytest.mark.slow
def test_pymatgen_finds_the_same_hull(notebook: Path):
    answer = megabar.open("cuau.yaml").answer()
    diagram = answer.phase_diagram(30)
    heights = {entry.entry_id: diagram.get_e_above_hull(entry) for entry in diagram.all_entries}
    assert heights == pytest.approx(answer.hull(at=30)["above_hull_eV_per_atom"].to_dict(), abs=1e-9)
    formation = {entry.entry_id: diagram.get_form_energy_per_atom(entry) for entry in diagram.all_entries}
    assert formation == pytest.approx(answer.hull(at=30)["formation_enthalpy_eV_per_atom"].to_dict(), abs=1e-9)
    with pytest.raises(InputError, match="no phase is known at 4000 GPa"):
        answer.entries(4000)


def test_entries_of_pymatgen_make_the_hull_that_they_come_from(notebook: Path):
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    answer = megabar.open("cuau").answer()
    at_one = megabar.hull(answer.entries(30)).hull(at=30)["above_hull_eV_per_atom"].to_dict()
    assert at_one == pytest.approx(answer.hull(at=30)["above_hull_eV_per_atom"].to_dict(), abs=1e-9)
    several = [entry for pressure in range(0, 61, 10) for entry in answer.entries(pressure)]
    between = megabar.hull(several).hull(at=35)["above_hull_eV_per_atom"].to_dict()
    assert between == pytest.approx(answer.hull(at=35)["above_hull_eV_per_atom"].to_dict(), abs=3e-4)
    plain = [PDEntry(Composition("Na"), -1.0), PDEntry(Composition("Cl2"), -4.0), PDEntry(Composition("NaCl"), -5.0)]
    found = megabar.hull(plain).hull(at=0)
    assert found.loc["NaCl", "formation_enthalpy_eV_per_atom"] == pytest.approx(-1.0)  # -2.5 less (-1 - 2)/2
    with pytest.raises(InputError, match="two entries at 0 GPa have the name Na"):
        megabar.hull([*plain, PDEntry(Composition("Na"), -0.9)])
    for wrong, said in (([], "there are no entries"), (3.0, "a hull takes a table")):
        with pytest.raises(InputError, match=said):
            megabar.hull(wrong)


def test_structures_are_atoms_of_that_pressure(notebook: Path):
    study = megabar.open("cuau")
    found = study.structures(pressure=30)
    assert set(found) == {"Cu-fcc", "Au-fcc", "Cu3Au-L12", "Cu-hcp"}
    atoms = found["Cu3Au-L12"]
    assert isinstance(atoms, Atoms) and atoms.info["pressure_GPa"] == 30
    volume = study.answer().curves["Cu3Au-L12"].volume(30)
    assert atoms.get_volume() / len(atoms) == pytest.approx(volume, rel=1e-6)
    assert found.get("Cu-bcc") is None and "Cu-fcc" in found
    with pytest.raises(InputError, match=r"there is no 'Cu-fc'; did you mean Cu-fcc"):
        found["Cu-fc"]
    with pytest.raises(InputError, match="there is no phase 'Cu-bcc'"):
        study.structures(30, "Cu-bcc")
    with pytest.raises(InputError, match=r"has no structure there: .*not at 3000 GPa"):
        study.structures(3000)


def test_figures_are_matplotlibs(notebook: Path):
    study = megabar.open("cuau")
    figure = study.figure("hull", pressure=(0, 30), labels={"Cu-fcc": "copper"}, width_mm=120)
    assert len(figure.axes) == 2 and figure.get_figwidth() == pytest.approx(120 / 25.4)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "hull" in study.answer().figure_names()
    axes = Figure(figsize=(7, 3)).subplots(1, 2)
    assert study.figure("hull", pressure=(0, 30), ax=axes) is axes[0].figure and axes[1].get_gid() == "hull-30"
    with pytest.raises(InputError, match="there is no panel 'hul'"):
        study.figure("hul")


def test_results_by_query(notebook: Path):
    everything = megabar.results()
    copper = megabar.results(code="emt", formula="Cu2", state="done")
    assert {each.formula for each in copper} == {"Cu"}
    assert {each.formula for each in megabar.results(formula="Cu3Au")} == {"AuCu3"}
    assert len(copper) < len(everything) == len(megabar.results(system="Cu-Au"))
    assert len(megabar.results(system="Cu")) == len(copper) and len(megabar.results(system="Al-Ag")) == 0
    assert all(0 <= each.pressure_GPa <= 20 for each in megabar.results(pressure=(0, 20)))
    assert len(megabar.results({"ionic_steps": {"$gt": 1}})) < len(everything)
    one = copper[0]
    assert one.atoms.get_potential_energy() == pytest.approx(one.energy_eV_per_atom * len(one.atoms))
    assert one.arrays()["cell_A"].shape[1:] == (3, 3)
    assert len(everything.frame()) == len(everything) and "<table" in everything._repr_html_()
    for wrong, said in (
        ({"code": "emu"}, "code is 'emu'; did you mean emt"),
        ({"state": "finished"}, "state is 'finished'"),
        ({"formula": "Xx2"}, "Xx"),
        ({"pressure": 30}, "pressure is 30; it takes the lowest and the highest"),
    ):
        with pytest.raises(InputError, match=said):
            megabar.results(**wrong)


@pytest.mark.slow
def test_a_stored_study_by_name(notebook: Path):
    study = megabar.open("cuau")
    assert (study.name, study.kind, study.state, study.file) == ("cuau", "stability", "complete", None)
    assert study.plan.complete and study.plan.name == "cuau"
    assert study.definition["system"] == "Cu-Au" and len(study.results()) > 8
    assert study.report("report").is_file()
    with pytest.raises(InputError, match=r"there is no study 'cuua' in the database; did you mean cuau\?"):
        megabar.open("cuua")


def test_mistakes_are_input_errors_that_name_the_file(notebook: Path):
    Path("wrong.yaml").write_text(CU.replace("system: Cu", "sistem: Cu"))
    with pytest.raises(megabar.InputError, match=r"wrong\.yaml, line 2: unknown key `sistem`; did you mean system"):
        megabar.open("wrong.yaml")
    Path("never.yaml").write_text(CU.replace("step: 20", "step: 10"))
    never = megabar.open("never.yaml")
    assert never.state == "not run" and "not run" in repr(never)
    with pytest.raises(megabar.InputError, match="is not in the database; start it with"):
        never.answer()
    with pytest.raises(megabar.InputError, match="workers is 0"):
        never.run(workers=0)
    assert issubclass(megabar.SetupError, megabar.InputError) and megabar.SetupError is SetupError


def test_sessions_of_other_folders_are_apart_and_close(notebook: Path, tmp_path: Path):
    with megabar.connect(tmp_path / "data") as session:
        assert not session.anything_stored
        with pytest.raises(InputError, match="there are no results in"):
            session.studies()
    with megabar.connect() as session:
        assert list(session.studies()["name"]).count("cuau") == 1
        client = session.store.client
        assert client.admin.command("ping")
    with pytest.raises(Exception, match="after close"):
        client.admin.command("ping")
    assert session.open("cuau").state == "complete"  # what is asked for next opens it again
    session.close()


def test_a_table_and_a_spectrum(notebook: Path):
    answer = megabar.hull("nahe.csv")
    document = hull_of(["nahe.csv"], 200.0)
    assert json.loads(json.dumps(answer.json(at=200.0))) == json.loads(json.dumps(document))
    assert answer.transitions["pressure_GPa"].tolist() == pytest.approx([121.7], abs=0.1)
    assert np.isnan(answer.transitions["error_GPa"]).all()
    assert {entry.entry_id for entry in answer.phase_diagram(200).stable_entries} == {"Na-bcc", "He-hcp", "Na2He"}
    found = megabar.tc("al.a2f", mu_star=0.1)
    assert found.tc_K == found.json()["tc_eliashberg_K"] and found.tc_K < megabar.tc("al.a2f", mu_star=0.05).tc_K
    spectrum = found.alpha2f()
    assert spectrum["lambda"].iloc[-1] == pytest.approx(found.lambda_)
    assert len(found.figure().axes) >= 1 and "Eliashberg" in repr(found)
    axes = Figure().subplots()
    assert found.figure(axes) is axes.figure and axes.lines and axes.get_xlabel() == found.figure().axes[0].get_xlabel()
    with pytest.raises(InputError, match="mu"):
        megabar.tc("al.a2f", mu_star=3.0)
    with pytest.raises(InputError, match="one file at a time"):
        megabar.hull("nahe.csv", "cuau")
    with pytest.raises(InputError, match="needs a table"):
        megabar.hull()


@pytest.mark.slow
def test_tc_of_a_study(tmp_path: Path):
    folder = unpacked("alh_q222", tmp_path)
    _, found, _ = study_with(folder, (2, 2, 2), "AlH-rocksalt", "AlH", mu_star=(0.1, 0.13), isotopes={"H": 2.014})
    answer = KINDS["superconductivity"].view(found)
    [at] = answer.json()["pressures"]
    tc = answer.tc
    assert len(tc) == 4 and set(tc["isotopes"]) == set(at["tc"]) and list(tc["mu_star"].unique()) == [0.1, 0.13]
    natural = tc[tc["isotopes"] == "natural"]
    assert natural["tc_eliashberg_K"].tolist() == [row["tc_eliashberg_K"] for row in at["tc"]["natural"]]
    assert natural["lambda_error"].notna().all() and (tc["missing"] == "").all()
    spectrum = answer.alpha2f(20.0)
    assert spectrum["lambda"].iloc[-1] == pytest.approx(natural["lambda"].iloc[0])
    assert answer.figure(answer_figure := next(iter(answer.figure_names()))).axes, answer_figure
    for name, count in (("alpha2f-20GPa", 1), ("dispersion-20GPa", 3), ("tc-smearing-20GPa", 2), ("tc-pressure", 1)):
        axes = np.ravel(Figure(figsize=(9, 3)).subplots(1, count))
        assert answer.figure(name, ax=axes) is axes[0].figure and all(each.has_data() for each in axes), name
    assert "AlH-rocksalt" in repr(answer) and "<h4>tc</h4>" in answer._repr_html_()
    for wrong, said in (
        (lambda: answer.entries(20.0), "no hull, so it has no entries"),
        (lambda: answer.alpha2f(30.0), r"has not the pressure 30 GPa \(it has 20\)"),
        (lambda: answer.alpha2f(20.0, "D"), "there is no α²F of D at 20 GPa"),
        (lambda: answer.figure("hull"), "there is no panel 'hull'"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()


SCRIPT = """\
import megabar
study = megabar.open("cu.yaml")
print(len(study.run(workers=1).stable), study.state)
"""


@pytest.mark.slow
def test_a_script_needs_no_main_guard_and_ends(notebook: Path):
    Path("script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout.strip()) == (0, "1 complete"), done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


INTERRUPTED = """\
import os, signal, threading, time
from pathlib import Path

import megabar, psutil

def interrupt():
    while not list(Path(".megabar/calculations").glob("*/*/result.json")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

study = megabar.open("cuau.yaml")
threading.Thread(target=interrupt).start()
try:
    study.run(workers=1)
except KeyboardInterrupt:
    children = psutil.Process().children(recursive=True)
    workers = [each for each in children if "workers.worker" in " ".join(each.cmdline())]
    print("stopped", len(workers))
before = len(study.results())
study.run(workers=1)
print(study.state, 0 < before < len(study.results()))
"""


@pytest.mark.slow
def test_a_run_that_is_interrupted_leaves_no_worker_and_goes_on(tmp_path: Path):
    with working_in(tmp_path):
        Path("interrupted.py").write_text(INTERRUPTED)
        command = [sys.executable, "interrupted.py"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
        assert (done.returncode, done.stdout.splitlines()) == (0, ["stopped 0", "complete True"]), done.stderr
