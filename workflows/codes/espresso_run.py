"""One calculator for all ionic steps of a calculation in its folder, on top of ASE's Espresso calculator.

The charge density of a finished step starts the next one. A density counts as finished when its hash is the one
noted after JOB DONE: a run killed while writing leaves no such note, so a damaged file is never read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.espresso import EspressoProfile, EspressoTemplate
from ase.calculators.genericfileio import GenericFileIOCalculator
from ase.units import Ry

from megabar.workflows.codes.espresso_output import check_output
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.files import read_json, write_json

DENSITY_NOTE = "density.json"
SAVE = Path("out") / "pwscf.save"
SMEARING = {
    "fermi-dirac": "fermi-dirac",
    "cold": "marzari-vanderbilt",
    "methfessel-paxton": "methfessel-paxton",
    "gaussian": "gaussian",
}
FUNCTIONAL_INPUT: dict[str, dict[str, Any]] = {
    "PBE+D3": {"vdw_corr": "dft-d3", "dftd3_version": 4, "dftd3_threebody": False},
}
LARGEST_STRAIN = 0.1
GENTLE = {"mixing_beta": 0.15, "mixing_mode": "local-TF", "mixing_ndim": 12, "electron_maxstep": 200}
ROBUST = {"diagonalization": "cg", "mixing_beta": 0.3, "electron_maxstep": 150}
PATH_KEYS = ("startingpot", "mixing_beta", "mixing_mode", "mixing_ndim", "electron_maxstep", "diagonalization")
"""Input keys that say how pw.x reaches the answer, not which one."""
MENDABLE = {"scf-not-converged": GENTLE, "diagonalization-failed": ROBUST, "overlap-not-positive": ROBUST}


class Profile(EspressoProfile):  # type: ignore[misc]
    """Starts pw.x so that its messages are not lost, it uses one thread a process, and it dies with us."""

    def run(
        self, directory: Path, inputfile: str, outputfile: str, errorfile: str | None = None, append: bool = False
    ) -> None:
        """Run pw.x in a folder and raise CalculationFailed unless it finished and converged."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GFORTRAN_UNBUFFERED_ALL": "1"}
        (directory / "CRASH").unlink(missing_ok=True)
        with open(directory / outputfile, "wb") as output, open(directory / (errorfile or "espresso.err"), "wb") as err:
            try:
                ended = subprocess.run(
                    self.get_command(inputfile),
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=err,
                    env=environment,
                    check=False,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                command = self.get_command(inputfile)[0]
                raise CalculationFailed("cannot-start", f"{command} cannot be started ({error.strerror})") from None
        check_output(directory, ended.returncode)


def _die_with_parent() -> None:
    from megabar.workflows.isolation import die_with_parent

    # mpirun passes TERM on to its processes; pw.x has no handler and just ends.
    die_with_parent(signal.SIGTERM)


class EspressoRun(GenericFileIOCalculator):  # type: ignore[misc]
    """ASE calculator for the structures of one calculation; ``mendings`` tells what had to be done differently."""

    def __init__(
        self, settings: dict[str, Any], data: tuple[AtomicData, ...], folder: Path, command: tuple[str, ...]
    ) -> None:
        self.settings = settings
        self.data = data
        self.mendings: list[str] = []
        self._gentler: dict[str, Any] = {}
        profile = Profile(_quoted(command), pseudo_dir="./pseudo")
        super().__init__(template=EspressoTemplate(), profile=profile, directory=folder, parameters={})

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Run pw.x; raises CalculationFailed where it fails after the mendings that are known to help."""
        self.results: dict[str, Any] = {}
        # Constraints are the optimiser's business: ASE would write them into the input, and pw.x zero the forces.
        atoms = atoms.copy()
        atoms.set_constraint()
        self.directory.mkdir(parents=True, exist_ok=True)
        place_pseudopotentials(self.data, self.directory / "pseudo")
        if self._finished_before(atoms, properties):
            return
        restarted = density_fits(self.directory, atoms)
        try:
            self._run(atoms, properties, restarted)
        except CalculationFailed as failure:
            if failure.cause in ("killed", "cannot-start", "disk-full", "walltime", "pseudopotential-unreadable"):
                raise
            if not restarted and (self._gentler or failure.cause not in MENDABLE):
                raise
            if failure.cause in MENDABLE:
                self._gentler = MENDABLE[failure.cause]
            self.mendings.append(f"{failure.cause}: {_how(restarted, self._gentler)}")
            self._run(atoms, properties, restarted=False)

    def _finished_before(self, atoms: Atoms, properties: list[str]) -> bool:
        """Read the output that the folder holds where it is a finished run for exactly this input."""
        before = _what_matters(self.directory / "espresso.pwi")
        if not before:
            return False
        self.parameters = parameters(self.settings, self.data, atoms, False, {})
        wanted = self.directory / "wanted"
        wanted.mkdir(exist_ok=True)
        self.template.write_input(self.profile, wanted, atoms, dict(self.parameters), properties)
        same = _what_matters(wanted / "espresso.pwi") == before
        shutil.rmtree(wanted)
        try:
            if same:
                check_output(self.directory, 0)
                self.results = read_results(self.directory)
        except CalculationFailed:
            same = False
        return same

    def _run(self, atoms: Atoms, properties: list[str], restarted: bool) -> None:
        if not restarted:
            shutil.rmtree(self.directory / "out", ignore_errors=True)
        (self.directory / DENSITY_NOTE).unlink(missing_ok=True)
        self.parameters = parameters(self.settings, self.data, atoms, restarted, self._gentler)
        self.write_inputfiles(atoms, properties)
        self.template.execute(self.directory, self.profile)
        self.results = read_results(self.directory)
        note_density(self.directory, atoms)
        # Wavefunctions are the bulk of what pw.x leaves, and nothing of ours reads them.
        for path in (self.directory / SAVE).glob("wfc*"):
            path.unlink()


def parameters(
    settings: dict[str, Any], data: tuple[AtomicData, ...], atoms: Atoms, restarted: bool, gentler: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters of ASE's Espresso calculator for settings of ours (nested as pw.x wants them)."""
    constant = settings["constant_cutoff"]
    system: dict[str, Any] = {
        "ecutwfc": settings["cutoff_eV"] / Ry,
        "ecutrho": settings["density_cutoff_eV"] / Ry,
        "ecfixed": constant["from_eV"] / Ry,
        "q2sigma": constant["width_eV"] / Ry,
        "qcutz": constant["height_eV"] / Ry,
        "occupations": "smearing",
        "smearing": SMEARING[settings["smearing"]["kind"]],
        "degauss": settings["smearing"]["width_eV"] / Ry,
        "nosym": False,
        **FUNCTIONAL_INPUT.get(settings["functional"], {}),
    }
    control = {
        "calculation": "scf",
        "restart_mode": "from_scratch",
        "outdir": "./out",
        "prefix": "pwscf",
        "pseudo_dir": "./pseudo",
        "disk_io": "low",
        "tstress": True,
        "tprnfor": True,
    }
    electrons = {
        "conv_thr": settings["scf_energy_eV"] * len(atoms) / Ry,
        "electron_maxstep": 100,
        "mixing_beta": 0.5,
        "startingpot": "file" if restarted else "atomic",
        **gentler,
    }
    return {
        "input_data": {"control": control, "system": system, "electrons": electrons},
        "pseudopotentials": {each.element: f"{each.element}.upf" for each in data},
        "kpts": tuple(settings["kpoints"]),
        "koffset": (0, 0, 0),
        "crystal_coordinates": True,
    }


def read_results(folder: Path) -> dict[str, Any]:
    """Return what ASE reads from a checked output; its assertions and omissions become CalculationFailed."""
    try:
        results: dict[str, Any] = EspressoTemplate().read_results(folder)
    except (AssertionError, ValueError, IndexError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CalculationFailed("incomplete-output", f"ASE cannot read it ({type(error).__name__}: {error})") from None
    missing = {"energy", "forces", "stress"} - set(results)
    if missing:
        raise CalculationFailed("incomplete-output", f"no {', '.join(sorted(missing))} could be read")
    return results


def place_pseudopotentials(data: tuple[AtomicData, ...], folder: Path) -> None:
    """Link the pseudopotentials into a folder, as ``<element>.upf``; pw.x wants them all in one.

    Raises CalculationFailed where a file is gone or is no longer what it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for each in data:
        path, link = Path(each.path), folder / f"{each.element}.upf"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CalculationFailed("pseudopotential-missing", f"{path} ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != each.sha256:
            raise CalculationFailed(
                "pseudopotential-changed", f"{path} is not the file that the study was planned with"
            )
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(path.absolute())
        except OSError:
            link.write_bytes(content)


def note_density(folder: Path, atoms: Atoms) -> None:
    """Note that the density in a folder is of a finished run on these atoms."""
    path = _density_file(folder)
    if path is not None:
        note = {"sha256": _sha256(path), "cell": atoms.cell.array.tolist(), "symbols": list(atoms.symbols)}
        write_json(folder / DENSITY_NOTE, note)


def density_fits(folder: Path, atoms: Atoms) -> bool:
    """Return whether the folder has the density of a finished run on the same atoms in nearly the same cell."""
    note, path = read_json(folder / DENSITY_NOTE), _density_file(folder)
    if not isinstance(note, dict) or path is None or note.get("symbols") != list(atoms.symbols):
        return False
    strain = np.linalg.solve(np.array(note["cell"]), atoms.cell.array) - np.eye(3)
    return bool(np.abs(strain).max() < LARGEST_STRAIN) and note.get("sha256") == _sha256(path)


def _density_file(folder: Path) -> Path | None:
    candidates = (folder / SAVE / name for name in ("charge-density.dat", "charge-density.hdf5"))
    return next((path for path in candidates if path.is_file()), None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _what_matters(path: Path) -> list[str]:
    """Return the lines of an input that determine the answer: not how the density is started and mixed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line for line in lines if (line.split() or [""])[0] not in PATH_KEYS]


def _how(restarted: bool, gentler: dict[str, Any]) -> str:
    changed = ", ".join(f"{name} {value}" for name, value in gentler.items())
    return (
        "run again from the atoms' densities" + (f" with {changed}" if changed else "") if restarted or changed else ""
    )


def _quoted(command: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(command)
