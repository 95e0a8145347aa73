"""Tables of others: units and separators, what cannot be right and what it looks like, noise, ties, one pressure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.units import GPa, Ha, Ry, kJ, mol

from megabar.analysis.stability import analyse
from megabar.analysis.tables import read_table
from megabar.analysis.tables.answer import table_json, table_stability
from megabar.structures.elements import elements_volume
from megabar.structures.errors import InputError
from megabar.structures.library import library

HEADER = "phase,formula,pressure_GPa,enthalpy_eV_per_atom"
GRID = np.arange(0, 501, 25.0)
SOLIDS = {"Na": (37.0, 7.0, 3.6), "He": (13.0, 3.0, 4.5)}
ATOMS = {"Na": 1, "He": 1, "Na2He": 3}
STABLE_FROM = 0.14 / 0.00115


def solid(name, pressure):
    """H (eV/atom) and V (Å³/atom) of Murnaghan, PNAS 30, 244 (1944)."""
    volume, bulk, prime = SOLIDS[name]
    x = 1 + prime * np.asarray(pressure) / bulk
    return GPa * volume * bulk / (prime - 1) * (x ** (1 - 1 / prime) - 1), volume * x ** (-1 / prime)


def sodium_helium(pressures=GRID):
    """Phase: (formula, pressures, H, V); Na2He is stable above STABLE_FROM."""
    sodium, helium = solid("Na", pressures), solid("He", pressures)
    mixed = [(2 * a + b) / 3 for a, b in zip(sodium, helium, strict=True)]
    return {
        "Na-bcc": ("Na", pressures, sodium[0] - 1.3, sodium[1]),
        "He-hcp": ("He", pressures, *helium),
        "Na2He": ("Na2He", pressures, mixed[0] - 2.6 / 3 + 0.14 - 0.00115 * pressures, mixed[1] - 0.00115 / GPa),
    }


def unchanged(formula, pressure, enthalpy, volume):
    return enthalpy


def write(tmp_path, phases, of=unchanged, at=lambda p: p, header=HEADER, separator=",", digits=9, number=str):
    path = tmp_path / "table.csv"
    lines = [header.replace(",", separator)]
    for phase, (formula, *columns) in phases.items():
        for p, h, v in zip(*columns, strict=True):
            cells = [phase, formula, number(f"{at(p):.8g}"), number(f"{of(formula, p, h, v):.{digits}f}")]
            lines.append(separator.join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


def onset(table):
    """Pressure above which Na2He is stable."""
    [interval] = [each for each in table_stability(table).intervals if each.phase == "Na2He"]
    return interval.from_GPa


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_table(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said
    return said


def test_volumes_of_elements_are_those_of_the_library():
    """What the bounds rest on: all phases have 0.3 to 1.2 of the volume of their elements, 0.65 to 1.1 at pressure."""
    ratios = {
        phase.name: phase.volume_per_atom / float(elements_volume(phase.counts, phase.pressure_GPa))
        for phase in library().values()
    }
    firm = [ratios[phase.name] for phase in library().values() if phase.pressure_GPa > 30]
    assert min(ratios.values()) > 0.27 and max(ratios.values()) < 1.2
    assert min(firm) > 0.65 and max(firm) < 1.2
    assert len(firm) > 20


@pytest.mark.parametrize(
    ("header", "of", "at"),
    [
        ("phase,formula,pressure_GPa,enthalpy_eV_per_fu", lambda f, p, h, v: h * ATOMS[f], lambda p: p),
        ("phase,formula,pressure_GPa,enthalpy_eV_per_formula", lambda f, p, h, v: h * ATOMS[f], lambda p: p),
        ("phase,formula,pressure_kbar,enthalpy_Ry_per_atom", lambda f, p, h, v: h / Ry, lambda p: 10 * p),
        ("phase,formula,pressure_Mbar,enthalpy_Ha_per_atom", lambda f, p, h, v: h / Ha, lambda p: p / 100),
        ("phase,formula,pressure_TPa,enthalpy_meV_per_atom", lambda f, p, h, v: 1000 * h, lambda p: p / 1000),
        ("phase,formula,P (GPa),H (eV/f.u.)", lambda f, p, h, v: h * ATOMS[f], lambda p: p),
        ("phase,formula,pressure_GPa,enthalpy_kJ_per_mol_atoms", lambda f, p, h, v: h * mol / kJ, lambda p: p),
        ("phase,formula,pressure_GPa,enthalpy_kJ_per_mol_fu", lambda f, p, h, v: ATOMS[f] * h * mol / kJ, lambda p: p),
    ],
)
def test_columns_in_other_units_are_converted_and_said(tmp_path, header, of, at):
    table = read_table(write(tmp_path, sodium_helium(), of, at, header))
    for curve, (_, pressures, enthalpies, _) in zip(table.curves, sodium_helium().values(), strict=True):
        np.testing.assert_allclose(curve.pressures_GPa, pressures, rtol=1e-7)
        np.testing.assert_allclose(curve.enthalpies_eV, enthalpies, atol=2e-7)
    assert onset(table) == pytest.approx(STABLE_FROM, abs=0.1)
    changed = [name for name in header.split(",")[2:] if name not in HEADER]
    changed = [name for name in changed if name != "P (GPa)"]
    assert [name for name in changed if any(f"column {name}:" in note for note in table.notes)] == changed


def test_a_formula_unit_is_the_formula_as_it_is_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("phase,formula,pressure_GPa,enthalpy_eV_per_fu,uncertainty_meV_per_fu\na,Na4,100,10,8\n")
    [curve] = read_table(path).curves
    assert curve.enthalpies_eV[0] == 2.5 and curve.uncertainties_eV[0] == pytest.approx(0.002)


@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_separators(tmp_path, separator):
    assert onset(read_table(write(tmp_path, sodium_helium(), separator=separator))) == pytest.approx(121.7, abs=0.1)


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_decimal_commas(tmp_path, separator):
    path = write(tmp_path, sodium_helium(), separator=separator, number=lambda text: text.replace(".", ","))
    table = read_table(path)
    assert onset(table) == pytest.approx(121.7, abs=0.1)
    assert "numbers are read with decimal commas" in table.notes


GRIDS = {
    "wide": GRID,
    "coarse": np.arange(0, 501, 100.0),
    "high": np.linspace(50, 300, 11),
    "low": np.linspace(0, 30, 16),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("of", "at", "phase", "looks"),
    [
        (unchanged, lambda p: 10 * p, "Na-bcc", "pressures in kbar"),
        (unchanged, lambda p: p / 100, "Na-bcc", "pressures in Mbar"),
        (lambda f, p, h, v: h - p * v * GPa, lambda p: p, "Na-bcc", "energies E rather than enthalpies"),
        (lambda f, p, h, v: -h, lambda p: p, "Na-bcc", "the sign of the enthalpies looks flipped"),
        (lambda f, p, h, v: h * ATOMS[f], lambda p: p, "Na2He", "enthalpies per formula unit of 3 atoms"),
        (lambda f, p, h, v: h / Ry, lambda p: p, "Na-bcc", "enthalpies in Ry"),
        (lambda f, p, h, v: h / Ha, lambda p: p, "Na-bcc", "enthalpies in Ha"),
        (lambda f, p, h, v: 1000 * h, lambda p: p, "Na-bcc", "enthalpies in meV"),
        (lambda f, p, h, v: h * mol / kJ, lambda p: p, "Na-bcc", "enthalpies in kJ/mol"),
    ],
    ids=["kbar", "Mbar", "energies", "sign", "formula-unit", "Ry", "Ha", "meV", "kJ"],
)
def test_what_cannot_be_enthalpies_is_refused_and_named(tmp_path, grid, of, at, phase, looks):
    said = refusal(write(tmp_path, sodium_helium(GRIDS[grid]), of, at))
    assert f"phase {phase}" in said and looks in said and "Å³/atom" in said and "GPa" in said


def test_a_compound_per_formula_unit_of_two_is_told_by_its_elements(tmp_path):
    """At low pressure MgO per formula unit has the volume of its elements; its formation enthalpy cannot be."""
    path = tmp_path / "table.csv"
    rows = ["Mg,Mg,0,-1.5", "Mg,Mg,5,-0.8", "O,O,0,-4.9", "O,O,5,-4.5", "MgO,MgO,0,-12.0", "MgO,MgO,5,-11.42"]
    path.write_text("\n".join([HEADER, *rows]))
    said = refusal(path)
    assert "line 6: phase MgO" in said and "per formula unit of 2 atoms" in said
    rows[4:] = ["MgO,MgO,0,-6.0", "MgO,MgO,5,-5.71"]
    path.write_text("\n".join([HEADER, *rows]))
    assert len(read_table(path).curves) == 3


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("off", [0.3, -0.3])
def test_a_point_that_the_others_contradict_is_named(tmp_path, grid, off):
    phases = sodium_helium(GRIDS[grid])
    at = len(GRIDS[grid]) // 2
    phases["Na2He"][2][at] += off
    said = refusal(write(tmp_path, phases))
    assert f"line {2 + 2 * len(GRIDS[grid]) + at}: phase Na2He at {GRIDS[grid][at]:g} GPa is {off:+.3f}" in said


def test_volumes_that_grow_are_refused(tmp_path):
    phases = sodium_helium(np.array([100.0, 150, 200]))
    phases["Na-bcc"][2][1] -= 0.5
    said = refusal(write(tmp_path, phases))
    assert "line 3: phase Na-bcc" in said and "a volume does not grow with pressure" in said


@pytest.mark.parametrize("noise", [1e-4, 1e-3])
@pytest.mark.parametrize("grid", GRIDS)
def test_noise_of_others_is_not_refused(tmp_path, grid, noise):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        table = read_table(
            write(tmp_path, sodium_helium(GRIDS[grid]), lambda f, p, h, v, rng=rng: h + noise * rng.normal())
        )
        for curve in table.curves:
            fine = np.linspace(curve.from_GPa, curve.to_GPa, 301)
            assert np.all(np.diff(curve.volume(fine)) < 1e-6 * curve.volume(fine)[0])
        if grid != "low":
            assert onset(table) == pytest.approx(STABLE_FROM, abs=1000 * noise * 2.5 + 0.3)


def close_pair(rng, pressures):
    """Two polymorphs of sodium that cross at 188.1 GPa, with points 0.04 GPa apart that scatter by 2 meV."""
    first = solid("Na", pressures)[0]
    x = 1 + 3.6 * pressures / 7.2
    second = GPa * 35.5 * 7.2 / 2.6 * (x ** (1 - 1 / 3.6) - 1) + 0.55
    phases = {"Na-a": ("Na", pressures, first, first), "Na-b": ("Na", pressures, second, first)}
    for phase in phases.values():
        phase[2][np.abs(pressures - 100.02) < 0.1] += 0.002 * rng.choice([-1, 1], 2)
    return phases


@pytest.mark.parametrize(
    "pressures", [[0, 20, 40, 60, 80, 100, 100.04, 120, 140, 160, 180, 200], [0, 100, 100.04, 200]]
)
def test_close_points_with_noise_make_no_window(tmp_path, pressures):
    """Their slope alone would be off by 10 Å³/atom and more."""
    said = []
    for seed in range(6):
        phases = close_pair(np.random.default_rng(seed), np.array(pressures))
        table = read_table(write(tmp_path, phases))
        stability = table_stability(table)
        [transition] = stability.transitions
        assert transition.pressure_GPa == pytest.approx(188.1, abs=0.5 if len(pressures) > 4 else 4)
        assert len(stability.intervals) == 2
        said += [note for note in table.notes if "100 and 100.04 GPa are too close" in note]
    assert len(said) >= 4


def test_formation_enthalpies_and_differences_are_recognised(tmp_path):
    def formation(formula, p, h, v):
        sodium, helium = float(solid("Na", p)[0]) - 1.3, float(solid("He", p)[0])
        return h - {"Na": sodium, "He": helium, "Na2He": (2 * sodium + helium) / 3}[formula]

    table = read_table(write(tmp_path, sodium_helium(), formation))
    assert table.differences and any("every element is zero" in note for note in table.notes)
    assert onset(table) == pytest.approx(STABLE_FROM, abs=1e-3)
    assert not read_table(write(tmp_path, sodium_helium())).differences
    said = refusal(write(tmp_path, sodium_helium(), lambda f, p, h, v: 96.5 * formation(f, p, h, v)))
    assert "phase Na2He" in said
    phases = sodium_helium()
    phases["Na2He"][2][8] += 0.3
    assert "phase Na2He at 200 GPa is +0.300" in refusal(write(tmp_path, phases, formation))


@pytest.mark.parametrize("digits", [3, 6, 9, 12])
def test_a_compound_on_the_tie_line_has_no_windows(tmp_path, digits):
    phases = sodium_helium()
    phases["Na2He"] = ("Na2He", GRID, (2 * phases["Na-bcc"][2] + phases["He-hcp"][2]) / 3, GRID)
    stability = table_stability(read_table(write(tmp_path, phases, digits=digits)))
    assert [each.phase for each in stability.intervals] == ["Na-bcc", "He-hcp"]
    assert stability.transitions == ()
    assert any("Na2He lies on the hull of the other phases" in note for note in stability.notes)
    assert stability.above_hull(110)["Na2He"] < 3 * 10.0**-digits + 1e-4


def test_a_tie_over_some_pressures_ends_where_it_ends(tmp_path):
    phases = sodium_helium()
    tie = (2 * phases["Na-bcc"][2] + phases["He-hcp"][2]) / 3
    phases["Na2He"] = ("Na2He", GRID, tie - 1e-3 * np.maximum(GRID - 250, 0), GRID)
    stability = table_stability(read_table(write(tmp_path, phases, digits=6)))
    [interval] = [each for each in stability.intervals if each.phase == "Na2He"]
    assert interval.from_GPa == pytest.approx(250, abs=0.1) and interval.to_GPa == 500


def test_a_narrow_phase_with_points_at_its_transitions_is_no_tie(tmp_path):
    """Reports write a point at each transition, where three phases meet the hull."""
    phases = sodium_helium()
    curves = read_table(write(tmp_path, phases)).curves
    found = analyse(curves).transitions[0].pressure_GPa
    pressures = np.sort(np.append(GRID, found))
    phases = {curve.phase: (curve.formula, pressures, curve.enthalpy(pressures), pressures) for curve in curves}
    assert onset(read_table(write(tmp_path, phases))) == pytest.approx(STABLE_FROM, abs=0.1)


def test_a_table_at_one_pressure_gives_the_hull_there(tmp_path):
    phases = sodium_helium(np.array([400.0]))
    table = read_table(write(tmp_path, phases))
    document = table_json(table, table_stability(table))
    [point] = document["at_pressures"]
    assert point["pressure_GPa"] == 400 and point["stable"] == ["Na-bcc", "He-hcp", "Na2He"]
    assert point["formation_enthalpy_eV_per_atom"]["Na2He"] == pytest.approx(0.14 - 0.00115 * 400)
    assert document["stable"] == [] and document["notes"] == []
    json.dumps(document)
    [point] = table_json(*both(write(tmp_path, sodium_helium(np.array([50.0])))))["at_pressures"]
    assert point["stable"] == ["Na-bcc", "He-hcp"]
    assert point["above_hull_eV_per_atom"]["Na2He"] == pytest.approx(0.14 - 0.00115 * 50)


@pytest.mark.parametrize("pressures", [(300,), (100, 200, 300, 400)])
def test_what_all_is_relative_to_is_exact_though_it_is_written_as_0(tmp_path, pressures):
    rows = [f"{name},{name},{pressure},0" for name in ("Na", "He") for pressure in pressures]
    rows += [f"Na2He,Na2He,{pressure},{round(0.14 - 0.00115 * pressure, 5)}" for pressure in pressures]
    (tmp_path / "table.csv").write_text("\n".join([HEADER, *rows]))
    table, stability = both(tmp_path / "table.csv")
    document = table_json(table, stability, 300)
    assert not any("tie" in note for note in document["notes"])
    assert stability.above_hull(300)["Na2He"] == 0


def test_digits_are_not_judged_by_one_number_that_happens_to_end_in_zeros(tmp_path):
    (tmp_path / "table.csv").write_text(f"{HEADER}\na,Na,5,-1.025\nb,Na,5,-1.1\nc,Na,5,-1.0512\n")
    document = table_json(*both(tmp_path / "table.csv"))
    [point] = document["at_pressures"]
    assert point["stable"] == ["b"]
    assert point["above_hull_eV_per_atom"]["a"] == pytest.approx(0.075)


def both(path):
    table = read_table(path)
    return table, table_stability(table)


def test_phases_that_share_a_single_pressure(tmp_path):
    phases = sodium_helium()
    for name, part in (("Na-bcc", slice(8, None)), ("He-hcp", slice(None, 9))):
        phases[name] = (phases[name][0], *(column[part] for column in phases[name][1:]))
    document = table_json(*both(write(tmp_path, phases)))
    [point] = document["at_pressures"]
    assert point["pressure_GPa"] == 200 and "Na2He" in point["stable"]
    assert "at_pressures" not in table_json(*both(write(tmp_path, sodium_helium())))


def test_uncertainties_of_the_table_are_a_part_of_the_error_budget(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"a,Na,{p},{solid('Na', p)[0]:.9f},0.003" for p in GRID]
    rows += [f"b,Na,{p},{solid('Na', p)[0] + 0.1 - 0.0006 * p:.9f},0.004" for p in GRID]
    path.write_text("\n".join([HEADER + ",uncertainty_eV_per_atom", *rows]))
    document = table_json(*both(path))
    [transition] = document["transitions"]
    assert transition["error_parts_GPa"] == {"given": pytest.approx(0.005 / 0.0006, rel=0.01)}
    assert transition["resolved"] is True and "given" in document["error_sources"]
