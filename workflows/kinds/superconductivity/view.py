"""What the answer of a study of superconductivity offers in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from megabar.analysis import frames
from megabar.structures.errors import InputError
from megabar.workflows.kinds.superconductivity.answer import NATURAL, TcAnswer
from megabar.workflows.kinds.superconductivity.figures import TcFigures
from megabar.workflows.kinds.superconductivity.text import study_text
from megabar.workflows.report import showing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pymatgen.entries.computed_entries import ComputedEntry

TC_COLUMNS = (
    "lambda", "lambda_error", "omega_log_K", "omega_2_K", "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K",
    "tc_eliashberg_K", "tc_eliashberg_error_K",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class TcView:
    """λ, ω_log and Tc at each pressure, μ* and isotope. found: the same as dataclasses."""

    found: TcAnswer

    @property
    def tc(self) -> DataFrame:
        """A row a pressure (GPa), isotope and μ*: λ, moments, Tc by every method (K), errors where they are known.

        Where there is no Tc the column ``missing`` says why.
        """
        from pandas import DataFrame

        rows: list[dict[str, Any]] = []
        for each in self.json()["pressures"]:
            common = {"pressure_GPa": each["pressure_GPa"]}
            if "missing" in each:
                rows.append({**common, "missing": each["missing"]})
            for isotopes, documents in each.get("tc", {}).items():
                rows += [{**common, "isotopes": isotopes, **document, "missing": ""} for document in documents]
        return DataFrame(rows, columns=["pressure_GPa", "isotopes", "mu_star", *TC_COLUMNS, "missing"])

    def alpha2f(self, pressure: float, isotopes: str = NATURAL) -> DataFrame:
        """Return α²F(ω) at a pressure (GPa) of the study, frequencies in meV; raises InputError where there is none."""
        for each in self.found.pressures:
            if abs(each.pressure_GPa - pressure) < 1e-6:
                if isotopes not in each.readings:
                    known = ", ".join(each.readings) or each.missing
                    raise InputError(f"there is no α²F of {isotopes} at {pressure:g} GPa ({known})")
                return frames.alpha2f_frame(each.readings[isotopes].spectrum)
        known = ", ".join(f"{each.pressure_GPa:g}" for each in self.found.pressures)
        raise InputError(f"the study has not the pressure {pressure:g} GPa (it has {known})")

    def entries(self, pressure: float) -> list[ComputedEntry]:
        """Raise InputError: there is no hull, and so no entries."""
        raise InputError("a study of superconductivity has one phase and no hull, so it has no entries")

    def frames(self) -> Mapping[str, DataFrame]:
        """Return the table of the answer: ``tc``."""
        return {"tc": self.tc}

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
        return showing.figure(TcFigures(self.found), showing.options(name, pressure=pressure), width_mm, ax)

    def figure_names(self) -> dict[str, str]:
        """Return the names of the figures with what they show."""
        return TcFigures(self.found).panels(showing.options())

    def json(self) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""
        return self.found.json()

    @property
    def text(self) -> str:
        """What ``megabar tc`` prints."""
        return study_text(self.json())

    def __repr__(self) -> str:
        """Return the same, so that a prompt shows the answer."""
        return self.text

    def _repr_html_(self) -> str:
        return showing.page(self.frames())
