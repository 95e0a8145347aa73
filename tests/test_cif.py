"""CIFs as databases and programs write them, features of public files in small ones of our own, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.io import read

from megabar.structures.errors import InputError
from megabar.structures.files import read_phase
from megabar.structures.library import library
from megabar.structures.readers.cif import read_cif
from megabar.structures.readers.cif_blocks import blocks_of
from megabar.structures.readers.cif_sites import element_of
from megabar.structures.readers.formulas import parse
from megabar.structures.readers.operations import listed, of_number, of_symbol
from megabar.structures.symmetry import quiet_spglib, space_group

AXES = ("a", "b", "c")


def xyz(rotation: np.ndarray, translation: np.ndarray) -> str:
    """Return an operation as CIFs write it."""
    rows = []
    for row, shift in zip(rotation, translation, strict=True):
        terms = "".join(f"{'+' if each > 0 else '-'}{axis}" for each, axis in zip(row, "xyz", strict=True) if each)
        fraction = {0: "", 6: "1/4", 8: "1/3", 12: "1/2", 16: "2/3", 18: "3/4"}.get(round(24 * (shift % 1)), f"{shift}")
        rows.append(f"{fraction}{terms}" if fraction else terms.removeprefix("+"))
    return ",".join(rows)


def operations(hall: int) -> list[str]:
    with quiet_spglib():
        found = spglib.get_symmetry_from_database(hall)
    return [xyz(*each) for each in zip(found["rotations"], found["translations"], strict=True)]


def of_short_symbol(symbol: str) -> int:
    """Return the first Hall number of a space group."""
    with quiet_spglib():
        return next(hall for hall in range(1, 531) if spglib.get_spacegroup_type(hall).international_short == symbol)


def cif(
    cell: tuple[float, ...],
    sites: str,
    *,
    symbol: str = "",
    listing: list[str] | None = None,
    columns: str = "label fract_x fract_y fract_z",
    **values: object,
) -> str:
    """Return a CIF; values: further tags without their underscore."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_test", *(f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True))]
    lines += [f"_{tag} '{value}'" for tag, value in values.items()]
    if symbol:
        lines.append(f"_symmetry_space_group_name_H-M '{symbol}'")
    if listing:
        lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{each}'" for each in listing)]
    lines += ["loop_", *(f"_atom_site_{name}" for name in columns.split()), sites.strip()]
    return "\n".join(lines) + "\n"


def cubic(a: float) -> tuple[float, ...]:
    return (a, a, a, 90, 90, 90)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "test.cif"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> str:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_phase(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


FLUORITE = "Ca 0 0 0\nF 0.25 0.25 0.25"
PEROVSKITE_CELL = (4.7754, 4.9292, 6.8969, 90, 90, 90)  # MgSiO3, Pbnm (rounded)
PEROVSKITE = "Mg 0.5141 0.5560 0.25\nSi 0.5 0 0.5\nO1 0.1028 0.4660 0.25\nO2 0.1961 0.2014 0.5531"


@pytest.mark.parametrize(
    ("symbol", "hall", "cell", "sites", "formula", "atoms", "group"),
    [
        ("F m 3 m", 523, cubic(5.463), FLUORITE, "Ca F2", 12, "Fm-3m (225)"),
        ("F d 3 m", 526, cubic(3.567), "C 0.125 0.125 0.125", "C", 8, "Fd-3m (227)"),
        ("P b n m", 294, PEROVSKITE_CELL, PEROVSKITE, "Mg Si O3", 20, "Pnma (62)"),
        ("P 1 21/m 1", 60, (4, 3, 5, 90, 110, 90), "N 0.2 0.25 0.3", "N", 2, ""),
        ("A 21/b 99 m", 523, cubic(5.463), FLUORITE, "Ca F2", 12, "Fm-3m (225)"),  # a symbol of no table
        ("", 523, cubic(5.463), FLUORITE, "Ca F2", 12, "Fm-3m (225)"),
        ("P 1", 523, cubic(5.463), FLUORITE, "Ca F2", 12, "Fm-3m (225)"),  # one that contradicts the operations
    ],
)
def test_the_listed_operations_decide(
    tmp_path: Path, symbol: str, hall: int, cell: tuple[float, ...], sites: str, formula: str, atoms: int, group: str
) -> None:
    units = atoms / sum(parse(formula).values())
    path = written(
        tmp_path,
        cif(
            cell,
            sites,
            symbol=symbol,
            listing=operations(hall),
            chemical_formula_sum=formula,
            cell_formula_units_Z=units,
        ),
    )
    found = read_cif(path)
    assert len(found.atoms) == atoms
    assert not group or str(space_group(found.atoms)) == group


@pytest.mark.parametrize(
    ("symbol", "cell", "sites", "atoms", "group"),
    [
        ("F m 3 m", cubic(5.463), FLUORITE, 12, "Fm-3m (225)"),
        ("Fm-3m", cubic(5.463), FLUORITE, 12, "Fm-3m (225)"),
        ("I m 3 m", cubic(2.87), "Fe 0 0 0", 2, "Im-3m (229)"),
        ("P a 3", cubic(5.66), "N 0.0555 0.0555 0.0555", 8, "Pa-3 (205)"),
        ("P b n m", PEROVSKITE_CELL, PEROVSKITE, 20, "Pnma (62)"),
        (
            "P2(1)/c",
            (5.1, 5.2, 5.3, 90, 99, 90),
            "Zr 0.27 0.04 0.21\nO1 0.07 0.33 0.34\nO2 0.45 0.76 0.48",
            12,
            "P2_1/c (14)",
        ),
        ("P 1 21/n 1", (5.1, 5.2, 6.3, 90, 99, 90), "Zr 0.27 0.04 0.21\nO1 0.07 0.33 0.34", 8, "P2_1/c (14)"),
        ("F d -3 m :2", cubic(3.567), "C 0.125 0.125 0.125", 8, "Fd-3m (227)"),
        ("F d -3 m Z", cubic(3.567), "C 0.125 0.125 0.125", 8, "Fd-3m (227)"),
        ("F d 3 m S", cubic(3.567), "C 0 0 0", 8, "Fd-3m (227)"),
        ("R -3 m H", (2.5, 2.5, 12.2, 90, 90, 120), "Co 0 0 0", 3, "R-3m (166)"),
        ("R -3 m", (3.0, 3.0, 3.0, 55, 55, 55), "Co 0 0 0", 1, "R-3m (166)"),  # the cell tells which axes
    ],
)
def test_symbols_are_read_where_no_operations_are_listed(
    tmp_path: Path, symbol: str, cell: tuple[float, ...], sites: str, atoms: int, group: str
) -> None:
    found = read_cif(written(tmp_path, cif(cell, sites, symbol=symbol)))
    assert len(found.atoms) == atoms
    assert str(space_group(found.atoms)) == group


def test_an_origin_that_is_left_open_is_settled_by_the_formula_or_refused(tmp_path: Path) -> None:
    """Diamond at 1/8, 1/8, 1/8: 8 atoms in origin choice 2, and 16 at 2.8 Å³ each in choice 1."""
    site, cell = "C 0.125 0.125 0.125", cubic(3.567)
    said = refused(tmp_path, cif(cell, site, symbol="F d -3 m"))
    assert "choice 1: 16 atoms" in said and "choice 2: 8 atoms" in said and "F d -3 m :2" in said
    for evidence in (
        {"chemical_formula_sum": "C", "cell_formula_units_Z": 8},
        {"chemical_formula_sum": "C8"},
        {"exptl_crystal_density_diffrn": 3.515},
    ):
        phase = read_phase(written(tmp_path, cif(cell, site, symbol="F d -3 m", **evidence)))
        assert len(phase.atoms) == 2 and phase.volume_per_atom == pytest.approx(3.567**3 / 8)
    assert "Z is 3" in refused(
        tmp_path, cif(cell, site, symbol="F d -3 m", chemical_formula_sum="C", cell_formula_units_Z=3)
    )


def test_half_a_list_of_operations_is_refused(tmp_path: Path) -> None:
    whole = operations(523)
    cell, said = cubic(5.463), {"chemical_formula_sum": "Ca F2", "cell_formula_units_Z": 4}
    assert "is no group" in refused(tmp_path, cif(cell, FLUORITE, listing=whole[:96], **said))
    # Half of it may be a group itself: that without the inversion makes CaF, F-43m, of it.
    half = operations(of_short_symbol("F-43m"))
    assert len(half) == 96
    assert "its atoms make Ca4 F4, its formula is Ca F2" in refused(tmp_path, cif(cell, FLUORITE, listing=half, **said))
    # Without the centring the composition stays, and Z tells.
    primitive = operations(of_short_symbol("Pm-3m"))
    caesium = {"chemical_formula_sum": "Cs Cl", "cell_formula_units_Z": 4}
    assert "2 atoms are 1 formula units" in refused(
        tmp_path, cif(cubic(7.0), "Cs 0 0 0\nCl 0.5 0.5 0.5", symbol="F m -3 m", listing=primitive, **caesium)
    )


def test_operations_that_the_symbol_contradicts_need_another_witness(tmp_path: Path) -> None:
    cell, only = cubic(5.463), ["x,y,z"]
    said = refused(tmp_path, cif(cell, FLUORITE, symbol="F m -3 m", listing=only))
    assert "it lists 1 symmetry operations, and F m -3 m has 192" in said
    atoms = "\n".join(
        f"{symbol} {x} {y} {z}"
        for symbol, base in (("Ca", [0, 0, 0]), ("F", [0.25] * 3), ("F", [0.75] * 3))
        for x, y, z in (
            (np.array(base) + shift) % 1 for shift in ([0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0])
        )
    )
    text = cif(cell, atoms, symbol="F m -3 m", listing=only, chemical_formula_sum="Ca F2", cell_formula_units_Z=4)
    phase = read_phase(written(tmp_path, text))
    assert len(phase.atoms) == 3 and "as many as the file says with the listed ones" in phase.note


def test_operations_that_do_not_fit_the_cell_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, cif((5.4, 5.4, 6.1, 90, 90, 90), FLUORITE, listing=operations(523)))
    assert "do not fit its symmetry operations" in said


BOEHMITE = ((2.868, 12.234, 3.692, 90, 90, 90), "Al 0 -0.317 0.25\nO1 0 0.287 0.25\nO2 0 0.08 0.25", "C m c m")


def test_hydrogen_without_positions_is_missed(tmp_path: Path) -> None:
    """Boehmite, AlO(OH): without its H it would be AlO2."""
    cell, sites, symbol = BOEHMITE
    for formula in ("Al H O2", "Al (O2 H)", "Al D O2", "Al O (O H)"):
        said = refused(tmp_path, cif(cell, sites, symbol=symbol, chemical_formula_sum=formula, cell_formula_units_Z=4))
        assert "has hydrogen atoms, its list of atoms has no position of any" in said
    whole = read_phase(
        written(tmp_path, cif(cell, sites + "\nH 0 0 0.5", symbol=symbol, chemical_formula_sum="Al (O2 H)"))
    )
    assert whole.formula in ("AlO2H", "AlHO2", "HAlO2") or whole.counts == {"Al": 1, "O": 2, "H": 1}
    heavy = read_phase(
        written(tmp_path, cif(cell, sites + "\nD 0 0 0.5", symbol=symbol, chemical_formula_sum="Al (O2 D)"))
    )
    assert heavy.counts["H"] == 1 and "Deuterium is taken as hydrogen" in heavy.note


@pytest.mark.parametrize("label", ["O-H1", "OH", "Oh2", "O_H", "(OH)", "Wat1", "OW", "Ow3", "H2O", "W1", "Wa"])
def test_groups_whose_hydrogen_has_no_position_are_refused_in_words(tmp_path: Path, label: str) -> None:
    cell, sites, symbol = BOEHMITE
    said = refused(tmp_path, cif(cell, sites.replace("O2 ", f"{label} "), symbol=symbol, chemical_formula_sum="Al O2"))
    assert f"its site {label} (" in said and "hydrogen has no position" in said


@pytest.mark.parametrize(
    ("label", "kind", "formula", "element"),
    [
        ("Fe1", "Fe3+", (), "Fe"),
        ("O1", "O2-", (), "O"),
        ("Na", "", (), "Na"),
        ("CA1", "", ("Ca", "O"), "Ca"),
        ("CA1", "", ("C", "H"), "C"),
        ("NA2", "", ("Na", "Cl"), "Na"),
        ("Ob", "", ("Si", "O"), "O"),
        ("Hw1", "", ("H", "O"), "H"),
        ("Ho1", "", ("Ho", "O"), "Ho"),
        ("Ho1", "", ("H", "O"), "H"),
        ("D1", "", ("H", "O"), "D"),
        ("W1", "", ("W", "O"), "W"),
        ("W", "", (), "W"),
        ("CVal", "C", (), "C"),
        ("M1", "Mg2+", ("Mg", "O"), "Mg"),
        ("1", "Si", ("Si", "O"), "Si"),
    ],
)
def test_labels_name_elements(label: str, kind: str, formula: tuple[str, ...], element: str) -> None:
    assert element_of(label, kind, formula)[0] == element


@pytest.mark.parametrize(("label", "formula"), [("M1", ()), ("CA1", ()), ("T2", ("Si", "O")), ("12", ())])
def test_labels_that_may_be_two_elements_or_none_are_refused(label: str, formula: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"its site {label} "):
        element_of(label, "", formula)


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        ("Na2 He", {"Na": 2, "He": 1}),
        ("H1 Li1 O1", {"H": 1, "Li": 1, "O": 1}),
        ("Al (O2 H)", {"Al": 1, "O": 2, "H": 1}),
        ("Mg1.8 Fe.2 Si O4", {"Mg": 1.8, "Fe": 0.2, "Si": 1, "O": 4}),
        ("Ca (Al2 (O H)4)3", {"Ca": 1, "Al": 6, "O": 12, "H": 12}),
        ("D2 O", {"H": 2, "O": 1}),
        ("?", None),
        ("iron", None),
        ("Al2)", None),
        ("", None),
    ],
)
def test_formulas(text: str, atoms: dict[str, float] | None) -> None:
    assert parse(text) == (pytest.approx(atoms) if atoms else None)


def test_another_compound_volume_or_density_is_refused(tmp_path: Path) -> None:
    cell = cubic(5.463)
    make = {"symbol": "F m 3 m"}
    assert "its atoms make Ca4 F8, its formula is Ca F" in refused(
        tmp_path, cif(cell, FLUORITE, **make, chemical_formula_sum="Ca F")
    )
    assert "its site Ca names no element of its formula (Ba, F)" in refused(
        tmp_path, cif(cell, FLUORITE, **make, chemical_formula_sum="Ba F2")
    )
    assert "_cell_volume" in refused(tmp_path, cif(cell, FLUORITE, **make, cell_volume=188.0))
    assert "g/cm³, it says 6.36" in refused(tmp_path, cif(cell, FLUORITE, **make, exptl_crystal_density_diffrn=6.36))
    agreeing = cif(
        cell, FLUORITE, **make, chemical_formula_sum="Ca F2", cell_volume="163.04(2)", exptl_crystal_density_diffrn=3.18
    )
    assert "Not as the file says" not in read_phase(written(tmp_path, agreeing)).note
    # One witness of two suffices: a wrong Z beside a right density is told, not refused.
    odd = agreeing.replace("_cell_volume", "_cell_formula_units_Z 2\n_cell_volume")
    assert "Z is 2" in read_phase(written(tmp_path, odd)).note


@pytest.mark.parametrize("nothing", ["''", '""', "?", "."])
def test_a_tag_that_comes_again_without_a_value_is_no_value(tmp_path: Path, nothing: str) -> None:
    """Files of the American Mineralogist database have their formula, and then an empty one."""
    text = cif(cubic(5.463), FLUORITE, symbol="F m -3 m", chemical_formula_sum="Ca F")
    text = text.replace("_symmetry", f"_chemical_formula_sum {nothing}\n_symmetry")
    assert "its formula is Ca F" in refused(tmp_path, text)


def test_formulas_of_the_whole_cell_are_understood(tmp_path: Path) -> None:
    """The Materials Project's files give that of the cell beside its Z."""
    text = cif(cubic(5.463), FLUORITE, symbol="F m -3 m", chemical_formula_sum="Ca4 F8", cell_formula_units_Z=4)
    assert read_phase(written(tmp_path, text)).formula == "CaF2"


@pytest.mark.parametrize("word", ["?", ".", "1", "1.0", "1.000(2)"])
def test_occupancies_that_are_full_or_not_told(tmp_path: Path, word: str) -> None:
    sites = f"Ca 0 0 0 {word}\nF 0.25 0.25 0.25 {word}"
    columns = "label fract_x fract_y fract_z occupancy"
    phase = read_phase(written(tmp_path, cif(cubic(5.463), sites, symbol="F m -3 m", columns=columns)))
    assert phase.formula == "CaF2"
    assert ("Occupancies are not known" in phase.note) == (word == "?")


def test_positions_that_are_not_told_and_attached_hydrogen_are_refused(tmp_path: Path) -> None:
    cell, sites, symbol = BOEHMITE
    assert "its site H has no position" in refused(tmp_path, cif(cell, sites + "\nH ? ? ?", symbol=symbol))
    columns = "label fract_x fract_y fract_z attached_hydrogens"
    rows = "\n".join(f"{row} {count}" for row, count in zip(sites.splitlines(), (0, 0, 1), strict=True))
    assert "its site O2 has 1 hydrogen atoms attached" in refused(
        tmp_path, cif(cell, rows, symbol=symbol, columns=columns)
    )


@pytest.mark.parametrize(("third", "two_thirds"), [("0.3333", "0.6667"), ("0.333", "0.667"), ("0.33", "0.67")])
def test_sites_that_rounding_has_pulled_apart_are_one(tmp_path: Path, third: str, two_thirds: str) -> None:
    cell = (5.2, 5.2, 8.4, 90, 90, 120)
    text = cif(
        cell, f"Mg {third} {two_thirds} 0.25", symbol="P 63/m m c", chemical_formula_sum="Mg", cell_formula_units_Z=2
    )
    phase = read_phase(written(tmp_path, text))
    assert len(phase.atoms) == 2
    assert "P6_3/mmc (194)" in phase.note
    assert ("are one atom (rounded coordinates)" in phase.note) == (third == "0.33")


def test_sites_listed_beside_their_images_count_once(tmp_path: Path) -> None:
    sites = "Ca 0 0 0\nCa2 0.5 0.5 0\nF 0.25 0.25 0.25\nF2 0.75 0.75 0.75"
    phase = read_phase(written(tmp_path, cif(cubic(5.463), sites, symbol="F m -3 m", chemical_formula_sum="Ca F2")))
    assert len(phase.atoms) == 3 and "Ca2 of Ca" in phase.note
    assert "its sites Ca (Ca) and Sr (Sr) share a place" in refused(
        tmp_path, cif(cubic(5.463), sites.replace("Ca2", "Sr"), symbol="F m -3 m")
    )


@pytest.mark.parametrize(
    ("tags", "pressure", "said"),
    [
        ({"cell_measurement_pressure": "25300000"}, 25.3, ""),
        ({"diffrn_ambient_pressure": "5.4(2)e6"}, None, "does not say the pressure"),  # no number of a CIF
        ({"diffrn_ambient_pressure": "5400000(200)"}, 5.4, ""),
        ({"cell_measurement_pressure": "101.325"}, 1.01325e-4, ""),
        ({"cell_measurement_pressure": "?", "diffrn_ambient_pressure": "2e6"}, 2.0, ""),
        ({"cell_measurement_pressure": "-2e6"}, -2.0, ""),  # computed: matter may be stretched
        ({"cell_measurement_pressure": "20"}, None, "say it as `pressure`"),
        ({"publ_section_title": "Structure at high pressure Sample: T = 300 K, P = 12.6 GPa"}, 12.6, "P = 12.6 GPa"),
        ({"publ_section_title": "Sample: P = 44.7 kbar"}, 4.47, "44.7 kbar"),
        ({"publ_section_title": "Synthesised at P = 0.15 mbar"}, None, "does not say the pressure"),
    ],
)
def test_the_files_own_pressure_is_used(
    tmp_path: Path, tags: dict[str, str], pressure: float | None, said: str
) -> None:
    path = written(tmp_path, cif(cubic(5.463), FLUORITE, symbol="F m -3 m", **tags))
    phase = read_phase(path)
    assert phase.pressure_GPa == pytest.approx(pressure or 0.0)
    assert said in phase.note
    assert ("0 GPa assumed" in phase.note) == (pressure is None)
    assert read_phase(path, pressure_GPa=7).pressure_GPa == 7


def test_several_structures_are_refused_by_name(tmp_path: Path) -> None:
    one = cif(cubic(5.463), FLUORITE, symbol="F m -3 m")
    said = refused(tmp_path, one + one.replace("data_test", "data_other"))
    assert "holds 2 structures (test, other" in said
    # A block without atoms is none, nor is a word in a text.
    path = written(tmp_path, "data_global\n_journal_year 2020\n;\ndata_of a text\n;\n" + one)
    assert [block.name for block in blocks_of(path)] == ["test"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cif(cubic(5.463), "Ca 0 0\nF 0.25 0.25 0.25", symbol="F m -3 m"), "is a loop incomplete"),
        (cif(cubic(5.463), FLUORITE).replace("_cell_length_b 5.463", ""), "_cell_length_b is missing"),
        (
            cif(cubic(5.463), FLUORITE).replace("_cell_angle_beta 90", "_cell_angle_beta ?"),
            "_cell_angle_beta is missing",
        ),
        (cif((5, 5, 5, 10, 10, 150), FLUORITE), "make none"),
        (cif(cubic(5.463), "Ca 0 0 0\nF x 0.25 0.25"), "are no coordinates"),
        (cif(cubic(5.463), FLUORITE, symbol="X y z"), "is in no table"),
        (cif(cubic(5.463), FLUORITE, symmetry_Int_Tables_number=300), "not one of 1 to 230"),
        (cif(cubic(5.463), FLUORITE, listing=["x,y,z", "x,y"]), "'x,y' is no symmetry operation"),
        (cif(cubic(5.463), FLUORITE, listing=["x,y,z", "2x,y,z"]), "changes the volume"),
        (cif(cubic(5.463), FLUORITE, listing=["-x,-y,-z"]), "x, y, z is not among them"),
        (cif(cubic(5.463), FLUORITE, cell_measurement_pressure=2e10), "cannot be"),
        ("data_x\n_cell_length_a 3\n", "holds no structures"),
        ("_cell_length_a 3\n", "nothing in it begins with data_"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_no_symmetry_at_all_is_all_atoms_and_said(tmp_path: Path) -> None:
    phase = read_phase(written(tmp_path, cif(cubic(2.8), "Cs 0 0 0\nCl 0.5 0.5 0.5")))
    assert len(phase.atoms) == 2 and "The file tells no symmetry" in phase.note


def test_space_group_numbers(tmp_path: Path) -> None:
    text = cif(cubic(5.463), FLUORITE, space_group_IT_number=225)
    assert len(read_cif(written(tmp_path, text)).atoms) == 12
    assert [len(each) for each in of_number(227)] == [192, 192]
    assert [len(each) for each in of_number(166)] == [36, 12]
    assert [len(each) for each in of_number(14)] == [4]
    assert [len(each) for each in of_symbol("P 21/c")] == [4]
    assert of_symbol("P 99") == []


def test_operations_in_all_spellings() -> None:
    for text in ("-x+1/2, y, -z", "1/2-X,+Y,-Z", "0.5-x,y,-z", "'-x+1/2,y,-z'", " - x + 1/2 , y , - z"):
        found = listed(["x,y,z", text])
        assert found.rotations[1].tolist() == [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]
        assert found.translations[1].tolist() == [0.5, 0, 0]


@pytest.mark.parametrize("name", ["Na-cI16", "H2S-Pc", "SiO2-quartz", "Na-hP4"])
def test_what_ase_reads_right_stays_to_the_digit(tmp_path: Path, name: str) -> None:
    """Keys of calculations are made of these digits, and of the order of the atoms."""
    path = tmp_path / "x.cif"
    library()[name].atoms.write(path)
    ase: Atoms = read(path)
    ours = read_cif(path).atoms
    assert ours.get_chemical_symbols() == ase.get_chemical_symbols()
    assert np.array_equal(ours.positions, ase.positions) and np.array_equal(ours.cell[:], ase.cell[:])
