"""Where spin matters and nothing here knows of it: which phases, and that a user sees it beside the number."""

from __future__ import annotations

import pytest
from rich.console import Console

from megabar.launchers.cli.printing import phases_picture
from megabar.structures.library import phases_of
from megabar.structures.magnetism import spin_matters
from megabar.workflows.kinds.stability.text import hull_text


@pytest.mark.parametrize("elements", [{"Fe"}, {"Fe", "O"}, {"Ni", "O"}, {"O"}, {"Ti", "O"}, {"Gd"}, {"U", "O"}])
def test_matter_that_may_be_magnetic_is_told(elements):
    assert spin_matters(elements)


@pytest.mark.parametrize("elements", [{"Na", "He"}, {"H", "S"}, {"Mg", "Si", "O"}, {"Ti"}, {"Cu"}, {"C"}, {"Ca", "H"}])
def test_matter_that_is_not_magnetic_is_not(elements):
    assert not spin_matters(elements)


def _shown(picture) -> str:
    console = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(picture)
    console.file.close()
    return console.export_text()


def test_the_library_says_what_it_knows_of_spin():
    iron = _shown(phases_picture(phases_of(("Fe",))))
    assert "hcp iron comes out stable at all pressures" in iron and "not" in iron and "spin-polarised" in iron
    assert "0.5 eV/atom" in _shown(phases_picture(phases_of(("O",))))
    assert "spin" not in _shown(phases_picture(phases_of(("Na",))))


def test_a_transition_of_matter_that_may_be_magnetic_is_marked():
    transition = {
        "pressure_GPa": 10.0, "error_GPa": 1.0, "error_parts_GPa": {"interpolation": 0.6, "protocol": 0.8},
        "reaction": "Fe-bcc → Fe-hcp", "phases": ["Fe-bcc", "Fe-hcp"], "resolved": True,
    }  # fmt: skip
    answer = {"stable": [], "transitions": [transition], "not_spin_polarised": ["Fe-hcp"], "notes": []}
    assert "(interpolation 0.6, protocol 0.8, without spin)" in hull_text(answer)
    assert "without spin" not in hull_text({**answer, "not_spin_polarised": ["Ni"]})
