"""What `megabar phonons` does: files of phonopy to stability, frequencies, thermodynamics, figures and exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.answering.figure_files import check_figure, write_figures
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from megabar.analysis.figures.drawing import Drawing
    from megabar.analysis.phonons.harmonic import Harmonic
    from megabar.analysis.phonons.readers.reading import PhononReading
    from megabar.analysis.phonons.report import Asked

Q = tuple[float, float, float]
GAMMA: Q = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Named:
    """A crystal of a file with the name that its figures and exports have, and its document."""

    name: str
    reading: PhononReading
    document: dict[str, Any]


def phonons_of(
    sources: Sequence[Path],
    q: Sequence[str] = (),
    temperatures_K: Sequence[float] = (),
    *,
    masses: Sequence[str] = (),
    mesh: str | None = None,
    velocities: bool = False,
    figures: Sequence[Path] = (),
    export: Path | None = None,
) -> dict[str, Any]:
    """Return the JSON document of ``megabar phonons``: of one crystal, or of several in ``phases`` by their volume.

    q: ``0 0 0``, ``1/2 0 0``. masses: ``H=2.014``. mesh: ``20 20 20``. Several files of one phase at several volumes
    give ``gruneisen`` too. Raises InputError for whatever cannot be meant, before anything is computed or written.
    """
    from megabar.analysis.phonons.report import check_asked

    asked = asked_of(q, temperatures_K, mesh, velocities)
    check_asked(asked)
    for figure in figures:
        check_figure(figure)
    readings = [_with_masses(reading_of(source), masses) for source in sources]
    targets = _targets(export, readings)
    named = [
        Named(name, reading, _document(reading, asked))
        for name, reading in zip(_names(readings), readings, strict=True)
    ]
    if len(named) > 1:
        named.sort(key=lambda each: -each.reading.harmonic.volume_A3_per_atom)
    groups = _one_phase(named)
    document = named[0].document
    if len(named) > 1:
        document = {"phases": [each.document for each in named], "gruneisen": _gruneisen(groups, asked), "notes": []}
    for figure in figures:
        written = write_figures(_drawings(named, groups, asked), figure)
        document.setdefault("figures", []).extend([written["figure"]] if "figure" in written else written["figures"])
    if targets:
        document["exported"] = _export(readings, targets)
    return document


def asked_of(q: Sequence[str], temperatures_K: Sequence[float], mesh: str | None, velocities: bool) -> Asked:
    """Return what the options ask of a crystal."""
    from megabar.analysis.phonons.report import Asked

    return Asked(
        tuple(point_asked(text) for text in q) or (GAMMA,),
        tuple(temperatures_K) or Asked.temperatures_K,
        None if mesh is None else _mesh_asked(mesh),
        velocities,
    )


def reading_of(source: Path) -> PhononReading:
    """Return the crystal that a source names: a file or folder of phonopy's."""
    from megabar.analysis.phonons.readers import read_phonons

    return read_phonons(source)


def point_asked(text: str) -> Q:
    """Return the q of ``0 0 0``, ``0.5,0,0`` or ``1/3 1/3 0``; InputError where it is none."""
    words = text.replace(",", " ").split()
    try:
        x, y, z = (float(Fraction(word)) for word in words)
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"--q is {text!r}; three fractions of the primitive reciprocal vectors are right, as in '0 0 0' or '1/2 "
            "0 0'"
        ) from None
    return x, y, z


def _mesh_asked(text: str) -> tuple[int, int, int]:
    try:
        a, b, c = (int(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise InputError(f"--mesh is {text!r}; three numbers of points are right, as in '20 20 20'") from None
    return a, b, c


def _with_masses(reading: PhononReading, masses: Sequence[str]) -> PhononReading:
    from megabar.launchers.api.alpha2f import mass_asked
    from megabar.structures.isotopes import check_isotope

    if not masses:
        return reading
    wanted = dict(mass_asked(text) for text in masses)
    for species, mass in wanted.items():
        check_isotope(species, mass, "--mass")
    try:
        crystal = reading.harmonic.with_masses(wanted)
    except InputError as error:
        raise InputError(f"{reading.source}: {error}") from None
    other = None if reading.other is None else reading.other.with_masses(wanted)
    return replace(reading, harmonic=crystal, other=other)


def _document(reading: PhononReading, asked: Asked) -> dict[str, Any]:
    from megabar.analysis.phonons.report import phonon_document

    document = phonon_document(reading.harmonic, asked, reading.pressure_GPa, reading.other)
    head: dict[str, Any] = {
        "file": str(reading.source),
        "code": reading.code,
        "force_constants_from": str(reading.constants_from),
        "born_charges_from": None if reading.polar_from is None else str(reading.polar_from),
    }
    if reading.fit is not None:
        head["forces_unexplained_share"] = reading.fit.residual
        head["forces_drift_share"] = reading.fit.drift
    notes = [*reading.notes, *document.pop("notes")]
    return {**head, **document, "notes": notes}


def _names(readings: Sequence[PhononReading]) -> list[str]:
    found: list[str] = []
    for reading in readings:
        path = reading.source.absolute()
        stem = path.name if path.is_dir() else path.name.partition(".yaml")[0]
        generic = stem in ("phonopy_params", "phonopy", "phonopy_disp", "disp") or not stem
        name = (path.parent.name if generic and not path.is_dir() else stem) or "crystal"
        count = sum(each == name or each.startswith(f"{name}~") for each in found)
        found.append(f"{name}~{count + 1}" if count else name)
    return found


def _one_phase(named: Sequence[Named]) -> list[list[Named]]:
    """Return the crystals that are one phase at several volumes, a group each."""
    from megabar.analysis.phonons.gruneisen import same_phase

    groups: list[list[Named]] = []
    for each in named:
        own = next((group for group in groups if same_phase(group[0].reading.harmonic, each.reading.harmonic)), None)
        if own is None:
            groups.append([each])
        elif all(_different(other.reading.harmonic, each.reading.harmonic) for other in own):
            own.append(each)
    return [group for group in groups if len(group) > 1]


def _different(one: Harmonic, other: Harmonic) -> bool:
    return abs(one.volume_A3_per_atom / other.volume_A3_per_atom - 1) > 1e-5


def _gruneisen(groups: Sequence[Sequence[Named]], asked: Asked) -> list[dict[str, Any]]:
    from megabar.analysis.phonons.gruneisen import gruneisen, parameters_at, triples

    found = []
    for group in groups:
        names = {id(each.reading.harmonic): str(each.reading.source) for each in group}
        for smaller, larger, middle in triples([each.reading.harmonic for each in group]):
            result = gruneisen(smaller, larger, middle)
            used = [each for each in (smaller, middle, larger) if each is not None]
            modes = parameters_at(smaller, larger, middle, asked.q)
            found.append(
                {
                    "files": [names[id(each)] for each in used],
                    "volume_A3_per_atom": result.crystal.volume_A3_per_atom,
                    "volume_difference_share": result.change,
                    "q": [list(q) for q in asked.q],
                    "gruneisen_parameters": [[None if x != x else float(x) for x in row] for row in modes],
                    "gruneisen_zero_point": result.zero_point,
                    "temperatures": [
                        {"temperature_K": t, "gruneisen": float(result.mean(t)[0]) if t > 0 else None}
                        for t in asked.temperatures_K
                    ],
                }
            )
    return found


def _drawings(named: Sequence[Named], groups: Sequence[Sequence[Named]], asked: Asked) -> list[Drawing]:
    from megabar.analysis.figures.phonon_drawings import crystal_drawings, gruneisen_drawing
    from megabar.analysis.figures.style import pretty_formula

    many = len(named) > 1
    drawings: list[Drawing] = []
    for each in named:
        title = f"{pretty_formula(each.document['formula'])} {each.document['space_group']}"
        if each.document["pressure_GPa"] is not None:
            title += f", {each.document['pressure_GPa']:g} GPa"
        suffix = f"-{each.name}" if many else ""
        drawings += crystal_drawings(
            each.reading.harmonic,
            each.reading.other,
            asked.temperatures_K,
            f"{title} ({each.name})" if many else title,
            suffix,
        )
    for number, group in enumerate(groups, 1):
        crystals = [each.reading.harmonic for each in group]
        suffix = f"-{number}" if len(groups) > 1 else ""
        drawings.append(
            gruneisen_drawing(crystals, asked.temperatures_K, pretty_formula(group[0].document["formula"]), suffix)
        )
    return drawings


def _targets(export: Path | None, readings: Sequence[PhononReading]) -> list[Path]:
    """Return the files that are to be exported to; InputError where one is there already."""
    if export is None:
        return []
    if export.exists() and not export.is_dir():
        raise InputError(f"--export is {export}, which is a file; a folder is right")
    names = ["phonopy_params"] if len(readings) == 1 else _names(readings)
    targets = [export / f"{name}.yaml" for name in names]
    there = [target for target in targets if target.exists()]
    if there:
        raise InputError(f"--export: {there[0]} is there already; name another folder")
    return targets


def _export(readings: Sequence[PhononReading], targets: Sequence[Path]) -> list[str]:
    from megabar.analysis.phonons.writing import write_params

    try:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--export: {targets[0].parent} cannot be made ({error.strerror or error})") from None
    for reading, target in zip(readings, targets, strict=True):
        write_params(reading.harmonic, target, reading.pressure_GPa)
    return [str(target) for target in targets]
