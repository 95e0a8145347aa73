"""What `megabar thermo` does: free energies of files to V, G, α, K and C over pressure and temperature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.answering.figure_files import check_figure, is_image, write_figures
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from megabar.analysis.thermo.gibbs import GibbsTable
    from megabar.analysis.thermo.table import HelmholtzTable

MOST = 100_000
"""Values in one range: more is a slip of the keyboard."""


def thermo_of(
    sources: Sequence[str],
    pressures: Sequence[str] = (),
    temperatures: Sequence[str] = (),
    *,
    kind: str = "vinet",
    electronic: Path | None = None,
    figure: Path | None = None,
    export: str | None = None,
    to: Path | None = None,
    formula: str | None = None,
) -> dict[str, Any]:
    """Return the JSON document of ``megabar thermo``; draw figures and write the export where asked for.

    pressures (GPa), temperatures (K): each ``5``, ``0,5,10`` or ``0:100:10``. electronic: fe-v.dat. export: ``burnman``
    into the file ``to``, of a phase of a formula.
    Raises InputError for whatever cannot be meant, before anything is written.
    """
    from megabar.analysis.thermo.readers import read_free_energies
    from megabar.analysis.thermo.report import thermo_answer, thermo_document

    check_figure(figure)
    target = export_target(export, to)
    if formula is not None and target is None:
        raise InputError(f"--formula is {formula}; it is for --export burnman alone")
    at_GPa, at_K = values_of(pressures, "--pressure", "GPa"), values_of(temperatures, "--temperature", "K")
    if at_K and min(at_K) < 0.0:
        raise InputError(f"--temperature is {min(at_K):g} K; temperatures are above absolute zero")
    for source in sources:
        _check_is_file(source)
    answer = thermo_answer(read_free_energies(sources, electronic, at_K or None), at_GPa, at_K, kind)
    document = thermo_document(answer)
    if target is not None:
        document |= burnman_written(answer.reading.table, target, formula, answer.gibbs)
    if figure is not None:
        from megabar.analysis.figures.thermo import thermo_drawings

        drawings = thermo_drawings(answer.gibbs, answer.doubt_K)
        document |= write_figures(drawings[:1] if is_image(figure) else drawings, figure)
    return document


def values_of(texts: Sequence[str], option: str, unit: str) -> list[float]:
    """Return the numbers of an option given any number of times, each a number, some (0,5,10) or a range (0:100:10)."""
    found: list[float] = []
    for text in texts:
        for part in text.split(","):
            found += _range(part.strip(), option, unit)
    return sorted(set(found))


def _range(text: str, option: str, unit: str) -> list[float]:
    from math import isfinite

    try:
        numbers = [float(word) for word in text.split(":")]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) not in (1, 3) or not all(isfinite(each) for each in numbers):
        raise InputError(f"{option} is {text!r}; it takes {unit} as in 10, 0,5,10 or 0:100:10 (from:to:step)")
    if len(numbers) == 1:
        return numbers
    start, end, step = numbers
    if step <= 0.0 or end < start or (end - start) / step > MOST:
        raise InputError(f"{option} is {text}; a range goes up, by steps above zero, and has {MOST} values at most")
    return [start + i * step for i in range(int((end - start) / step + 1e-9) + 1)]


def _check_is_file(source: str) -> None:
    """A name that is no file could be that of a study, and there is no study of phonons yet."""
    path = Path(source)
    if path.exists():
        return
    if len(path.parts) == 1 and not path.suffix:
        raise InputError(f"{source}: there is no such file or folder, and no study of phonons of this name")
    raise InputError(f"{source}: there is no such file")


def export_target(export: str | None, to: Path | None) -> Path | None:
    """Return the file that --export writes, None where it is not asked for; raises InputError for what cannot be."""
    if export is None:
        if to is not None:
            raise InputError(f"--to is {to}; it names the file of --export")
        return None
    if export.lower() != "burnman":
        raise InputError(f"--export is {export!r}; it can be burnman")
    target = to or Path("burnman_mineral.py")
    if target.suffix != ".py" or not target.absolute().parent.is_dir():
        raise InputError(f"--to is {target}; it names a Python file (.py) in a folder that is there")
    return target


def burnman_written(
    table: HelmholtzTable, target: Path, formula: str | None, gibbs: GibbsTable | None = None
) -> dict[str, Any]:
    """Write the thermal equation of state of a table for BurnMan, and return what the document says of it.

    gibbs: V and K of the phase, which the fit is held against.
    """
    from megabar.analysis.thermo.burnman import burnman_files

    texts, said = burnman_files(table, target.stem, formula, gibbs)
    written = []
    try:
        for suffix, text in texts.items():
            path = target.with_suffix(suffix)
            path.write_text(text, encoding="utf-8")
            written.append(str(path))
    except OSError as error:
        raise InputError(f"--to: {target} cannot be written ({error.strerror or error})") from None
    return {"exported": written, "export": said}
