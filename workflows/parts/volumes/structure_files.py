"""Structures at a pressure as files: CIF, POSCAR and extended XYZ, each saying where it comes from."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from megabar.structures.errors import InputError
from megabar.structures.series import CellParameters
from megabar.workflows.parts.volumes.structures_at import StructureAt
from megabar.workflows.report.cells import csv_text

TABLE_COLUMNS = (
    "phase", "pressure_GPa", "volume_A3_per_atom", "a_A", "b_A", "c_A", "alpha_deg", "beta_deg", "gamma_deg",
    "c_over_a", "sites", "space_group", "interpolated",
)  # fmt: skip


def _comment(found: StructureAt) -> str:
    return f"{found.phase}, {found.space_group}, {found.pressure_GPa:g} GPa, {found.origin} (megabar)"


def cif(found: StructureAt) -> str:
    """Return the conventional cell with its symmetry as a CIF."""
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.cif import CifWriter

    text = str(CifWriter(AseAtomsAdaptor.get_structure(found.atoms), symprec=0.01, significant_figures=8))
    kPa = 1e6 * found.pressure_GPa
    return f"# {_comment(found)}\n{text.rstrip()}\n_cell_measurement_pressure   {kPa:.6g}\n"


def poscar(found: StructureAt) -> str:
    """Return the cell as computed as a POSCAR of VASP 5."""
    from ase.io import write

    text = io.StringIO()
    write(text, found.atoms, format="vasp", direct=True)
    return f"{_comment(found)}\n{text.getvalue().split(chr(10), 1)[1]}"


def extxyz(found: StructureAt) -> str:
    """Return the cell as computed as extended XYZ, with phase, pressure and origin beside it."""
    from ase.io import write

    text = io.StringIO()
    write(text, found.labelled(), format="extxyz")
    return text.getvalue()


FORMATS: dict[str, tuple[str, Callable[[StructureAt], str]]] = {
    "cif": (".cif", cif),
    "poscar": (".vasp", poscar),
    "extxyz": (".xyz", extxyz),
}
"""By name of the format: the ending of a file's name, and what makes its text."""


def text_of(found: StructureAt, name: str) -> str:
    """Return a structure as text; raises InputError for an unknown format."""
    if name not in FORMATS:
        raise InputError(f"--format is {name}; it can be {', '.join(FORMATS)}")
    return FORMATS[name][1](found)


def file_name(found: StructureAt, name: str) -> str:
    """Return the name of a structure's file: what is no letter, digit, dot or hyphen in its phase becomes ``_``."""
    plain = "".join(each if each.isalnum() or each in "-." else "_" for each in found.phase)
    return f"{plain}-{found.pressure_GPa:g}GPa{FORMATS[name][0]}"


def row(found: StructureAt) -> dict[str, object]:
    """Return a structure's row of the table of cells, by column."""
    cell = found.parameters
    values = (
        found.phase, found.pressure_GPa, found.volume_A3, cell.a_A, cell.b_A, cell.c_A, cell.alpha_deg, cell.beta_deg,
        cell.gamma_deg, cell.c_over_a, sites(cell), found.space_group, found.interpolated,
    )  # fmt: skip
    return dict(zip(TABLE_COLUMNS, values, strict=True))


def sites(cell: CellParameters) -> str:
    """Return the independent atoms of a cell in one line: ``Na 0.0000 0.0000 0.0000; Na 0.3333 0.6667 0.2500``."""
    return "; ".join(" ".join([symbol, *(f"{value:.4f}" for value in place)]) for symbol, *place in cell.sites)


def table_csv(structures: Sequence[StructureAt]) -> str:
    """Return the table of cells as CSV."""
    rows = [
        [f"{each:.6f}" if isinstance(each, float) else each for each in row(found).values()] for found in structures
    ]
    return csv_text(TABLE_COLUMNS, rows)
