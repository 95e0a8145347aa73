"""Published Tc that stand beside ours: each with its source, those of other isotopes apart."""

import re

from megabar.analysis.superconductivity.published import entries
from megabar.structures.composition import parse_formula

DEUTERIUM = {"H": 2.014}


def test_every_value_has_formula_pressure_and_source() -> None:
    for each in (*entries(), *entries(DEUTERIUM)):
        assert parse_formula(each["formula"])
        assert set(each) == {"formula", "pressure_GPa", "tc_K", "measured", "source"}
        assert 0 <= each["pressure_GPa"] < 1000
        assert 0 <= each["tc_K"] < 300
        assert re.search(r"doi:10\.\d{4,}/\S|arXiv:\S", each["source"]), each["source"]


def test_deuteride_is_apart_and_lower() -> None:
    light = [each["tc_K"] for each in entries() if each["formula"] == "H3S" and each["measured"]]
    heavy = [each["tc_K"] for each in entries(DEUTERIUM)]
    assert max(light) == 203
    assert heavy == [147, 166]
    assert entries({"H": 3.016}) == ()
