"""N(ε) of the ground state of a study, for the Eliashberg equations of the full band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.band import Band, band
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.plan import TcRung
from megabar.workflows.store import CalculationRecord
from megabar.workflows.tasks.electrons import GroundState


def band_of(
    ground: TcRung | None,
    records: Mapping[str, CalculationRecord],
    histories: Callable[[str], Mapping[str, NDArray[Any]]],
) -> tuple[Band | None, tuple[str, ...]]:
    """Return N(ε) of a ground state, or None and the reason in words."""
    without = "no Tc with the density of states as it is over energy"
    record = records.get(ground.key) if ground else None
    said = GroundState().result(record, {}) if record else None
    if said is not None and said.dos_missing:
        return None, (f"{without}: {said.dos_missing}",)
    if ground is None or record is None or said is None or said.dos_at_fermi is None:
        return None, (f"{without}: this ground state was computed by a version of megabar that did not keep it",)
    found = GroundState().result(record, histories(ground.key))
    if found.dos_energy_eV is None or found.dos is None:
        return None, (f"{without}: the arrays of the ground state are not in the database",)
    try:
        return band(found.dos_energy_eV, found.dos, 0.0, "N(ε) of the ground state"), ()
    except InputError as error:
        return None, (f"{without}: {error}",)
