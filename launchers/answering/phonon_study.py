"""What `megabar phonons` says of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from megabar.analysis.phonons.report import Asked
    from megabar.workflows.kinds.phonons.answer import PhononAnswer


def study_phonons(
    name: str,
    q: Sequence[str] = (),
    temperatures_K: Sequence[float] = (),
    *,
    masses: Sequence[str] = (),
    mesh: str | None = None,
    velocities: bool = False,
    figures: Sequence[Path] = (),
    export: Path | None = None,
) -> dict[str, Any]:
    """Return the answer of a stored study as JSON-able data, with what is asked of it besides.

    Raises InputError where there is no such study, or where it is of another kind.
    """
    from megabar.analysis.phonons.report import check_asked
    from megabar.launchers.answering.figure_files import check_figure, write_figures
    from megabar.launchers.answering.phonons import asked_of
    from megabar.launchers.api.session import connect
    from megabar.workflows.kinds.phonons.stored import stored_answer

    asked = asked_of(q, temperatures_K, mesh, velocities)
    check_asked(asked)
    for figure in figures:
        check_figure(figure)
    with connect() as session:
        study = session.open(name).record
        found = stored_answer(study, session.store, masses_asked(masses))
    document = {"study": study.identifier, **found.json(with_temperatures(asked, temperatures_K, found))}
    for figure in figures:
        from megabar.workflows.kinds.phonons.figures import PhononFigures
        from megabar.workflows.report.showing import options

        drawings = PhononFigures(found).draw(options()).drawings
        if not drawings:
            raise InputError(f"{study.identifier} has no force constants yet, so there is nothing to draw")
        written = write_figures(drawings, figure)
        document.setdefault("figures", []).extend([written["figure"]] if "figure" in written else written["figures"])
    if export is not None:
        document["exported"] = write_all(found, export)
    return document


def with_temperatures(asked: Asked, temperatures_K: Sequence[float], found: PhononAnswer) -> Asked:
    """Return what is asked, with the study's own temperatures (K) where none were named."""
    own = found.plan.temperatures_K
    return asked if temperatures_K or not own else replace(asked, temperatures_K=own)


def masses_asked(masses: Sequence[str]) -> dict[str, float]:
    """Return isotopes given as ``H=2.014`` by element; raises InputError for impossible ones."""
    from megabar.launchers.api.alpha2f import mass_asked
    from megabar.structures.isotopes import check_isotope

    wanted = dict(mass_asked(text) for text in masses)
    for species, mass in wanted.items():
        check_isotope(species, mass, "--mass")
    return wanted


def write_all(found: PhononAnswer, folder: Path) -> list[str]:
    """Write force constants as phonopy's files, and the structures that imaginary modes led to; return the files."""
    from ase.io import write

    from megabar.analysis.phonons.writing import write_params

    there = [each for each in found.crystals if each.constants is not None]
    led_to = [each for each in found.followed if each.structure is not None]
    targets = [folder / f"{each.phase}-{each.pressure_GPa:g}GPa.yaml" for each in there]
    cells = [folder / f"{each.name}.cif" for each in led_to]
    known = [target for target in (*targets, *cells) if target.exists()]
    if known:
        raise InputError(f"--export: {known[0]} is there already; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--export: {folder} cannot be made ({error.strerror or error})") from None
    for each, target in zip(there, targets, strict=True):
        write_params(each.crystal, target, each.reached_GPa)
    for one, target in zip(led_to, cells, strict=True):
        assert one.structure is not None
        write(target, one.structure.atoms(), format="cif")
    return [str(target) for target in (*targets, *cells)]
