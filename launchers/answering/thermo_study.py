"""What `megabar thermo` says of a study of phonons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from megabar.launchers.answering.figure_files import check_figure, write_figures
from megabar.structures.errors import InputError


def study_thermo(
    name: str,
    pressures: Sequence[str] = (),
    temperatures: Sequence[str] = (),
    *,
    figure: Path | None = None,
    export: str | None = None,
    to: Path | None = None,
) -> dict[str, Any]:
    """Return G(P,T), and what follows, of the phases of a stored study, as JSON-able data.

    pressures (GPa), temperatures (K): instead of the study's own, as ``megabar thermo`` takes them.
    export: ``burnman``, a file a phase beside ``to``. Raises InputError for a study without phonons.
    """
    import numpy as np

    from megabar.analysis.figures.thermo import thermo_drawings
    from megabar.launchers.answering.thermo import burnman_written, export_target, values_of
    from megabar.launchers.api.session import connect
    from megabar.workflows.kinds.phonons.stored import stored_thermo

    check_figure(figure)
    target = export_target(export, to)
    at_GPa, at_K = values_of(pressures, "--pressure", "GPa"), values_of(temperatures, "--temperature", "K")
    with connect() as session:
        study = session.open(name).record
        found = stored_thermo(study, session.store, at_GPa, at_K)
    document: dict[str, Any] = {"study": study.identifier, "phases": [each.json() for each in found]}
    known = [each for each in found if each.gibbs is not None and each.table is not None]
    if (figure is not None or target is not None) and not known:
        raise InputError(f"{study.identifier} has no free energies yet: {found[0].missing}")
    drawings = []
    for each in known:
        assert each.gibbs is not None and each.table is not None
        if figure is not None:
            own = thermo_drawings(each.gibbs, np.full(len(each.gibbs.pressures_GPa), np.nan), each.phase)
            drawings += [replace(one, name=f"{one.name}-{each.phase}") if len(known) > 1 else one for one in own]
        if target is not None:
            place = target if len(known) == 1 else target.with_name(f"{target.stem}_{each.phase}.py")
            document.setdefault("burnman", []).append(burnman_written(each.table, place, None))
    if figure is not None:
        document |= write_figures(drawings, figure)
    return document
