"""Phonons and electron-phonon coupling with ph.x, one q-point a calculation, in two runs.

First the phonons (``trans``), which told to stop or killed go on from what is done (``espresso_phonon_restart.py``).
Then the coupling (``electron_phonon = 'interpolated'`` with ``trans = .false.``), which is short, from the saved
response, on the bands that the phonons were computed with. In a run of both, ``recover`` crashes or loses matrix
elements before version 7.0. What fails is mended by rule (``megabar.workflows.mending.phonons``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.espresso import phonon_restart as restart
from megabar.workflows.codes.espresso.ground import (
    HISTORY,
    NOTE,
    OUT,
    run_ground_state,
    take_ground_state,
)
from megabar.workflows.codes.espresso.inputs import place_pseudopotentials
from megabar.workflows.codes.espresso.phonon_output import check_phonon, dynamics_files, phonon_files, stopped_by_itself
from megabar.workflows.codes.espresso.programs import ended, leave_exit_file, phonon_program
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.launch import divided, division
from megabar.workflows.codes.running import terminate
from megabar.workflows.config import Config
from megabar.workflows.files import packed, write_atomically
from megabar.workflows.hashing import digest
from megabar.workflows.mending.phonons import DEFAULTS, HANDLERS
from megabar.workflows.mending.record import Mendings, mended
from megabar.workflows.stopping import Stopped, stop_wanted

__all__ = ["NOTE", "phonon_program", "run_ground_state", "run_phonon"]
PHONONS, COUPLING = "phonons", "coupling"
"""Names of the two runs: of their inputs and outputs."""


def run_phonon(calculation: Calculation, folder: Path, config: Config) -> dict[str, Any]:
    """Compute phonons and electron-phonon matrix elements at one q-point, and return the result.

    The files of ph.x (dyn0, dynN, elph.inp_lambda.N, a2Fq2r.*.N) are kept as the calculation's arrays.
    """
    number, mendings = int(calculation.settings["q_number"]), mendings_of(folder, config)
    point = QPoint(calculation, folder, config, mendings)
    files, coupling = mended(point.attempt, mendings, lambda: stop_wanted(folder))
    write_atomically(folder / HISTORY, packed({name: np.frombuffer(text, np.uint8) for name, text in files.items()}))
    point.clean_up()
    cell = np.array(calculation.structure.cell)
    fractions = cell @ np.array(coupling.q) / np.linalg.norm(cell[0])
    return {
        "state": "done",
        "volume_A3_per_atom": calculation.structure.volume_per_atom,
        "structure": calculation.structure.to_dict(),
        "observables": {
            "q_number": number,
            "q_fractions": [round(float(each), 6) + 0.0 for each in fractions],
            "q_points": int(files["dyn0"].split()[3]),
            "frequencies_meV": [round(float(each), 4) for each in coupling.omega_meV],
        },
    }


def mendings_of(folder: Path, config: Config) -> Mendings:
    """Return the mendings of a calculation by ph.x in its folder."""
    configured = config.code("espresso")
    begin = {**DEFAULTS, **division(configured.launch, configured.command or ("pw.x",))}
    return Mendings.of(folder, HANDLERS, begin)


class QPoint:
    """A q-point in its folder: what is done of it, and the runs of ph.x that are still wanted.

    fields: whether the response to electric fields is wanted as well (at Γ, of an insulator).
    """

    def __init__(
        self, calculation: Calculation, folder: Path, config: Config, mendings: Mendings, fields: bool = False
    ) -> None:
        self.fields = fields
        self.calculation, self.folder, self.config, self.mendings = calculation, folder, config, mendings
        self.number = int(calculation.settings.get("q_number", 1))

    @property
    def identity(self) -> str:
        """What the files of ph.x in the folder must be of, to go on from them."""
        return digest([self.calculation.key, self.mendings.path["more_bands"]])

    def attempt(self) -> tuple[dict[str, bytes], Any]:
        """Compute what is not done yet; returns the files of ph.x and what the one of the coupling says."""
        state = self._left()
        if state not in (restart.COUPLING, restart.COUPLING_ON_BANDS):
            self._phonons(state)
            state = restart.COUPLING_ON_BANDS
        return self._coupling(state)

    def dynamics(self) -> dict[str, bytes]:
        """Compute what is not done yet of the phonons alone; returns the files of ph.x."""
        state = self._left()
        if state not in (restart.COUPLING, restart.COUPLING_ON_BANDS):
            self._phonons(state)
        return dynamics_files(self.folder, self.number)

    def _left(self) -> str:
        if self.mendings.path["start"] == "afresh":
            (self.folder / restart.NOTE).unlink(missing_ok=True)
            self.mendings.left_a_restart()
        state = restart.left(self.folder, self.identity, self._command(), self.number)
        place_pseudopotentials(self.calculation.data, self.folder / "pseudo")
        return state

    def _phonons(self, state: str) -> None:
        if state == restart.REPRESENTATIONS and not restart.ground_state_is_whole(self.folder):
            state = restart.NOTHING
        if state == restart.NOTHING:
            (self.folder / restart.NOTE).unlink(missing_ok=True)
            for path in self.folder.glob("dyn*"):
                path.unlink()
            take_ground_state(self.calculation, self.folder, self.config, self.mendings.path["more_bands"])
        else:
            restart.keep_representations(self.folder, self.number)
        restart.note_begun(self.folder, self.identity)
        fields = {"epsil": ".true."} if self.fields else {}
        code = self._run(PHONONS, {**fields, **({"recover": ".true."} if state != restart.NOTHING else {})})
        if stopped_by_itself(self.folder / f"{PHONONS}.out", code):
            raise Stopped
        check_phonon(self.folder, PHONONS, code, self.number)
        restart.note_phonons(self.folder, self.identity, self._command(), self.number)

    def _coupling(self, state: str) -> tuple[dict[str, bytes], Any]:
        """Compute the coupling: on the bands of the phonons, and where that does not work, on bands computed again."""
        if state == restart.COUPLING_ON_BANDS and restart.prepare_coupling_on_bands(self.folder):
            try:
                return self._coupled({"recover": ".true."})
            except CalculationFailed as failure:
                if failure.cause in ("killed", "disk-full"):
                    raise
        return self._coupled({})

    def _coupled(self, extra: Mapping[str, str]) -> tuple[dict[str, bytes], Any]:
        from megabar.analysis.superconductivity.readers.espresso_q import read_coupling

        for path in self.folder.glob("elph_dir/*"):
            path.unlink()
        settings = self.calculation.settings
        coupling = {
            "trans": ".false.",
            "electron_phonon": "'interpolated'",
            "el_ph_sigma": f"{settings['delta_smearing_Ry']}",
            "el_ph_nsigma": f"{settings['delta_smearings']}",
        }
        code = self._run(COUPLING, {**coupling, **extra})
        check_phonon(self.folder, COUPLING, code, self.number)
        files = phonon_files(self.folder, self.number)
        try:
            return files, read_coupling(self.folder / "elph_dir" / f"elph.inp_lambda.{self.number}")
        except InputError as error:
            raise CalculationFailed("unusable-coupling", str(error)) from None

    def _run(self, name: str, values: Mapping[str, str]) -> int:
        (self.folder / f"{name}.in").write_text(phonon_input(self.calculation.settings, self.mendings.path, values))
        output = self.folder / f"{name}.out"
        if output.is_file():
            output.replace(self.folder / f"{name}.before.out")
        tell = leave_exit_file(self.folder) if name == PHONONS else terminate
        return ended([*self._command(), "-in", f"{name}.in"], self.folder, output.name, tell)

    def _command(self) -> list[str]:
        """Return ph.x, beside a configured pw.x or else on the path, launched and divided as pw.x is."""
        configured = self.config.code("espresso")
        words = (phonon_program(self.config), *configured.command[1:])
        return divided(configured.launch, words, self.mendings.path)

    def clean_up(self) -> None:
        """Remove what nothing needs any more."""
        import shutil

        shutil.rmtree(self.folder / OUT, ignore_errors=True)
        (self.folder / restart.NOTE).unlink(missing_ok=True)


GAMMA_ALONE = (1, 1, 1)
PATH_KEYS = ("alpha_mix(1)", "nmix_ph", "niter_ph", "diagonalization", "search_sym", "recover")
"""Keys of ph.x's input that say how it reaches the answer, not which one."""


PATIENCE = 50
"""Iterations after which ph.x's own mixing is given up for gentler mixing (ph.x itself: 100).

It needs 5 to 10 for a representation, or it wanders: for q of no symmetry in fcc Li it took 57 or did not arrive, and
26 with alpha_mix 0.3.
"""


def phonon_input(settings: Mapping[str, Any], path: Mapping[str, Any], extra: Mapping[str, str]) -> str:
    """Return the input of ph.x for one q-point. path: path settings; extra: keys of the run."""
    grid, number = settings.get("q_grid", GAMMA_ALONE), settings.get("q_number", 1)
    values: dict[str, str] = {
        "prefix": "'pwscf'",
        "outdir": "'./out'",
        "fildyn": "'dyn'",
        "fildvscf": "'dvscf'",
        "tr2_ph": f"{settings['phonon_threshold']:.1e}".replace("e", "d"),
        "ldisp": ".true.",
        **{f"nq{axis}": str(count) for axis, count in enumerate(grid, 1)},
        "start_q": str(number),
        "last_q": str(number),
    }
    if path["alpha_mix"] == DEFAULTS["alpha_mix"]:
        values["niter_ph"] = str(PATIENCE)
    else:
        values |= {"alpha_mix(1)": f"{path['alpha_mix']}", "nmix_ph": f"{path['nmix_ph']}"}
    if path["diagonalization"] != DEFAULTS["diagonalization"]:
        values["diagonalization"] = f"'{path['diagonalization']}'"
    if not path["search_sym"]:
        values["search_sym"] = ".false."
    lines = "".join(f"  {name} = {value}\n" for name, value in {**values, **extra}.items())
    return f"phonons at one q-point\n&inputph\n{lines}/\n"
