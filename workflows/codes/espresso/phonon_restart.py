"""What ph.x leaves of a q-point when it is interrupted, and how it goes on from there.

The response of every irreducible representation that is done, and its part of the dynamical matrix, are whole however
ph.x ended; they are kept (``recover``), the rest is removed, and the representation in which it ended is begun again,
on bands computed again. Version 6.7 offers more, but not to be used: going on with the iterations, or with a
representation on the bands of before, ends without a word at wrong frequencies (Al at X, ultrasoft: −22 and 43 meV
instead of 22.8) where it was told to stop, and diverges where it was killed. For the coupling alone those bands serve.
Files are checked by what must be in them, or, once the phonons are done, by hashes; where they are not as they should
be, the q-point begins again.

The files are those of PHonon/PH/ph_restart.f90, the same from 6.7 to 7.5.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from megabar.workflows.codes.espresso.ground import OUT, digests
from megabar.workflows.files import read_json, write_atomically, write_json

NOTE = "phonons.json"
PH, SAVE = Path(OUT) / "_ph0", Path(OUT) / "_ph0" / "pwscf.phsave"
NOTHING, REPRESENTATIONS = "nothing", "representations"
COUPLING, COUPLING_ON_BANDS = "coupling", "coupling-on-bands"
"""What there is to go on from: nothing; the representations done; all phonons; all phonons, with the bands at k and
k+q that they were computed with."""
_COUPLING_CHANGES = ("status_run.xml", "control_ph.xml", "elph.", "a2Fsave")
_SET_UP = ("phq_setup.", -40)
"""Place (STOPPED_IN, RECOVER_CODE) from which ph.x takes what is done from its files and computes the rest."""


def note_begun(folder: Path, identity: str) -> None:
    """Note that ph.x is at work on the phonons: killed now, it leaves representations."""
    note = read_json(folder / NOTE)
    ground = note.get("ground") if isinstance(note, dict) and note.get("identity") == identity else None
    write_json(folder / NOTE, {"identity": identity, "stage": "phonons", "ground": ground or _ground(folder)})


def note_phonons(folder: Path, identity: str, layout: Any, number: int) -> None:
    """Note that the phonons are done and the coupling is to be computed. layout: the command line of ph.x."""
    note = read_json(folder / NOTE) or {}
    files = {name: each for name, each in digests(folder / OUT).items() if not _changes(name)}
    content = {"identity": identity, "stage": "coupling", "layout": layout, "files": files}
    write_json(folder / NOTE, {**content, "dynamics": _dynamics(folder, number), "ground": note.get("ground")})


def left(folder: Path, identity: str, layout: Any, number: int) -> str:
    """Return what a q-point can go on from."""
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("identity") != identity:
        return NOTHING
    if note["stage"] == "coupling":
        whole = note["layout"] == layout and _as_left(folder, note["files"])
        if _dynamics(folder, number) != note["dynamics"] or not _response_as_left(folder, note["files"]):
            return NOTHING
        return COUPLING_ON_BANDS if whole else COUPLING
    return NOTHING if _representations_done(folder, number) is None else REPRESENTATIONS


def ground_state_is_whole(folder: Path) -> bool:
    """Return whether the ground state that ph.x works on is as it was copied."""
    note = read_json(folder / NOTE) or {}
    return bool(note.get("ground")) and _as_left(folder, note["ground"])


def keep_representations(folder: Path, number: int) -> None:
    """Remove all but the representations that are done, and let ph.x begin with the bands."""
    inner = folder / PH / f"pwscf.q_{number}"
    for place in (folder / PH, inner, folder / OUT):
        for path in place.glob("pwscf.*"):
            kept = path.name.startswith(("pwscf.dvscf", "pwscf.a2Fsave", "pwscf.xml"))
            if path.is_file() and not kept:
                path.unlink()
    shutil.rmtree(inner / "pwscf.save", ignore_errors=True)
    _set_status(folder)


def prepare_coupling_on_bands(folder: Path) -> bool:
    """Let ph.x take phonons and bands for its own, though it computes coupling only; False where that cannot be said.

    It would refuse to go on with other work than it had begun (read_control_ph).
    """
    control = folder / SAVE / "control_ph.xml"
    try:
        text = control.read_text(encoding="utf-8")
    except OSError:
        return False
    text, first = re.subn(r"(<PHONON_RUN>)\s*\w+\s*(<)", r"\1false\2", text)
    text, second = re.subn(r"(<ELECTRON_PHONON>)\s*\w+\s*(<)", r"\1true\2", text)
    if (first, second) != (1, 1) or not _set_status(folder):
        return False
    write_atomically(control, text)
    return True


def _set_status(folder: Path) -> bool:
    status = folder / SAVE / "status_run.xml"
    try:
        text = status.read_text(encoding="utf-8")
    except OSError:
        return False
    text, first = re.subn(r"(<STOPPED_IN>)[^<]*(<)", rf"\g<1>{_SET_UP[0]}\g<2>", text)
    text, second = re.subn(r"(<RECOVER_CODE>)[^<]*(<)", rf"\g<1>{_SET_UP[1]}\g<2>", text)
    if (first, second) != (1, 1):
        return False
    write_atomically(status, text)
    return True


def _representations_done(folder: Path, number: int) -> int | None:
    """Return how many representations of a q-point are done and whole, None where something is not as it must be."""
    files = [*(folder / SAVE).glob(f"*.{number}.*.xml"), *(folder / SAVE).glob("*_*.xml")]
    files += (folder / SAVE).glob("tensors.xml")
    if not _readable([*files, folder / SAVE / f"patterns.{number}.xml", folder / SAVE / "status_run.xml"]):
        return None
    text = (folder / SAVE / f"patterns.{number}.xml").read_text(encoding="utf-8")
    sizes = [int(each) for each in re.findall(r"<NUMBER_OF_PERTURBATIONS>\s*(\d+)", text)]
    done = [irr for irr in range(1, len(sizes) + 1) if (folder / SAVE / f"dynmat.{number}.{irr}.xml").is_file()]
    place = folder / PH / f"pwscf.q_{number}"
    path = (place if place.is_dir() else folder / PH) / "pwscf.dvscf1"
    modes = [sum(sizes[: irr - 1]) + each for irr in done for each in range(sizes[irr - 1])]
    return len(done) if not done or _has_records(path, modes, _record_bytes(folder)) else None


def _has_records(path: Path, modes: list[int], size: int | None) -> bool:
    """Return whether the response to every mode is there, each a record of the same size, finite and not all 0."""
    if size is None or not path.is_file() or path.stat().st_size < (max(modes) + 1) * size:
        return False
    with path.open("rb") as file:
        for mode in modes:
            file.seek(mode * size)
            values = np.frombuffer(file.read(size), np.float64)
            if not np.all(np.isfinite(values)) or not np.any(values):
                return False
    return True


def _record_bytes(folder: Path) -> int | None:
    """Return the bytes of the response to one mode: complex numbers on the FFT grid that ph.x says."""
    for name in ("phonons.out", "phonons.before.out"):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = re.search(r"FFT (?:grid|dimensions):\s*\(\s*(\d+),\s*(\d+),\s*(\d+)\)", text)
        if found:
            return 16 * int(found[1]) * int(found[2]) * int(found[3])
    return None


def _readable(paths: list[Path]) -> bool:
    try:
        for path in paths:
            if not path.name.startswith("elph."):  # which ph.x does not write as proper XML
                ElementTree.parse(path)
    except (OSError, ElementTree.ParseError):
        return False
    return True


def _ground(folder: Path) -> dict[str, str]:
    return {name: each for name, each in digests(folder / OUT).items() if not name.startswith("_ph0")}


def _as_left(folder: Path, files: Mapping[str, str]) -> bool:
    there = digests(folder / OUT)
    return all(there.get(name) == each for name, each in files.items())


def _response_as_left(folder: Path, files: Mapping[str, str]) -> bool:
    wanted = {name: each for name, each in files.items() if "pwscf.dvscf" in name or "patterns." in name}
    return bool(wanted) and _as_left(folder, wanted)


def _changes(name: str) -> bool:
    return any(each in name for each in _COUPLING_CHANGES)


def _dynamics(folder: Path, number: int) -> dict[str, str]:
    return {name: each for name, each in digests(folder, "dyn[0-9]*").items() if name in ("dyn0", f"dyn{number}")}
