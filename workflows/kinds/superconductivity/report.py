"""The report of a study of superconductivity: one self-contained page, its figures and its tables as files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar import __version__
from megabar.analysis.figures.drawing import Drawings
from megabar.analysis.superconductivity.formulas import FORMULAS
from megabar.analysis.superconductivity.gap import GapState
from megabar.analysis.superconductivity.gap_report import gap_document
from megabar.analysis.superconductivity.modes import mode_rows
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.spectral import broadened, drawn_width_meV
from megabar.workflows.files import write_atomically
from megabar.workflows.kinds.superconductivity.answer import NATURAL, TcAnswer, TcAt
from megabar.workflows.kinds.superconductivity.citations import cited_by
from megabar.workflows.kinds.superconductivity.drawings import draw, suffix_at
from megabar.workflows.kinds.superconductivity.plan import TcRung
from megabar.workflows.report.cells import csv_text
from megabar.workflows.report.citations import Citation, bibtex
from megabar.workflows.report.drawings import write_drawings
from megabar.workflows.report.page import style, templates
from megabar.workflows.report.provenance import cpu_seconds, provenance
from megabar.workflows.report.values import duration, flat
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord

TC_COLUMNS = (
    "pressure_GPa", "isotopes", "mu_star", "mu_ref_meV", "smearing_Ry", "quoted", "lambda", "omega_log_K", "omega_2_K",
    "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K", "tc_eliashberg_K",
)  # fmt: skip
CALCULATION_COLUMNS = ("phase", "kind", "index", "state", "cpu_s", "key", "started_from", "cause", "detail")
MODE_COLUMNS = (
    "q_point", "qx_2pi_over_a", "qy_2pi_over_a", "qz_2pi_over_a", "weight", "mode", "omega_meV", "lambda_qv",
    "part_of_lambda", "linewidth_meV",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One calculation of the study; record: None where it has not ended."""

    rung: TcRung
    record: CalculationRecord | None

    @property
    def state(self) -> str:
        """``done``, ``failed``, ``left`` or ``open``."""
        return self.record.state if self.record else "open"

    @property
    def cpu(self) -> str:
        """Core time as text."""
        seconds = cpu_seconds(self.record) if self.record else None
        return "–" if seconds is None else duration(seconds)


def write_report(folder: Path, study: StudyRecord, answer: TcAnswer, store: ResultStore) -> None:
    """Write ``index.html``, ``figures/``, ``answer.json``, ``gap.json``, ``tc.csv``, ``calculations.csv``, α²F, modes.

    Every α²F is there as two columns (meV), for `megabar tc --unit meV`, and ``citations.bib``; files are written
    atomically, the page last.
    """
    records = store.summaries(study.wanted)
    rows = [Row(rung, records.get(rung.key)) for rung in map(TcRung.from_dict, study.rungs)]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "answer.json", json.dumps(_strict(answer.json()), indent=2, ensure_ascii=False) + "\n")
    write_atomically(
        folder / "tc.csv", csv_text(TC_COLUMNS, [row for each in answer.pressures for row in _tc_rows(each)])
    )
    write_atomically(folder / "calculations.csv", csv_text(CALCULATION_COLUMNS, [_calculation(row) for row in rows]))
    for each in answer.pressures:
        for isotopes, reading in each.readings.items():
            _write_spectrum(folder, each, isotopes, reading)
    gaps = _gaps(answer)
    write_atomically(folder / "gap.json", json.dumps(_strict(_gap_content(gaps)), indent=1, ensure_ascii=False) + "\n")
    drawings = draw(answer, {pressure: state for pressure, (_, state) in gaps.items()})
    inline = write_drawings(folder, drawings)
    cited = cited_by(answer)
    write_atomically(folder / "citations.bib", bibtex(cited))
    documents = {pressure: document for pressure, (document, _) in gaps.items()}
    write_atomically(folder / "index.html", _page(study, answer, rows, drawings, inline, documents, cited))


def _write_spectrum(folder: Path, each: TcAt, isotopes: str, reading: Reading) -> None:
    """Write α²F as two columns (meV), and where the q-points are known every mode with its λ and linewidth."""
    name = suffix_at(each.pressure_GPa, isotopes)
    spectrum = broadened(reading.spectrum, drawn_width_meV(reading.spectrum))
    columns = zip(spectrum.omega_meV.tolist(), spectrum.alpha2f.tolist(), strict=True)
    text = "".join(f"{omega:.6f} {value:.8f}\n" for omega, value in columns)
    write_atomically(folder / f"alpha2f{name}.dat", text)
    if reading.coupling is not None:
        modes = [
            (row.number, *row.q, row.weight, row.mode, row.omega_meV, row.lambda_, row.part, row.linewidth_meV)
            for row in mode_rows(reading.coupling, reading.chosen)
        ]
        write_atomically(
            folder / f"modes{name}.csv", csv_text(MODE_COLUMNS, [tuple(map(_short, row)) for row in modes])
        )


def _short(value: float) -> str:
    return f"{value:.6g}"


def states_below_tc(answer: TcAnswer) -> dict[float, GapState]:
    """Return the state below Tc by pressure (GPa), of the natural isotopes and the first μ* of the study."""
    return {pressure: state for pressure, (_, state) in _gaps(answer).items()}


def _gaps(answer: TcAnswer) -> dict[float, tuple[dict[str, Any], GapState]]:
    """Return the state below Tc at each pressure, of the natural isotopes and the first μ* of the study."""
    plan = answer.plan
    return {
        each.pressure_GPa: gap_document(each.readings[NATURAL], plan.mu_star[0], plan.mu_ref_meV)
        for each in answer.pressures
        if not each.missing
    }


def _gap_content(gaps: Mapping[float, tuple[dict[str, Any], GapState]]) -> list[dict[str, Any]]:
    return [{"pressure_GPa": pressure, **document} for pressure, (document, _) in gaps.items()]


def _page(
    study: StudyRecord,
    answer: TcAnswer,
    rows: Sequence[Row],
    drawings: Drawings,
    svgs: Mapping[str, str],
    gaps: Mapping[float, Mapping[str, Any]],
    cited: Sequence[Citation],
) -> str:
    from markupsafe import Markup

    from megabar.analysis.figures.style import DARK_PALETTE, PALETTE

    environment = templates(Path(__file__).parent)
    plan = answer.plan
    settings = {**plan.coupling, **plan.phonon}
    return environment.get_template("page.html.j2").render(
        study=study,
        answer=answer,
        plan=plan,
        rows=rows,
        natural=NATURAL,
        formulas=FORMULAS,
        style=style(),
        palettes=(PALETTE, DARK_PALETTE),
        drawings=drawings.drawings,
        remarks=drawings.remarks,
        gaps=gaps,
        imaginary=_imaginary(answer),
        svgs={name: Markup(each) for name, each in svgs.items()},
        counts={state: sum(row.state == state for row in rows) for state in ("done", "failed", "left", "open")},
        settings=flat({name: value for name, value in settings.items() if name != "functional"}),
        provenance=provenance([row.record for row in rows if row.record]),
        citations=cited,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
    )


def _imaginary(answer: TcAnswer) -> list[dict[str, Any]]:
    """Return every imaginary mode that was left out: where, which, its energy and the λ that it would carry."""
    return [
        {"pressure_GPa": each.pressure_GPa, "isotopes": isotopes, **mode}
        for each in answer.pressures
        for isotopes, documents in each.documents.items()
        for mode in documents[0].get("modes_left_out", [])
        if not mode["translation"]
    ]


def _tc_rows(each: TcAt) -> list[tuple[Any, ...]]:
    """Return a row for each isotope, μ* and smearing at a pressure."""
    found = []
    for isotopes, documents in each.documents.items():
        for document in documents:
            for row in document.get("variants") or [document]:
                head = (each.pressure_GPa, isotopes, document["mu_star"], f"{document['mu_ref_meV']:.4f}")
                smearing = row.get("smearing_Ry", document.get("smearing_Ry"))
                quoted = "yes" if smearing == document.get("smearing_Ry") else ""
                values = (f"{row[name]:.6f}" if name in row else "" for name in TC_COLUMNS[6:])
                found.append((*head, smearing, quoted, *values))
    return found


def _calculation(row: Row) -> tuple[Any, ...]:
    rung, record = row.rung, row.record
    seconds = cpu_seconds(record) if record else None
    said = (record.cause or "", record.detail or "") if record else ("", "")
    cpu = "" if seconds is None else f"{seconds:.2f}"
    return (rung.phase, rung.kind, str(rung.index), row.state, cpu, rung.key, " ".join(rung.starts), *said)


def _strict(value: Any) -> Any:
    """Return a value with what is no number as null, and plain numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {str(name): _strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    if hasattr(value, "item"):
        return _strict(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
