"""The report of a study of superconductivity: one self-contained page, its figures and its tables as files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar import __version__
from megabar.analysis.superconductivity.formulas import FORMULAS
from megabar.analysis.superconductivity.spectral import broadened, drawn_width_meV
from megabar.workflows.files import write_atomically
from megabar.workflows.report.citations import CODES, FUNCTIONALS, Citation
from megabar.workflows.report.page import chem
from megabar.workflows.report.tables import cpu_seconds, duration, flat, provenance
from megabar.workflows.report.words import measured
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord
from megabar.workflows.superconductivity.answer import NATURAL, TcAnswer, TcAt
from megabar.workflows.superconductivity.drawings import Drawing, draw
from megabar.workflows.superconductivity.plan import TcRung

TC_COLUMNS = (
    "pressure_GPa", "isotopes", "mu_star", "mu_ref_meV", "smearing_Ry", "quoted", "lambda", "omega_log_K", "omega_2_K",
    "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K", "tc_eliashberg_K",
)  # fmt: skip
CALCULATION_COLUMNS = ("phase", "kind", "index", "state", "cpu_s", "key", "started_from", "cause", "detail")
METHODS = (
    Citation("Linear response", "S. Baroni et al., Rev. Mod. Phys. 73, 515 (2001)", "10.1103/RevModPhys.73.515"),
    Citation("Eliashberg equations", "P. B. Allen and B. Mitrović, Solid State Phys. 37, 1 (1982)", ""),
)


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
    """Write ``index.html``, ``figures/``, ``answer.json``, ``tc.csv``, ``calculations.csv`` and α²F to a folder.

    Every α²F is there as two columns (meV), for `megabar tc --unit meV`; files are written atomically, the page last.
    """
    from megabar.analysis.figures.style import inline_svg, png, svg

    records = store.get_many(study.wanted)
    rows = [Row(rung, records.get(rung.key)) for rung in map(TcRung.from_dict, study.rungs)]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "answer.json", json.dumps(_strict(answer.json()), indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "tc.csv", _csv(TC_COLUMNS, [row for each in answer.pressures for row in _tc_rows(each)]))
    write_atomically(folder / "calculations.csv", _csv(CALCULATION_COLUMNS, [_calculation(row) for row in rows]))
    for each in answer.pressures:
        for isotopes, reading in each.readings.items():
            kind = "" if isotopes == NATURAL else "-" + isotopes.replace(", ", "-")
            spectrum = broadened(reading.spectrum, drawn_width_meV(reading.spectrum))
            columns = zip(spectrum.omega_meV.tolist(), spectrum.alpha2f.tolist(), strict=True)
            text = "".join(f"{omega:.6f} {value:.8f}\n" for omega, value in columns)
            write_atomically(folder / f"alpha2f-{each.pressure_GPa:g}GPa{kind}.dat", text)
    drawings, inline = draw(answer), {}
    for drawing in drawings:
        picture = svg(drawing.figure)
        write_atomically(folder / "figures" / f"{drawing.name}.svg", picture)
        write_atomically(folder / "figures" / f"{drawing.name}.png", png(drawing.figure))
        inline[drawing.name] = inline_svg(picture, drawing.name)
    write_atomically(folder / "index.html", _page(study, answer, rows, drawings, inline))


def _page(
    study: StudyRecord, answer: TcAnswer, rows: Sequence[Row], drawings: Sequence[Drawing], svgs: Mapping[str, str]
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from megabar.analysis.figures.style import DARK_PALETTE, PALETTE
    from megabar.workflows.report import page

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"chem": chem, "measured": measured}
    plan = answer.plan
    settings = {**plan.coupling, **plan.phonon}
    return environment.get_template("page.html.j2").render(
        study=study,
        answer=answer,
        plan=plan,
        rows=rows,
        natural=NATURAL,
        formulas=FORMULAS,
        style=Markup(Path(page.__file__).with_name("page.css").read_text(encoding="utf-8")),
        palettes=(PALETTE, DARK_PALETTE),
        drawings=drawings,
        svgs={name: Markup(each) for name, each in svgs.items()},
        counts={state: sum(row.state == state for row in rows) for state in ("done", "failed", "left", "open")},
        settings=flat({name: value for name, value in settings.items() if name != "functional"}),
        provenance=provenance([row.record for row in rows if row.record]),
        citations=[*CODES.get(plan.method.code, ()), *_functional(plan.method.functional), *METHODS],
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
    )


def _functional(name: str) -> list[Citation]:
    return [FUNCTIONALS[name]] if name in FUNCTIONALS else []


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


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return content.getvalue()


def _strict(value: Any) -> Any:
    """Return a value with what is no number as null, and plain numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {str(name): _strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    if hasattr(value, "item"):
        return _strict(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
