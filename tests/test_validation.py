"""The page of published results is what the kept answers make, and every row can be traced and repeated."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def validation():
    spec = importlib.util.spec_from_file_location("validation", ROOT / "benchmarks" / "validation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_kept_answers_make(validation):
    assert validation.PAGE.read_text(encoding="utf-8") == validation.page()


def test_every_row_has_a_source_and_a_command_and_every_answer_is_small_and_used(validation):
    rows = validation.rows()
    assert len(rows) >= 9
    for row in rows:
        assert row["source"] and "megabar " in row["command"]
        words = [word for word in row["command"].split() if word.startswith(("examples/", "tests/"))]
        assert all((ROOT / word).is_file() for word in words)
    kept = {path.name: path for path in validation.KEPT.glob("*.json")}
    assert set(kept) == {row["answer"] for row in rows}
    assert all(path.stat().st_size < 50_000 and json.loads(path.read_text()) for path in kept.values())


def test_numbers_are_picked_by_what_they_belong_to(validation):
    answer = {"transitions": [{"reaction": "a → b", "pressure_GPa": 1.0}, {"reaction": "b → c", "pressure_GPa": 2.0}]}
    assert validation.pick(answer, ["transitions", {"reaction": "b → c"}, "pressure_GPa"]) == 2.0
    with pytest.raises(KeyError, match="0 entries"):
        validation.pick(answer, ["transitions", {"reaction": "c → d"}, "pressure_GPa"])
    assert validation.within({"published": [2.0, 3.0], "value": 4.0, "error": 0.5}) == "2.0 ±"
    assert validation.within({"published": 4.0, "value": 5.0, "error": None}) == "25 %"
