"""The hull at one pressure: against pymatgen's PhaseDiagram on random data, and where data are degenerate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.analysis.hull import compositions, hull_at, hulls_at
from megabar.analysis.tables import TabulatedCurve

ELEMENTS = ("Na", "Cl", "S", "O")


def random_entries(rng, elements, count):
    """Formulas (every element at least once) and enthalpies of the order of total energies."""
    formulas = list(elements)
    while len(formulas) < count:
        numbers = rng.integers(0, 7, len(elements))
        if numbers.any():
            formulas.append("".join(f"{e}{n}" for e, n in zip(elements, numbers, strict=True) if n))
    order = rng.permutation(count)
    shift = rng.normal(-2000, 900, len(elements))
    formulas = [formulas[i] for i in order]
    entries = compositions(formulas)
    columns = [entries.elements.index(element) for element in elements]
    return formulas, entries, entries.fractions[:, columns] @ shift


def phase_diagram(formulas, enthalpies):
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    entries = []
    for formula, enthalpy in zip(formulas, enthalpies, strict=True):
        composition = Composition(formula)
        entries.append(PDEntry(composition, enthalpy * composition.num_atoms))
    return PhaseDiagram(entries), entries


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), number=st.integers(2, 4), count=st.integers(5, 18))
def test_same_as_pymatgen(seed, number, count):
    rng = np.random.default_rng(seed)
    formulas, entries, base = random_entries(rng, ELEMENTS[:number], count)
    enthalpies = base + rng.normal(-0.1, 0.3, count)
    hull = hull_at(entries, enthalpies)
    diagram, theirs = phase_diagram(formulas, enthalpies)
    for i, entry in enumerate(theirs):
        # 1e-9 eV: rounding of total energies of 1e3 eV/atom in both.
        assert hull.above_eV[i] == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-9)
        assert hull.formation_eV[i] == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=1e-9)
        assert hull.vertex[i] == (entry in diagram.stable_entries)
        decomposition = diagram.get_decomposition(entry.composition)
        expected = {theirs.index(other): share for other, share in decomposition.items() if share > 1e-9}
        assert hull.decomposition(i) == pytest.approx(expected, abs=1e-7)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), number=st.integers(2, 4), count=st.integers(5, 40))
def test_degenerate_data_have_the_same_heights_as_in_pymatgen(seed, number, count):
    """Enthalpies in steps of 0.1 eV: many ties, many entries on tie lines."""
    rng = np.random.default_rng(seed)
    formulas, entries, _ = random_entries(rng, ELEMENTS[:number], count)
    enthalpies = np.round(rng.normal(0, 0.15, count), 1)
    hull = hull_at(entries, enthalpies)
    diagram, theirs = phase_diagram(formulas, enthalpies)
    expected = [diagram.get_e_above_hull(entry) for entry in theirs]
    np.testing.assert_allclose(hull.above_eV, expected, atol=1e-9)
    # The mixtures that are named lie on the hull and have the composition of the entry.
    mixed = np.einsum("nk,nk->n", hull.shares, enthalpies[hull.competing])
    np.testing.assert_allclose(enthalpies - mixed, hull.above_eV, atol=1e-9)
    np.testing.assert_allclose(
        np.einsum("nk,nkj->nj", hull.shares, entries.fractions[hull.competing]), entries.fractions, atol=1e-9
    )
    assert (hull.shares > -1e-9).all()


def test_five_elements():
    rng = np.random.default_rng(3)
    formulas, entries, base = random_entries(rng, (*ELEMENTS, "Mg"), 30)
    enthalpies = base + rng.normal(-0.2, 0.3, 30)
    diagram, theirs = phase_diagram(formulas, enthalpies)
    expected = [diagram.get_e_above_hull(entry) for entry in theirs]
    np.testing.assert_allclose(hull_at(entries, enthalpies).above_eV, expected, atol=1e-9)


def test_one_element():
    hull = hull_at(compositions(["Na", "Na2", "Na"]), np.array([-1.0, -1.25, -1.25]))
    np.testing.assert_allclose(hull.above_eV, [0.25, 0, 0])
    assert hull.vertex.tolist() == [False, True, False]  # of equal ones the first
    assert hull.decomposition(0) == {1: 1.0}
    assert hull.decomposition(1) == {1: 1.0}


def test_nothing_but_elements():
    hull = hull_at(compositions(["Mg", "Si", "O", "O2"]), np.array([1.0, 2.0, 3.0, 3.5]))
    assert hull.vertex.tolist() == [True, True, True, False]
    np.testing.assert_allclose(hull.above_eV, [0, 0, 0, 0.5])


def test_compound_level_with_its_elements_is_on_the_hull_but_no_corner():
    hull = hull_at(compositions(["Na", "He", "Na2He"]), np.array([-3.0, 0.0, -2.0]))
    assert hull.vertex.tolist() == [True, True, False]
    assert hull.above_eV[2] == pytest.approx(0, abs=1e-12)


def test_collinear_compounds_in_a_ternary():
    """All compounds on one line inside the ternary, as MgO–SiO2 in Mg–Si–O, level with each other."""
    formulas = ["Mg", "Si", "O", "MgO", "SiO2", "MgSiO3", "Mg2SiO4"]
    entries = compositions(formulas)
    fraction = dict(zip(formulas, entries.fractions[:, entries.elements.index("O")], strict=True))
    enthalpies = np.array([-3.0 * fraction[formula] if len(formula) > 2 else 0.0 for formula in formulas])
    hull = hull_at(entries, enthalpies)
    diagram, theirs = phase_diagram(formulas, enthalpies)
    np.testing.assert_allclose(hull.above_eV, [diagram.get_e_above_hull(e) for e in theirs], atol=1e-9)


def test_phase_without_data_takes_no_part():
    entries = compositions(["Na", "He", "Na2He", "NaHe"])
    hull = hull_at(entries, np.array([0.0, 0.0, np.nan, -0.2]))
    assert np.isnan(hull.above_eV[2])
    assert hull.decomposition(2) == {}
    assert hull.vertex.tolist() == [True, True, False, True]


def test_element_without_data_leaves_its_compounds_undefined():
    entries = compositions(["Na", "Na", "He", "Na2He", "S", "Na2S"])
    hull = hull_at(entries, np.array([0.0, 0.1, np.nan, -1.0, 0.0, -0.5]))
    assert hull.undefined == ("He",)
    assert np.isnan(hull.above_eV[[2, 3]]).all()
    np.testing.assert_allclose(hull.above_eV[[0, 1, 4, 5]], [0, 0.1, 0, 0])
    nothing = hull_at(entries, np.full(6, np.nan))
    assert set(nothing.undefined) == {"Na", "He", "S"}
    assert np.isnan(nothing.above_eV).all()
    assert not nothing.vertex.any()


def test_curves_take_part_where_they_are_known():
    def flat(phase, formula, low, high, enthalpy):
        return TabulatedCurve(phase, formula, np.array([low, high]), np.full(2, enthalpy), np.full(2, np.nan))

    curves = [flat("Na", "Na", 0.0, 100.0, 0.0), flat("He", "He", 0.0, 50.0, 0.0), flat("c", "NaHe", 0.0, 80.0, -0.1)]
    low, middle, outside = hulls_at(curves, [10.0, 60.0, 120.0])
    np.testing.assert_allclose(low.formation_eV, [0, 0, -0.1])
    np.testing.assert_array_equal(middle.formation_eV, [0, np.nan, np.nan])
    assert np.isnan(outside.formation_eV).all()
    assert low.pressure_GPa == 10
