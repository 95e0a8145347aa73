"""The report of a study of phonons: one self-contained page, its figures, tables and force constants as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar import __version__
from megabar.analysis.figures.drawing import Drawings, Options
from megabar.workflows.files import write_atomically
from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.kinds.phonons.citations import cited_by
from megabar.workflows.kinds.phonons.figures import PhononFigures
from megabar.workflows.kinds.phonons.words import lowest, notes_of, q_text, sentences
from megabar.workflows.report.cells import csv_text
from megabar.workflows.report.citations import bibtex
from megabar.workflows.report.documents import document_json
from megabar.workflows.report.drawings import write_drawings
from megabar.workflows.report.page import style, templates
from megabar.workflows.report.provenance import cpu_seconds, provenance
from megabar.workflows.report.values import duration, flat
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord

THERMO_COLUMNS = (
    "phase", "formula", "atoms", "pressure_GPa", "temperature_K", "volume_A3", "volume_error_A3", "gibbs_eV",
    "gibbs_error_eV", "thermal_expansion_per_K", "bulk_modulus_GPa", "adiabatic_bulk_modulus_GPa",
    "entropy_J_per_mol_K", "heat_capacity_J_per_mol_K", "heat_capacity_v_J_per_mol_K", "gruneisen",
    "volume_A3_per_atom", "gibbs_eV_per_atom", "gibbs_error_eV_per_atom", "missing",
)  # fmt: skip
CALCULATION_COLUMNS = (
    "where", "kind", "index", "state", "volume_A3_per_atom", "pressure_GPa", "energy_eV_per_atom", "cpu_s", "key",
    "started_from", "cause", "detail", "mendings",
)  # fmt: skip
MOST_ROWS = 1500
"""Of a table on the page; the files hold all."""


@dataclass(frozen=True)
class Row:
    """One calculation of the study; record: None where it has not ended."""

    rung: Mapping[str, Any]
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


def write_report(folder: Path, study: StudyRecord, answer: PhononAnswer, store: ResultStore) -> None:
    """Write ``index.html``, ``figures/``, ``force_constants/``, ``answer.json``, ``thermo.csv``, ``calculations.csv``.

    ``force_constants/PHASE-PGPa.yaml`` are phonopy_params files, which phonopy-load and `megabar phonons` read. Files
    are written atomically, the page last.
    """
    records = store.summaries(study.wanted)
    rows = [Row(rung, records.get(rung["key"])) for rung in study.rungs]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    document = answer.json()
    write_atomically(folder / "answer.json", document_json(document))
    write_atomically(folder / "thermo.csv", thermo_csv(document))
    write_atomically(folder / "calculations.csv", csv_text(CALCULATION_COLUMNS, [_calculation(row) for row in rows]))
    write_constants(folder / "force_constants", answer)
    drawings = PhononFigures(answer).draw(Options())
    inline = write_drawings(folder, drawings)
    cited = cited_by(answer)
    write_atomically(folder / "citations.bib", bibtex(cited))
    page = templates(Path(__file__).parent).get_template("page.html.j2")
    context = _context(study, answer, document, rows, drawings, inline)
    write_atomically(folder / "index.html", page.render(**context, citations=cited))


def write_constants(folder: Path, answer: PhononAnswer) -> list[Path]:
    """Write the force constants of all crystals that have any as phonopy_params files, and return these."""
    from megabar.analysis.phonons.writing import write_params

    folder.mkdir(exist_ok=True)
    written = []
    for each in answer.crystals:
        if each.constants is None:
            continue
        path = folder / f"{each.phase}-{each.pressure_GPa:g}GPa.yaml"
        unfinished = path.with_name(f".{path.name}")
        write_params(each.crystal, unfinished, each.reached_GPa)
        unfinished.replace(path)
        written.append(path)
    return written


def thermo_csv(document: Mapping[str, Any]) -> str:
    """Return the quasi-harmonic free energies of an answer, a row a phase, pressure and temperature, per cell."""
    own = ("phase", "formula", "atoms")
    rows = [
        tuple({**{name: each[name] for name in own}, **row}.get(name) for name in THERMO_COLUMNS)
        for each in document["thermo"]
        for row in each.get("rows", ())
    ]
    return csv_text(THERMO_COLUMNS, [tuple(map(_cell, row)) for row in rows])


def _context(
    study: StudyRecord,
    answer: PhononAnswer,
    document: Mapping[str, Any],
    rows: Sequence[Row],
    drawings: Drawings,
    svgs: Mapping[str, str],
) -> dict[str, Any]:
    from markupsafe import Markup

    from megabar.analysis.figures.style import DARK_PALETTE, PALETTE

    plan, crystals = answer.plan, document["phases"]
    there = [each for each in crystals if "missing" not in each]
    return {
        "study": study,
        "plan": plan,
        "phases": list(dict.fromkeys(each["phase"] for each in crystals)),
        "sentences": sentences(document),
        "crystals": crystals,
        "parts": list(dict.fromkeys(part for each in there for part in each["zero_point_error_parts_eV_per_atom"])),
        "imaginary": [(each, mode) for each in there for mode in each["imaginary"]],
        "thermo": document["thermo"],
        "elastic": document["elastic"],
        "followed": document["followed"],
        "supercells": document["supercells"],
        "settings": {each.phase: flat(each.settings) for each in plan.supercells},
        "failures": document["failures"],
        "notes": notes_of(document),
        "lowest": lowest,
        "q_text": q_text,
        "style": style(),
        "palettes": (PALETTE, DARK_PALETTE),
        "drawings": drawings.drawings,
        "svgs": {name: Markup(each) for name, each in svgs.items()},
        "rows": rows,
        "most": MOST_ROWS,
        "counts": {state: sum(row.state == state for row in rows) for state in ("done", "failed", "left", "open")},
        "provenance": provenance([row.record for row in rows if row.record]),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }


def _calculation(row: Row) -> tuple[Any, ...]:
    rung, record = row.rung, row.record
    head = (rung["phase"], rung.get("kind", "main"), str(rung["index"]), row.state)
    starts = " ".join(rung.get("starts") or ([rung["structure_of"]] if rung.get("structure_of") else []))
    if record is None:
        return (*head, "", "", "", "", rung["key"], starts, "", "", "")
    numbers = (record.volume_A3_per_atom, record.pressure_GPa, record.energy_eV_per_atom, cpu_seconds(record))
    said = (record.cause or "", record.detail or "", "; ".join(record.mendings))
    return (*head, *map(_cell, numbers), rung["key"], starts, *said)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value + 0.0:.9g}" if isinstance(value, float) else value  # no −0
