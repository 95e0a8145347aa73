"""What `megabar structures` gives: the structures of a stored study, as rows, files and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.launchers.answering.figure_files import check_figure, write_figures
from megabar.launchers.api.cells import chosen, structures_at
from megabar.launchers.api.session import connect
from megabar.structures.errors import InputError
from megabar.workflows.files import write_atomically
from megabar.workflows.parts.volumes.phase_state import PhaseState
from megabar.workflows.parts.volumes.structure_files import FORMATS, file_name, row, text_of
from megabar.workflows.parts.volumes.structures_at import StructureAt


@dataclass(frozen=True, eq=False)
class Found:
    """Structures by phase and pressure; files: those written; notes: phases and pressures without a structure."""

    structures: tuple[StructureAt, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return the structures as JSON-able data, units in the keys."""
        return {
            "structures": [
                {
                    **row(each),
                    "origin": each.origin,
                    "computed_GPa": list(each.computed_GPa),
                    "symbols": list(each.atoms.symbols),
                    "cell_A": each.atoms.cell.array.tolist(),
                    "scaled_positions": each.atoms.get_scaled_positions().tolist(),
                }
                for each in self.structures
            ],
            "files": [str(path) for path in self.files],
            "notes": list(self.notes),
        }


def structures_of(
    name: str,
    phases: Sequence[str],
    pressures_GPa: Sequence[float],
    file_format: str,
    folder: Path | None,
    figure: Path | None,
) -> Found:
    """Return the structures of a stored study of stability, and write them and their figure where asked for.

    Raises InputError for an unknown study, phase or format, and where nothing is known at the pressures.
    """
    if file_format not in FORMATS:
        raise InputError(f"--format is {file_format}; it can be {', '.join(FORMATS)}")
    check_figure(figure)
    with connect() as session:
        study = session.open(name)
        states = chosen(study.phase_states(), phases)
        found, notes = structures_at(states, pressures_GPa, study.resolved().pressures_GPa)
    if not found:
        raise InputError(
            f"{study.identifier} has no structure there: {'; '.join(notes) or 'nothing has converged yet'}"
        )
    files = _written(found, file_format, folder) if folder is not None else []
    if figure is not None:
        files += _drawn(states, found, figure)
    return Found(tuple(found), tuple(files), tuple(notes))


def _written(found: Sequence[StructureAt], file_format: str, folder: Path) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for each in found:
            path = _free(folder / file_name(each, file_format), paths)
            write_atomically(path, text_of(each, file_format))
            paths.append(path)
    except OSError as error:
        raise InputError(f"--to is {folder}, which cannot be written ({error.strerror or error})") from None
    return paths


def _free(path: Path, taken: Sequence[Path]) -> Path:
    """Return a path that no other structure has: names of phases may differ in signs that no file's name has."""
    number, found = 1, path
    while found in taken:
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def _drawn(states: Sequence[PhaseState], found: Sequence[StructureAt], figure: Path) -> list[Path]:
    from megabar.analysis.figures.cells import cells_drawing
    from megabar.workflows.parts.volumes.structures_at import cell_series

    series = [cell_series(state) for state in states if state.curve() is not None]
    written = write_figures([cells_drawing(series)], figure)
    return [Path(each) for each in (written.get("figures") or [written["figure"]])]
