"""The campaign of benchmarks/fault_campaign.py in small: every result is there once, whatever was killed or taken."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent.parent / "benchmarks" / "fault_campaign.py"


@pytest.mark.slow
def test_killed_at_random_every_result_is_there_once(tmp_path: Path) -> None:
    words = [sys.executable, str(CAMPAIGN), "--calculations", "24", "--seed", "3", "--commands", "1", "--json"]
    done = subprocess.run([*words, "--folder", str(tmp_path)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["results"] == found["calculations"] >= 24
    assert sum(found["faults"].values()) >= 3
    assert (found["missing"], found["ended_otherwise"], found["endings_without_a_sentence"]) == (0, 0, 0)
    assert found["failed"] + found["left"] > 0
    assert (found["stored_more_than_once"], found["computed_again"]) == (0, 0)
