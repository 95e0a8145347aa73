"""Tc from α²F of any code: a file, or a folder with the per-q files of ph.x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.analysis import frames
from megabar.analysis.superconductivity.conventions import Reference
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from megabar.workflows.report.showing import Into


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumTc:
    """λ, ω_log and Tc that follow from α²F.

    reading: α²F as it was read, every smearing; None for a lambda.dat, which holds none. document: all that
    ``megabar tc --json`` says, keys with their units.
    """

    reading: Reading | None
    document: Mapping[str, Any] = field(repr=False)

    @property
    def lambda_(self) -> float:
        """λ, the electron-phonon coupling."""
        return float(self.document["lambda"])

    @property
    def omega_log_K(self) -> float:
        """ω_log (K)."""
        return float(self.document["omega_log_K"])

    @property
    def tc_K(self) -> float:
        """Tc by the isotropic Eliashberg equations (K), by McMillan's formula where there is no α²F."""
        return float(self.document.get("tc_eliashberg_K", self.document["tc_mcmillan_K"]))

    @property
    def tc_error_K(self) -> float | None:
        """The error of Tc (K) as far as it is known, None where it is not."""
        return self.document.get("tc_error_K")

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        return list(self.document["notes"])

    @property
    def variants(self) -> DataFrame:
        """λ, moments and Tc of every smearing in the file, a row each."""
        from pandas import DataFrame

        rows = self.document.get("variants") or [self.document]
        columns = ("label", "smearing_Ry", "lambda", "omega_log_K", "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K")
        return DataFrame([{name: row[name] for name in columns if name in row} for row in rows])

    def alpha2f(self) -> DataFrame:
        """Return α²F(ω) and λ(ω), frequencies in meV; raises InputError where there is none."""
        return frames.alpha2f_frame(self._read().spectrum)

    def figure(self, ax: Into = None) -> Figure:
        """Return α²F(ω) and λ(ω) as a figure of matplotlib; ax: axes of yours that it is drawn into."""
        from megabar.analysis.figures.style import drawn_into
        from megabar.analysis.figures.tc_drawings import alpha2f_drawing
        from megabar.workflows.report.showing import axes_of

        with drawn_into(axes_of(ax)):
            return alpha2f_drawing(self._read()).figure

    def json(self) -> dict[str, Any]:
        """Return the document of ``megabar tc --json``."""
        return dict(self.document)

    def __repr__(self) -> str:
        """Return what ``megabar tc`` prints."""
        from megabar.launchers.api.tc_text import tc_text

        return tc_text(dict(self.document))

    def _read(self) -> Reading:
        if self.reading is None:
            raise InputError(f"{self.document['file']}: it holds λ and ω_log only, no α²F")
        return self.reading


def tc(
    source: str | Path,
    *,
    mu_star: float = 0.10,
    mu_ref_meV: Reference = None,
    unit: str | None = None,
    smearing_Ry: float | None = None,
    masses: Mapping[str, float] | Sequence[str] = (),
    mu_star_error: float | None = None,
    insist: bool = False,
) -> SpectrumTc:
    """Return what follows from α²F of any code; see `megabar.tc`."""
    from megabar.analysis.superconductivity.formulas import check_mu_star
    from megabar.analysis.superconductivity.readers import read_lambda_only
    from megabar.analysis.superconductivity.report import lambda_document, tc_document
    from megabar.analysis.superconductivity.uncertainty import check_mu_star_error, tc_errors
    from megabar.launchers.api.alpha2f import check_nothing_more, read_source

    path = Path(source)
    check_mu_star(mu_star)
    check_mu_star_error(mu_star_error)
    texts = [f"{name}={mass}" for name, mass in masses.items()] if isinstance(masses, Mapping) else list(masses)
    rows = read_lambda_only(path)
    if rows is not None:
        check_nothing_more(path, unit, mu_ref_meV, smearing_Ry, texts)
        return SpectrumTc(None, lambda_document(str(path), rows, mu_star))
    reading = read_source(path, unit, smearing_Ry, texts, insist=insist)
    document = tc_document(reading, mu_star, mu_ref_meV)
    errors, said = tc_errors(reading, document, mu_star_error)
    document |= errors
    document["notes"] += said
    return SpectrumTc(reading, document)
