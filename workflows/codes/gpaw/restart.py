"""Density and wavefunctions of an interrupted GPAW run on disk: a .gpw file, and a note of what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.files import read_json, sha256_of_file, write_json

FILE, NOTE = "restart.gpw", "restart.json"


def keep(folder: Path, calculator: Any, identity: Mapping[str, Any], steps: int) -> None:
    """Write the state of a calculator of GPAW's new interface, on all processes of its group.

    identity: what must be the same for another run to go on from it. steps: self-consistent steps done.
    """
    parameters = calculator.dft.params
    setups = parameters.setups
    scratch = folder / f".{FILE}"
    # Our PAW sets are objects, which a .gpw file cannot hold; they are given again when it is read.
    parameters.setups = dict.fromkeys(setups, "given")
    try:
        calculator.write(str(scratch), mode="all")
    finally:
        parameters.setups = setups
    if calculator.comm.rank == 0:
        (folder / NOTE).unlink(missing_ok=True)
        scratch.replace(folder / FILE)
        write_json(folder / NOTE, {"sha256": sha256_of_file(folder / FILE), "identity": dict(identity), "steps": steps})


def kept(folder: Path, identity: Mapping[str, Any]) -> int | None:
    """Return the self-consistent steps behind the state in a folder, None where there is none of this identity.

    Raises CalculationFailed (``restart-damaged``) where the file is not as it was written.
    """
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("identity") != dict(identity):
        return None
    if not (folder / FILE).is_file() or sha256_of_file(folder / FILE) != note["sha256"]:
        raise CalculationFailed("restart-damaged", f"{FILE} is not as the run before left it")
    return int(note["steps"])


def restored(folder: Path, setups: Mapping[str, Any], log: Path, steps_left: int) -> Any:
    """Return a calculator of GPAW's new interface with the state in a folder.

    Raises CalculationFailed (``restart-damaged``) where GPAW cannot read it.
    """
    from gpaw.new.calculation import DFT

    try:
        # GPAW reads wavefunctions when they are first used, and leaves a file that it opened itself open.
        with (folder / FILE).open("rb") as file:
            dft = DFT.from_gpw_file(file, log=str(log), object_hooks={"setups": lambda _: dict(setups)})
            dft.ibzwfs.make_sure_wfs_are_read_from_gpw_file()
    except Exception as error:
        raise CalculationFailed("restart-damaged", f"{FILE}: {type(error).__name__}: {error}") from error
    dft.scf_loop.maxiter = steps_left
    return dft.ase_calculator()


def forget(folder: Path) -> None:
    """Remove the state in a folder."""
    for name in (NOTE, FILE, f".{FILE}"):
        (folder / name).unlink(missing_ok=True)
