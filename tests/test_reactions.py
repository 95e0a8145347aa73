"""Reactions: balanced exactly and written as chemists do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megabar.analysis.reactions import balance, make_reaction, unit_formula
from megabar.structures.composition import parse_formula


def test_decomposition_as_chemists_write_it():
    reaction = make_reaction([("H2S-P2c", "H2S")], [("S-bco", "S"), ("H3S-R3m", "H3S")], ("H", "S"))
    assert reaction.text == "3 H2S → 2 H3S + S"
    assert reaction.phases_text == "3 H2S-P2c → 2 H3S-R3m + S-bco"
    # 9 atoms: 8 in H3S, 1 in S.
    assert reaction.atom_fractions == pytest.approx({"H2S-P2c": -1, "H3S-R3m": 8 / 9, "S-bco": 1 / 9})


def test_formation_lists_the_elements_as_the_compound_does():
    reaction = make_reaction([("He-hcp", "He2"), ("Na-hP4", "Na4")], [("Na2He-Fm-3m", "Na2He")], ("Na", "He"))
    assert reaction.text == "2 Na + He → Na2He"
    assert reaction.phases_text == "2 Na-hP4 + He-hcp → Na2He-Fm-3m"


def test_polymorphs_are_told_by_their_names():
    assert make_reaction([("Na-bcc", "Na")], [("Na-fcc", "Na4")], ("Na",)).text == "Na-bcc → Na-fcc"
    assert make_reaction([("bcc", "Na")], [("fcc", "Na")], ("Na",)).text == "Na (bcc) → Na (fcc)"
    bridgmanite = make_reaction([("bridgmanite", "MgSiO3")], [("post-perovskite", "Mg2Si2O6")], ("Mg", "Si", "O"))
    assert bridgmanite.text == "MgSiO3 (bridgmanite) → MgSiO3 (post-perovskite)"


def test_molecules_stay_molecules_where_the_user_wrote_them():
    assert [unit_formula(f) for f in ("H2", "H4", "H", "Na2", "S8", "O2", "Na4He2")] == [
        "H2",
        "H2",
        "H",
        "Na",
        "S",
        "O2",
        "Na2He",
    ]
    assert make_reaction([("a", "H2S")], [("b", "H2"), ("c", "S")], ("H", "S")).text == "H2S → H2 + S"
    assert make_reaction([("a", "H3S")], [("b", "H2"), ("c", "S")], ("H", "S")).text == "2 H3S → 3 H2 + 2 S"
    assert make_reaction([("a", "H2")], [("b", "H")], ("H",)).text == "H2 (a) → 2 H (b)"


def test_exchange():
    before, after = [("a", "Mg2Si"), ("b", "SiO2")], [("c", "MgO"), ("d", "Si")]
    assert make_reaction(before, after, ("Mg", "Si", "O")).text == "Mg2Si + SiO2 → 2 MgO + 2 Si"


def test_large_numbers_stay_exact():
    assert balance(["Ca397H401", "Ca", "H"]) == (-1, 397, 401)
    assert balance(["Na2He", "NaHe3", "Na7He2"]) == (-19, 3, 5)


@pytest.mark.parametrize(
    "formulas", [["Na", "He"], ["Na", "Na", "Na"], ["Na", "He", "Na2He", "NaHe"], ["Na", "He", "H", "Na2He"]]
)
def test_no_single_reaction(formulas):
    with pytest.raises(ValueError, match=r"reaction"):
        balance(formulas)


def test_direction_is_checked():
    with pytest.raises(ValueError, match="direction"):
        make_reaction([("a", "Na"), ("b", "Na2He")], [("c", "He")], ("Na", "He"))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(a=st.tuples(st.integers(1, 9), st.integers(1, 9)), b=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_atoms_balance(a, b):
    formulas = [f"H{a[0]}S{a[1]}", f"H{b[0]}S{b[1]}", "S"]
    if a[0] * b[1] == a[1] * b[0]:
        return
    numbers = balance(formulas)
    for symbol in "HS":
        assert sum(n * parse_formula(f).get(symbol, 0) for n, f in zip(numbers, formulas, strict=True)) == 0
