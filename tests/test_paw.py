"""PAW sets of small radius: recipes, choice, generation by GPAW, and the equations of state they give."""

import gzip
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import Bohr, GPa

from megabar.structures.errors import SetupError
from megabar.structures.symmetry import primitive
from megabar.workflows.codes.gpaw.calculator import setup_data
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import Config
from megabar.workflows.paw.choice import CLOSENESS, Candidate, candidates, choose
from megabar.workflows.paw.generate import (
    Recipe,
    content_sha256,
    generated,
    gpaw_version,
    largest_radius_A,
    read_set,
)
from megabar.workflows.paw.location import located
from megabar.workflows.protocols import kpoint_grid

pytest.importorskip("gpaw")

HELIUM = Recipe("He", "1s,0.5s,0.0p", "1.2")
GENERATED = ["Al", "C", "Ca", "Fe", "H", "He", "K", "Li", "Mg", "Na", "O", "S", "Si"]


def test_the_key_depends_on_everything():
    keys = {
        HELIUM.key("26.7"),
        HELIUM.key("26.8"),
        Recipe("He", "1s,0.5s,0.0p", "1.0").key("26.7"),
        Recipe("He", "1s,0.5s", "1.2").key("26.7"),
        Recipe("He", "1s,0.5s,0.0p", "1.2", "LDA").key("26.7"),
    }
    assert len(keys) == 5


@pytest.mark.slow
def test_a_set_of_another_machine_is_found_or_made_here(tmp_path):
    config = Config(data=tmp_path / "here")
    [planned] = code("gpaw").atomic_data(["He"], "PBE", "fast", {("He", "He"): 1.0}, Config(data=tmp_path / "there"))
    assert planned.origin.startswith("generated: gpaw dataset He")
    moved = replace(planned, path=str(tmp_path / "gone" / "He.megabar.PBE"))
    here = located(moved, config.data / "paw")
    assert here.path.startswith(str(tmp_path / "here"))
    assert (here.sha256, here.origin) == (planned.sha256, planned.origin)
    assert setup_data(here).symbol == "He"
    with pytest.raises(SetupError, match="is not on this machine"):
        located(replace(moved, sha256="0" * 64), config.data / "paw")
    with pytest.raises(SetupError, match="is not on this machine"):
        located(replace(moved, origin="generated: gpaw rm -rf He"), config.data / "paw")
    own = code("gpaw").atomic_data(["Cu"], "PBE", "fast", {("Cu", "Cu"): 2.5}, config)[0]
    elsewhere = replace(own, path=f"/another/place/{Path(own.path).name}")
    assert located(elsewhere, config.data / "paw") == own
    with pytest.raises(SetupError, match="is not on this machine"):
        located(replace(elsewhere, sha256="0" * 64), config.data / "paw")


def test_radii_are_in_angstrom():
    assert Recipe("Na", "3s,3p", "1.2,1.6").radius_A == pytest.approx(1.6 * Bohr)


@pytest.mark.parametrize("element", GENERATED)
def test_recipes_go_from_large_to_small_and_harder(element):
    found = candidates(element, "PBE")
    radii = [each.radius_A for each in found]
    assert radii == sorted(radii, reverse=True)
    assert len(set(radii)) == len(radii) >= 1
    cutoffs = [each.cutoff_eV for each in found]
    assert cutoffs == sorted(cutoffs)


def test_sodium_and_helium_never_get_the_default_sets():
    chosen = choose(["Na", "He"], "PBE", "fast", {("Na", "Na"): 5.0, ("He", "Na"): 5.0, ("He", "He"): 5.0})
    assert all(each.recipe is not None for each in chosen.values())


def test_closer_atoms_get_smaller_spheres():
    far = choose(["C"], "PBE", "fast", {("C", "C"): 1.42})["C"]
    near = choose(["C"], "PBE", "fast", {("C", "C"): 1.15})["C"]
    assert far.recipe is None
    assert near.radius_A < far.radius_A
    assert 2 * near.radius_A <= CLOSENESS["fast"] * 1.15


def test_finer_protocols_keep_spheres_further_apart():
    # Na2He at 300 GPa: Na-Na 1.975 Å, Na-He 1.71 Å, He-He 2.79 Å (a = 3.95 Å; Dong et al. 2017).
    closest = {("Na", "Na"): 1.975, ("He", "Na"): 1.71, ("He", "He"): 2.79}
    fast, moderate, precise = (choose(["Na", "He"], "PBE", name, closest) for name in CLOSENESS)
    assert fast["Na"].radius_A == pytest.approx(1.6 * Bohr)
    assert moderate["Na"].radius_A <= fast["Na"].radius_A
    assert precise["Na"].radius_A <= moderate["Na"].radius_A
    for name, chosen in zip(CLOSENESS, (fast, moderate, precise), strict=True):
        for (one, other), distance in closest.items():
            assert chosen[one].radius_A + chosen[other].radius_A <= CLOSENESS[name] * distance


def test_the_smallest_spheres_are_taken_where_none_fit():
    chosen = choose(["Na"], "PBE", "precise", {("Na", "Na"): 0.5})["Na"]
    assert chosen == candidates("Na", "PBE")[-1]


def test_elements_without_recipe_get_the_default_set():
    (only,) = candidates("Ne", "PBE")
    assert only.recipe is None
    assert only.radius_A == pytest.approx(1.8 * Bohr, rel=0.2)


def test_elements_without_any_set_are_told():
    with pytest.raises(SetupError, match=r"no PAW set Pu\.PBE; install"):
        candidates("Pu", "PBE")


def test_candidates_are_plain_values():
    assert Candidate("Na", 1.0, 600.0) == Candidate("Na", 1.0, 600.0)


def test_compressed_sets_hash_as_their_content(tmp_path):
    plain, packed = tmp_path / "X.PBE", tmp_path / "X.PBE.gz"
    plain.write_bytes(b"<paw_setup/>")
    packed.write_bytes(gzip.compress(b"<paw_setup/>"))
    assert content_sha256(plain) == content_sha256(packed)
    with pytest.raises(SetupError, match="names no cutoff radius"):
        largest_radius_A(plain)


def test_unreadable_sets_are_told(tmp_path):
    broken = tmp_path / "X.PBE.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(SetupError, match="cannot be read"):
        read_set(broken)
    with pytest.raises(SetupError, match="cannot be read"):
        read_set(tmp_path / "none")


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be kept there"):
        generated(HELIUM, tmp_path / "file" / "paw")


@pytest.mark.slow
def test_a_recipe_that_gpaw_refuses_is_told(tmp_path):
    with pytest.raises(SetupError, match=r"`gpaw dataset He .*` made no PAW set; it said"):
        generated(Recipe("He", "nonsense", "1.0"), tmp_path)
    assert not list(tmp_path.glob("*/*.PBE"))


@pytest.mark.slow
def test_two_processes_at_once_make_one_set(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(generated, [(HELIUM, tmp_path)] * 2)
    assert first == second == tmp_path / HELIUM.key(gpaw_version()) / "He.megabar.PBE"
    assert largest_radius_A(first) == pytest.approx(HELIUM.radius_A)
    assert not list(tmp_path.glob("making-*"))
    stamp = first.stat().st_mtime_ns
    assert generated(HELIUM, tmp_path).stat().st_mtime_ns == stamp


def _cell(element: str) -> Atoms:
    """The primitive cell of the all-electron reference; bcc for Li and Na instead of nine layers."""
    from ase.collections import dcdft

    if element in ("Li", "Na"):
        return bulk(element, "bcc")
    atoms = dcdft[element]
    atoms.set_initial_magnetic_moments(None)
    return primitive(atoms)


@pytest.mark.slow
@pytest.mark.parametrize(
    "element",
    [
        "Al",
        pytest.param("Ca", marks=pytest.mark.thorough),
        pytest.param("Li", marks=pytest.mark.thorough),
        pytest.param("Na", marks=pytest.mark.thorough),
    ],
)
def test_equation_of_state_is_the_all_electron_one(element, tmp_path):
    """V0 within 0.6 % and B0 within 8 % of WIEN2k for the smallest spheres that 900 eV serve.

    Found: Al +0.2 %, Ca 0.0, Li +0.1, Mg +0.1; B0 of five volumes on these k-points scatters by 3-7 %. Na gets 1 %:
    it is bcc here and nine layers in the reference, and radii of 1.2, 1.4 and 1.6 bohr agree on -0.8 % to 0.05 %.
    C (r 1.0, graphite) at +0.1 %, Si (r 1.4) at +0.4 % and K (r 1.8) at +0.8 % were checked once by hand.
    """
    from ase.collections import dcdft
    from ase.eos import EquationOfState

    config = Config(data=tmp_path)
    reference = dcdft.data[element]
    start = _cell(element)
    smallest = {each.radius_A for each in candidates(element, "PBE") if each.cutoff_eV <= 900}
    closest = {(element, element): 2 * min(smallest)}
    data = code("gpaw").atomic_data([element], "PBE", "fast", closest, config)
    assert data[0].origin.startswith("generated")
    settings = code("gpaw").settings(Request(start, "moderate", "PBE", False, data))
    settings["kpoints"] = kpoint_grid(start, 3.5)
    volumes = reference["wien2k_volume"] * np.array([0.94, 0.97, 1.0, 1.03, 1.06])
    energies = []
    for number, volume in enumerate(volumes):
        atoms = start.copy()
        atoms.set_cell(start.cell * (volume * len(start) / start.get_volume()) ** (1 / 3), scale_atoms=True)
        atoms.calc = code("gpaw").calculator(settings, data, atoms, tmp_path / str(number), config)
        energies.append(atoms.get_potential_energy() / len(atoms))
    volume, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    assert volume == pytest.approx(reference["wien2k_volume"], rel=0.01 if element == "Na" else 0.006)
    assert modulus / GPa == pytest.approx(reference["wien2k_B"], rel=0.08)
