"""What the answer of a study of phonons offers in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.kinds.phonons.figures import PhononFigures
from megabar.workflows.kinds.phonons.text import study_text
from megabar.workflows.report import showing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from phonopy import Phonopy
    from pymatgen.entries.computed_entries import ComputedEntry

PHONON_COLUMNS = (
    "phase", "formula", "pressure_GPa", "computed_at_GPa", "volume_A3_per_atom", "stable", "lowest_frequency_THz",
    "highest_frequency_THz", "zero_point_eV_per_atom", "zero_point_error_eV_per_atom", "debye_temperature_K", "missing",
)  # fmt: skip
THERMO_COLUMNS = (
    "phase", "atoms", "pressure_GPa", "temperature_K", "volume_A3", "volume_error_A3", "gibbs_eV", "gibbs_error_eV",
    "thermal_expansion_per_K", "bulk_modulus_GPa", "adiabatic_bulk_modulus_GPa", "entropy_J_per_mol_K",
    "heat_capacity_J_per_mol_K", "heat_capacity_v_J_per_mol_K", "gruneisen", "volume_A3_per_atom", "gibbs_eV_per_atom",
    "gibbs_error_eV_per_atom",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class PhononView:
    """Whether phases are dynamically stable at pressures, and their free energies. found: the same as dataclasses."""

    found: PhononAnswer

    @property
    def phonons(self) -> DataFrame:
        """A row a phase and pressure: stable or not, lowest (below 0: imaginary) and highest mode, zero-point energy.

        Where there are no force constants the column ``missing`` says why.
        """
        from pandas import DataFrame

        rows = [{"missing": "", **each} for each in self.json()["phases"]]
        return DataFrame(rows, columns=list(PHONON_COLUMNS))

    @property
    def thermo(self) -> DataFrame:
        """A row a phase, pressure and temperature, quasi-harmonic, of a cell of so many atoms; nan where not known."""
        from pandas import DataFrame

        rows = [
            {"phase": each["phase"], "atoms": each["atoms"], **row}
            for each in self.json()["thermo"]
            for row in each.get("rows", ())
        ]
        frame = DataFrame(rows, columns=list(THERMO_COLUMNS))
        return frame.astype(dict.fromkeys(THERMO_COLUMNS[2:], float))

    def phonopy(self, phase: str, pressure: float) -> Phonopy:
        """Return a crystal as phonopy's object, with its force constants, at a pressure (GPa) of the study.

        Raises InputError where there are none.
        """
        own = [each for each in self.found.crystals if each.phase == phase]
        if not own:
            known = ", ".join(dict.fromkeys(each.phase for each in self.found.crystals))
            raise InputError(f"the study has no phase {phase} (it has {known})")
        for each in own:
            if abs(each.pressure_GPa - pressure) < 1e-6:
                if each.constants is None:
                    raise InputError(f"{phase} has no force constants at {pressure:g} GPa: {each.missing}")
                return each.crystal.phonopy
        known = ", ".join(f"{each.pressure_GPa:g}" for each in own)
        raise InputError(f"the study has no force constants of {phase} at {pressure:g} GPa (it has {known} GPa)")

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Raise InputError: there is no hull, and so no entries."""
        raise InputError("a study of phonons has no hull, so it has no entries")

    def frames(self) -> Mapping[str, DataFrame]:
        """Return the tables of the answer: ``phonons``, ``thermo``."""
        return {"phonons": self.phonons, "thermo": self.thermo}

    def figure(
        self,
        name: str | None = None,
        *,
        pressure: float | tuple[float, ...] = (),
        width_mm: float | None = None,
        ax: showing.Into = None,
    ) -> Figure:
        """Return a figure as `figure_names` lists them; the first where no name is given.

        ax: axes of yours that it is drawn into, one for each of its panels. Raises InputError for a name or pressure
        (GPa) that there is not, and for more or fewer axes.
        """
        return showing.figure(PhononFigures(self.found), showing.options(name, pressure=pressure), width_mm, ax)

    def figure_names(self) -> dict[str, str]:
        """Return the names of the figures with what they show."""
        return PhononFigures(self.found).panels(showing.options())

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""
        return self.found.json()

    @property
    def text(self) -> str:
        """What ``megabar phonons`` prints."""
        return study_text(self.json())

    def __repr__(self) -> str:
        """Return the same, so that a prompt shows the answer."""
        return self.text

    def _repr_html_(self) -> str:
        return showing.page(self.frames())
