"""Fixtures of several test modules."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # modules that are no tests: slurm_cluster
from slurm_cluster import SlurmCluster, missing_programs, private_slurm


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A private Slurm for the whole session; skips where Slurm is not installed."""
    lacking = missing_programs()
    if lacking:
        pytest.skip(f"Slurm is not installed: no {', '.join(lacking)} (Debian: apt-get install slurm-wlm munge)")
    with private_slurm() as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The private Slurm with nothing in its queue, the one that this process and what it starts use."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_cluster.configuration))
    yield slurm_cluster
    slurm_cluster.wait_until_empty()
