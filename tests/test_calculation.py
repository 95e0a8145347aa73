"""Keys: equal for equal calculations whatever the form of their numbers, different for everything that matters."""

import json
from dataclasses import replace

import numpy as np
from ase.build import bulk

from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import AtomicData
from megabar.workflows.hashing import canonical
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Input
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.start import started_from

DATA = AtomicData("Na", "/somewhere/Na.UPF", "ab" * 32, 0.8, 500.0, "generated")
PLAIN = Calculation(
    code="gpaw",
    version="26.7.0",
    settings={"functional": "PBE", "cutoff_eV": 400.0, "kpoints": [8, 8, 8]},
    structure=Structure.of(bulk("Na", "bcc", a=4.2)),
    data=(DATA,),
)


def test_key_does_not_depend_on_the_form_of_the_numbers() -> None:
    same = replace(PLAIN, settings={"kpoints": (8, np.int64(8), 8), "cutoff_eV": 400.0 + 1e-9, "functional": "PBE"})
    assert same.key == PLAIN.key
    assert replace(PLAIN, data=(replace(DATA, path="/elsewhere", origin="copied"),)).key == PLAIN.key


def test_key_depends_on_all_that_matters() -> None:
    moved = bulk("Na", "bcc", a=4.2001)
    others = [
        replace(PLAIN, code="espresso"),
        replace(PLAIN, version="26.7.1"),
        replace(PLAIN, settings={**PLAIN.settings, "cutoff_eV": 400.1}),
        replace(PLAIN, structure=Structure.of(moved)),
        replace(PLAIN, data=(replace(DATA, sha256="cd" * 32),)),
        replace(PLAIN, task=Relax(0.01, 0.1, True)),
        replace(PLAIN, task=Relax(0.01, 0.1, False)),
        replace(PLAIN, task=Relax(0.01, 0.1, True), inputs=(Input("start", "a" * 40),)),
    ]
    keys = {each.key for each in others} | {PLAIN.key}
    assert len(keys) == len(others) + 1
    assert all(len(key) == 40 for key in keys)


def test_key_is_stable_across_releases() -> None:
    # Stored results are found by this key: a change of the format must be deliberate.
    assert PLAIN.key == "d16c6fd32a608c150fcc9ae96d71ce92d0fae6df"


def test_through_json_and_back() -> None:
    relaxed = replace(PLAIN, task=Relax(0.01, 0.1, True), inputs=(Input("start", "a" * 40),))
    again = Calculation.from_dict(json.loads(json.dumps(relaxed.to_dict())))
    assert again.key == relaxed.key
    assert again.structure == relaxed.structure


def test_negative_zero_is_zero() -> None:
    assert json.dumps(canonical(-0.0)) == "0.0"
    assert canonical({"b": 1, "a": (1.5, None, True)}) == {"a": [1.5, None, True], "b": 1}


def test_started_from_scales_the_relaxed_cell() -> None:
    relaxed = Structure.of(bulk("Na", "hcp", a=3.0, c=5.5))
    wanted = replace(PLAIN, structure=Structure.of(bulk("Na", "hcp", a=2.8, c=4.6)))
    atoms = started_from(wanted, [relaxed])
    assert np.isclose(atoms.get_volume() / 2, wanted.structure.volume_per_atom, rtol=1e-7)
    lengths = atoms.cell.lengths()
    assert np.isclose(lengths[2] / lengths[0], 5.5 / 3.0, rtol=1e-7)


def test_started_from_continues_two_neighbours() -> None:
    ratios = {4.0: 1.60, 3.2: 1.64}  # a (Å): c/a
    near, far = (Structure.of(bulk("Na", "hcp", a=a, c=a * ratios[a])) for a in (3.2, 4.0))
    volume = near.volume_per_atom**2 / far.volume_per_atom  # as far from the near one as that is from the far one
    a = (2 * volume * 2 / (3**0.5 * 1.62)) ** (1 / 3)
    wanted = replace(PLAIN, structure=Structure.of(bulk("Na", "hcp", a=a, c=a * 1.62)))
    lengths = started_from(wanted, [near, far]).cell.lengths()
    assert np.isclose(lengths[2] / lengths[0], 1.68, atol=2e-3)
