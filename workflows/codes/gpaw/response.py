"""Born charges and dielectric tensor of an insulator with GPAW: Berry phases, and linear response of its bands.

Born charges are changes of the polarisation (R. D. King-Smith & D. Vanderbilt, Phys. Rev. B 47, 1651 (1993),
doi:10.1103/PhysRevB.47.1651) with atoms displaced both ways, only those that symmetry leaves. The dielectric tensor at
fixed nuclei is that of the time-dependent response at zero frequency with local fields, on the PBE (or other) bands
with the adiabatic local-density kernel (Yan, Mortensen, Jacobsen & Thygesen, Phys. Rev. B 83, 245122 (2011),
doi:10.1103/PhysRevB.83.245122): not the kernel of a gradient-corrected functional, which GPAW has not.
What is done is kept in the folder, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.dispersion import split_functional
from megabar.workflows.codes.gpaw.calculator import band_gap, parameters, setup_data
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.config import Config
from megabar.workflows.files import packed, read_json, write_atomically, write_json
from megabar.workflows.folder import HISTORY
from megabar.workflows.mending.gpaw import CAUSES, DEFAULTS
from megabar.workflows.mending.symptoms import cause_of
from megabar.workflows.paw.generate import gpaw_version
from megabar.workflows.paw.location import located
from megabar.workflows.stopping import Stopped, stop_wanted

Array = NDArray[np.float64]
NOTE, LOG = "response.json", "gpaw-response.txt"
LEAST_GAP_EV = 0.1
NO_SYMMETRY = {"point_group": False, "time_reversal": False}
OCCUPATIONS = {"name": "fermi-dirac", "width": 0.0}
FURTHER_BANDS = 6
"""Beyond those of the response, which need not converge."""
DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))


def run_dielectric(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute dielectric tensor and Born charges, and return the result; arrays ``born_e`` and ``dielectric``.

    Settings beside those of a single point: ``response`` {"cutoff_eV", "bands_per_occupied", "displacement_A"} and
    ``occupations`` ``fixed``. Raises CalculationFailed (``metallic``) where there is no gap on the k-points.
    """
    if calculation.settings.get("occupations") != "fixed":
        raise InputError("the response to a field is that of an insulator: `occupations` must be `fixed`")
    work = _Response(calculation, folder, config)
    try:
        dielectric, gap = work.dielectric()
        born = work.born()
    except (CalculationFailed, Stopped):
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise CalculationFailed(cause_of(said, CAUSES) or "error", said) from error
    write_atomically(folder / HISTORY, packed({"born_e": born, "dielectric": dielectric}))
    (folder / NOTE).unlink(missing_ok=True)
    structure = calculation.structure
    return {
        "state": "done",
        "volume_A3_per_atom": structure.volume_per_atom,
        "structure": structure.to_dict(),
        "observables": {
            "version": gpaw_version(),
            "band_gap_eV": gap,
            "born_violation_e": round(float(np.abs(born.sum(axis=0)).max()), 6),
        },
    }


class _Response:
    """The steps of a calculation in its folder; each is done once."""

    def __init__(self, calculation: Calculation, folder: Path, config: Config) -> None:
        self.folder, self.atoms, self.settings = folder, calculation.structure.atoms(), calculation.settings
        self.own: Mapping[str, Any] = calculation.settings["response"]
        functional = split_functional(str(self.settings["functional"]))[0]
        data = [located(each, config.data / "paw") for each in calculation.data]
        self.setups = {each.element: setup_data(each, functional) for each in data}
        note = read_json(folder / NOTE)
        self.done: dict[str, Any] = (
            note["done"] if isinstance(note, dict) and note.get("key") == calculation.key else {}
        )
        self.key = calculation.key

    def step(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what a step gives, computed where the folder does not hold it; raises Stopped before it where told."""
        if name not in self.done:
            if stop_wanted(self.folder):
                raise Stopped
            self.done[name] = compute()
            write_json(self.folder / NOTE, {"key": self.key, "done": self.done})
        return self.done[name]

    def dielectric(self) -> tuple[Array, float]:
        """Return the dielectric tensor and the gap (eV) on the k-points."""
        found = self.step("dielectric", self._dielectric)
        return np.array(found["tensor"]), float(found["gap_eV"])

    def born(self) -> Array:
        """Return the Born charges (e), shape (atoms, 3, 3), the field first."""
        from megabar.analysis.phonons.born import born_charges
        from megabar.analysis.phonons.supercells import finite_moves

        distance = float(self.own["displacement_A"])
        moves = finite_moves(self.atoms, np.eye(3, dtype=int), np.eye(3), distance)
        dipoles = []
        for number, (atom, move) in enumerate(moves):
            there, back = (
                np.array(self.step(f"moved {number} {sign:+d}", partial(self._phases, atom, sign * np.array(move))))
                for sign in (1, -1)
            )
            change = there - back
            change -= 2 * np.pi * np.round(change / (2 * np.pi))
            dipoles.append(change / (2 * np.pi) @ self.atoms.cell.array / 2)
        return born_charges(self.atoms, [atom for atom, _ in moves], [move for _, move in moves], dipoles)

    def _dielectric(self) -> dict[str, Any]:
        from gpaw.response.df import DielectricFunction

        pairs = sum(float(self.setups[symbol].Nv) for symbol in self.atoms.symbols) / 2
        bands = round(np.ceil(pairs) * (1 + float(self.own["bands_per_occupied"])))
        # With GPAW's own symmetry: its response knows no operations with translations.
        calculator = self._converged(self.atoms, {"nbands": bands + FURTHER_BANDS}, {"bands": bands})
        eigenvalues = np.asarray(calculator.eigenvalues())[0]
        gap = band_gap(eigenvalues, 2 * pairs) or 0.0
        if gap <= LEAST_GAP_EV:
            raise CalculationFailed(
                "metallic",
                f"a gap of {gap:.2f} eV on its k-points: a metal screens every field and has neither Born charges nor "
                "a dielectric constant; its phonons need no correction for them",
            )
        response = DielectricFunction(
            calculator,
            frequencies=[0.0],
            eta=0.0,
            hilbert=False,
            ecut=float(self.own["cutoff_eV"]),
            nbands=bands,
            txt=str(self.folder / LOG),
        )
        along = [
            response.get_macroscopic_dielectric_constant(xc="ALDA", direction=list(each))[1] for each in DIRECTIONS
        ]
        return {"tensor": _tensor(along).tolist(), "gap_eV": round(gap, 4)}

    def _phases(self, atom: int, move: Array) -> list[float]:
        """Return the phases of the polarisation along the cell's vectors with an atom displaced."""
        from contextlib import redirect_stdout

        from gpaw.berryphase import polarization_phase

        atoms = self.atoms.copy()
        atoms.positions[atom] += move
        calculator = self._converged(atoms, {"symmetry": NO_SYMMETRY}, {})
        with (self.folder / LOG).open("a") as file, redirect_stdout(file):
            phases = polarization_phase(calc=calculator)["phase_c"]
        return [float(each) for each in phases]

    def _converged(self, atoms: Atoms, extra: Mapping[str, Any], convergence: Mapping[str, Any]) -> Any:
        """Return GPAW's calculator with the converged bands of a geometry; raises Stopped where that is wanted."""
        from gpaw.new.ase_interface import GPAW

        made = parameters(self.settings, {**DEFAULTS, "maxiter": self.settings["scf"]["steps"]})
        made |= {"occupations": OCCUPATIONS, "convergence": {**made["convergence"], **convergence}, **extra}
        calculator = GPAW(**made, setups=self.setups, txt=str(self.folder / LOG))
        for _ in calculator.iconverge(atoms):
            if stop_wanted(self.folder):
                raise Stopped
        return calculator


def _tensor(along: list[complex]) -> Array:
    """Return the tensor whose n·ε·n are given for the directions x, y, z, yz, xz, xy."""
    xx, yy, zz, yz, xz, xy = (float(np.real(each)) for each in along)
    off = [yz - (yy + zz) / 2, xz - (xx + zz) / 2, xy - (xx + yy) / 2]
    return np.array([[xx, off[2], off[1]], [off[2], yy, off[0]], [off[1], off[0], zz]])
