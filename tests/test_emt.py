"""The toy code: ASE's EMT behind the interface of all codes."""

import numpy as np
import pytest
from ase.build import bulk

from megabar.structures.errors import InputError
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import ADAPTERS, CODES, code
from megabar.workflows.config import Config


def test_energy_and_stress_belong_together(tmp_path):
    emt = code("emt")
    data = emt.atomic_data(["Cu"], "EMT", "fast", {}, Config())
    settings = emt.settings(Request(bulk("Cu"), "fast", "EMT", False, data))

    def energy_and_stress(scale):
        atoms = bulk("Cu", a=3.4 * scale)
        atoms.calc = emt.calculator(settings, data, atoms, tmp_path, Config())
        return atoms.get_potential_energy(force_consistent=True), atoms.get_stress()[:3].mean(), atoms.get_volume()

    step = 1e-4
    (low, *_), (_, stress, volume), (high, *_) = (energy_and_stress(1 + shift) for shift in (-step, 0, step))
    # dE/d(scale) = 3 V σ; the central difference is exact to step² times the third derivative, some 1e-6 here.
    assert (high - low) / (2 * step) == pytest.approx(3 * volume * stress, rel=1e-5)


def test_it_is_a_toy_and_says_so():
    assert code("emt").toy
    assert not code("gpaw").toy


def test_unknown_elements_are_told():
    with pytest.raises(InputError, match="emt does not know Na, He; it knows Al, Cu"):
        code("emt").atomic_data(["Na", "Cu", "He"], "EMT", "fast", {}, Config())


def test_data_of_different_elements_differ():
    one, other = code("emt").atomic_data(["Cu", "Al"], "EMT", "fast", {}, Config())
    assert one.sha256 != other.sha256


def test_unknown_codes_are_told_with_the_nearest():
    with pytest.raises(InputError, match=r"no code 'gpw'; did you mean gpaw"):
        code("gpw")


def test_listing_the_codes_imports_none():
    import subprocess
    import sys

    script = (
        "import sys; from megabar.workflows.codes.registry import CODES; list(CODES); 'gpaw' in CODES;"
        "sys.exit(any(n.startswith('megabar.workflows.codes.') and n.split('.')[-1] in CODES for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name in ("gpaw", "emt")])
def test_adapters_carry_their_name(name):
    assert CODES[name].name == name
    assert np.all([isinstance(each, str) for each in CODES[name].functionals])
