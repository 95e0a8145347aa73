"""The data of the library, every entry."""

from __future__ import annotations

import itertools
import re
from importlib import resources
from typing import Any

import numpy as np
import pytest
import yaml
from ase.data import atomic_masses, atomic_numbers, covalent_radii

from megabar.structures.composition import parse_formula, parse_system, reduced
from megabar.structures.contacts import shortest_distances
from megabar.structures.errors import InputError
from megabar.structures.library import find_phase, gaps_of, library, phases_of
from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume
from megabar.structures.symmetry import primitive, space_group

REQUIRED = {"name", "group", "cell", "atoms", "pressure_GPa", "known_GPa", "bulk_modulus_GPa", "source"}
OPTIONAL = {"origin", "insulating", "doi", "note"}


def files() -> dict[str, Any]:
    folder = resources.files("megabar.structures").joinpath("library")
    return {each.name: yaml.safe_load(each.read_text(encoding="utf-8")) for each in folder.iterdir()}


def entries() -> list[tuple[str, dict[str, Any]]]:
    return [(content["system"], entry) for _, content in sorted(files().items()) for entry in content["phases"]]


ENTRIES = entries()
by_name = pytest.mark.parametrize(("system", "entry"), ENTRIES, ids=[entry["name"] for _, entry in ENTRIES])


def test_names_are_unique() -> None:
    names = [entry["name"].lower() for _, entry in ENTRIES]
    assert len(set(names)) == len(names) == len(library())


def test_files_hold_what_their_names_say() -> None:
    for name, content in files().items():
        assert set(content) <= {"system", "gaps", "phases"}, name
        elements = parse_system(content["system"])
        assert name == "-".join(elements) + ".yaml"
        assert list(elements) == sorted(elements)


@by_name
def test_entries_are_complete_and_have_a_source(system: str, entry: dict[str, Any]) -> None:
    assert set(entry) >= REQUIRED
    assert set(entry) <= REQUIRED | OPTIONAL
    assert len(entry["source"].strip()) > 15
    assert re.fullmatch(r"(10\.\d{4,5}/\S+)?", entry.get("doi", ""))
    low, high = entry["known_GPa"]
    assert 0 <= low < high
    assert entry["bulk_modulus_GPa"] > 0
    assert set(library()[entry["name"]].counts) == set(parse_system(system))


@by_name
def test_the_space_group_is_the_one_that_it_says(system: str, entry: dict[str, Any]) -> None:
    atoms = library()[entry["name"]].atoms
    for symprec in (1e-4, 1e-2):
        assert space_group(atoms, symprec).number == entry["group"]
    assert len(primitive(atoms)) == len(atoms)


@by_name
def test_the_name_is_the_formula_and_a_label(system: str, entry: dict[str, Any]) -> None:
    phase = library()[entry["name"]]
    formula, _, label = phase.name.partition("-")
    assert reduced(parse_formula(formula)) == phase.counts
    assert label or phase.name in ("Na2He", "MgB2")
    assert phase.formula == formula


@by_name
def test_distances_and_density_are_those_of_matter(system: str, entry: dict[str, Any]) -> None:
    phase = library()[entry["name"]]
    for (first, second), distance in shortest_distances(phase.atoms).items():
        radii = covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]]
        assert 0.55 * radii < distance
        if first == second:
            assert distance < 4.5
    mass = np.mean([atomic_masses[number] for number in phase.atoms.numbers])
    density = mass * 1.66054 / phase.volume_per_atom
    assert 0.2 < density < 15


@pytest.mark.parametrize("name", ["H2S-P2c", "H2S-Pc", "H2S-Pmc21", "H2S-P-1", "H2S-Cmca"])
def test_hydrogen_sulfide_has_bonds_of_its_length(name: str) -> None:
    assert shortest_distances(library()[name].atoms)[("H", "S")] == pytest.approx(1.37, abs=0.05)


@pytest.mark.parametrize("name", ["H-Pca21", "H-C2c", "H-Cmca-12", "H-Cmca-4"])
def test_molecular_hydrogen_has_bonds_of_its_length(name: str) -> None:
    assert shortest_distances(library()[name].atoms)[("H", "H")] == pytest.approx(0.75, abs=0.03)


def pairs() -> list[tuple[Phase, Phase]]:
    """Phases of one composition that follow one another with pressure and whose cells are not far apart."""
    found = []
    in_sequence = (phase for phase in library().values() if phase.name != "Si-BC8")  # metastable, recovered at 0 GPa
    for first, second in itertools.combinations(in_sequence, 2):
        if first.formula == second.formula:
            low, high = sorted((first, second), key=lambda phase: sum(phase.known_GPa))
            if abs(low.pressure_GPa - high.pressure_GPa) < 0.5 * max(low.pressure_GPa, high.pressure_GPa) + 20:
                found.append((low, high))
    return found


@pytest.mark.parametrize(("low", "high"), pairs(), ids=lambda phase: phase.name)
def test_the_phase_of_higher_pressure_is_the_denser_one(low: Phase, high: Phase) -> None:
    """A wrong volume or pressure in the data shows here: at one pressure, volumes fall along a sequence of phases.

    Within the 10 % to which a guess is good.
    """
    pressure = (low.pressure_GPa + high.pressure_GPa) / 2
    ratio = guess_volume(high, pressure) / guess_volume(low, pressure)
    assert ratio < 1.1
    assert ratio > (0.6 if pressure < 10 else 0.8)


def test_what_the_examples_need_is_there() -> None:
    for name in ("Na-bcc", "Na-fcc", "Na-cI16", "Na-oP8", "Na-hP4", "He-hcp", "He-fcc", "Na2He"):
        assert name in library()
    sodium = {phase.name for phase in phases_of(["Na", "He"])}
    assert {"Na2He", "He-hcp", "Na-hP4"} <= sodium
    hydrides = phases_of(("H", "S"))
    for formula, low, high in (("H", 10, 250), ("S", 10, 250), ("H2S", 10, 250), ("H3S", 40, 300)):
        of_it = [phase for phase in hydrides if phase.formula == formula]
        assert min(phase.known_GPa[0] for phase in of_it) <= low
        assert max(phase.known_GPa[1] for phase in of_it) >= high
        assert sum(len(phase.atoms) <= 16 for phase in of_it) >= 2


def test_phases_of_a_system_are_those_of_its_subsystems_and_no_others() -> None:
    assert all(set(phase.counts) <= {"Mg", "O"} for phase in phases_of(["Mg", "O"]))
    assert {phase.formula for phase in phases_of(["Mg", "O"])} == {"Mg", "O", "MgO"}
    assert phases_of(["Xe"]) == []


def test_gaps_are_told() -> None:
    assert any("tI19" in gap for gap in gaps_of(["Na", "He"]))
    assert all(gap.startswith(("Na:", "He:", "He-Na:")) for gap in gaps_of(["Na", "He"]))


def test_a_phase_is_found_whatever_the_case() -> None:
    assert find_phase("na-HP4") is library()["Na-hP4"]
    assert find_phase(" Na2He ") is library()["Na2He"]


def test_an_unknown_phase_is_told_with_the_nearest_names() -> None:
    with pytest.raises(InputError, match=r"'Na-hP5'; did you mean .*Na-hP4"):
        find_phase("Na-hP5")
    with pytest.raises(InputError) as caught:
        find_phase("unobtainium")
    assert "did you mean" not in str(caught.value)
