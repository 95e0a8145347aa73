"""Curves from a table: what is read, how it is interpolated, and every kind of mistake."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import GPa

from megabar.analysis.interpolation import interpolate
from megabar.analysis.stability import analyse
from megabar.analysis.tables import TabulatedCurve, read_curves
from megabar.structures.errors import InputError

HEADER = "phase,formula,pressure_GPa,enthalpy_eV_per_atom"


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def murnaghan(pressure, volume=37.0, bulk=7.0, prime=3.5):
    """H (eV/atom) and V (Å³/atom) of Murnaghan, PNAS 30, 244 (1944)."""
    x = 1 + prime * pressure / bulk
    return GPa * volume * bulk / (prime - 1) * (x ** (1 - 1 / prime) - 1), volume * x ** (-1 / prime)


def birch_murnaghan(pressure, volume, bulk, prime):
    """H (eV/atom) of Birch, Phys. Rev. 71, 809 (1947), third order, parametrically in V."""
    from scipy.interpolate import CubicSpline

    y = np.linspace(1, 2.2, 4001)  # (V0/V)^(1/3)
    p = 1.5 * bulk * (y**7 - y**5) * (1 + 0.75 * (prime - 4) * (y**2 - 1))
    y, p = y[p < 600], p[p < 600]
    y, p = y[: p.argmax() + 1], p[: p.argmax() + 1]
    energy = 9 * volume * bulk / 16 * ((y**2 - 1) ** 3 * prime + (y**2 - 1) ** 2 * (6 - 4 * y**2))
    return CubicSpline(p, GPa * (energy + p * volume / y**3))(pressure)


def test_reads_what_people_write(tmp_path):
    text = (
        "\ufeff# from a colleague\r\n"
        "phase , formula, Pressure_GPa ,enthalpy_eV_per_atom,uncertainty_eV_per_atom,remark\r\n"
        "\r\n"
        "Na-bcc, Na, 100, 2.5, 0.002,x\r\n"
        '"He, hcp", He, 0, -1e-2, , \r\n'
        "# a comment\r\n"
        "Na-bcc, Na2, 0, -1.5, 0.001\r\n"
        ",,,,,\r\n"
    )
    sodium, helium = read_curves(write(tmp_path, text))
    assert (sodium.phase, sodium.formula, helium.phase) == ("Na-bcc", "Na", "He, hcp")
    np.testing.assert_array_equal(sodium.pressures_GPa, [0, 100])
    np.testing.assert_allclose(sodium.enthalpy([0, 50, 100]), [-1.5, 0.5, 2.5])
    np.testing.assert_allclose(sodium.volume(50.0), 4 / 100 / GPa)
    np.testing.assert_allclose(sodium.uncertainty([0, 50, 100]), [0.001, 0.0015, 0.002])
    assert np.isnan(helium.uncertainty(0.0))
    assert helium.enthalpy(0.0) == -0.01 and np.isnan(helium.volume(0.0)) and np.isnan(helium.enthalpy(1.0))


def test_a_phase_takes_no_part_beyond_its_points():
    curve = TabulatedCurve("a", "Na", np.array([10.0, 20, 40]), np.array([0.0, 1, 2.5]), np.full(3, 0.1))
    for method in (curve.enthalpy, curve.volume, curve.uncertainty):
        assert np.isnan(method([9.999, 40.001])).all()
        assert np.isfinite(method([[10.0, 15], [20, 40]])).all()


@pytest.mark.parametrize("pressures", [np.arange(0, 501, 50.0), np.array([0, 3, 20, 90, 100, 300, 500.0])])
def test_a_murnaghan_solid_is_reproduced_exactly(pressures):
    interpolant = interpolate(pressures, murnaghan(pressures)[0])
    fine = np.linspace(0, 500, 301)
    enthalpy, volume = murnaghan(fine)
    np.testing.assert_allclose(interpolant.value(fine), enthalpy, atol=1e-5)
    np.testing.assert_allclose(interpolant.slope(fine) / GPa, volume, rtol=1e-3)


@pytest.mark.parametrize(
    ("solid", "allowed_meV"),
    [((37.0, 7.0, 3.9), 3.0), ((5.7, 440.0, 3.7), 0.3), ((9.4, 160.0, 4.2), 0.5)],
    ids=["sodium", "diamond", "MgO"],
)
def test_other_solids_at_25_GPa_steps(solid, allowed_meV):
    """Beyond the first step (in which V of sodium halves) within `allowed_meV`; a cubic spline in P misses by 20, …"""
    points, fine = np.arange(0, 501, 25.0), np.linspace(25, 500, 381)
    interpolant = interpolate(points, birch_murnaghan(points, *solid))
    error = np.abs(interpolant.value(fine) - birch_murnaghan(fine, *solid)).max()
    assert error * 1000 < allowed_meV
    assert np.all(np.diff(interpolant.slope(np.linspace(0, 500, 2001))) < 0)


def test_fourth_order():
    """Halving the step divides the error by about 16, away from the ends."""
    fine = np.linspace(100, 400, 301)
    errors = []
    for points in (np.linspace(0, 500, 6), np.linspace(0, 500, 11), np.linspace(0, 500, 21)):
        bump = 0.02 * np.sin(points / 60)
        value = interpolate(points, murnaghan(points, 9.0, 150.0, 4.0)[0] + bump).value(fine)
        errors.append(np.abs(value - murnaghan(fine, 9.0, 150.0, 4.0)[0] - 0.02 * np.sin(fine / 60)).max())
    assert errors[1] / errors[2] > 8


def test_concave_points_give_a_falling_volume():
    """A soft solid that suddenly stiffens: the plain spline overshoots, the volume must not."""
    points = np.array([0, 10, 20, 30, 100, 200, 300.0])
    volumes = np.array([30, 29.9, 10, 9.99, 9.98, 9.97])
    enthalpies = np.append(0, np.cumsum(volumes * np.diff(points))) * GPa
    interpolant = interpolate(points, enthalpies)
    np.testing.assert_allclose(interpolant.value(points), enthalpies, atol=1e-12)
    fine = np.linspace(0, 300, 3001)
    slope = interpolant.slope(fine)
    assert np.all(np.diff(slope) <= 1e-12) and slope[-1] > 0
    np.testing.assert_allclose(np.gradient(interpolant.value(fine), fine)[1:-1], slope[1:-1], atol=0.1 * slope[0])


@pytest.mark.parametrize("enthalpies", [[0.0, 0, 0, 0, 0], [1.0, 0.75, 0.5, 0.25, 0.0], [0.0, 1, 2, 3, 4]])
def test_straight_points_stay_straight(enthalpies):
    """Also formation enthalpies may be tabulated: zero for the elements, falling for a compound."""
    points = np.array([0.0, 25, 50, 75, 100])
    interpolant = interpolate(points, np.array(enthalpies))
    fine = np.linspace(0, 100, 101)
    np.testing.assert_allclose(interpolant.value(fine), np.interp(fine, points, enthalpies), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# nothing\n\n", "empty"),
        (HEADER + "\n", "no rows"),
        ("phase,formula,pressure_GPa\nNa,Na,0\n", "line 1: the column enthalpy_eV_per_atom is missing"),
        ("Na-bcc,Na,0,1\n", "line 1: the column phase is missing"),
        (HEADER.replace(",", " ") + "\nNa Na 0 1\n", "separated by commas, semicolons or tabs"),
        (
            HEADER + ",uncertainty_eV\nNa,Na,0,1,0\n",
            "uncertainty_eV does not say whether it is per atom or per formula",
        ),
        (HEADER + ",uncertaintyeV_per_atom\nNa,Na,0,1,0\n", "is uncertainty_eV_per_atom meant"),
        (HEADER.replace("_eV", "_kJ_per_mol").replace("_per_atom", "") + "\nNa,Na,0,1\n", "per atom or per formula"),
        (HEADER.replace("GPa", "psi") + "\nNa,Na,0,1\n", "the unit 'psi', which is not known; it can be GPa,"),
        (HEADER.replace("GPa", "MBAR") + "\nNa,Na,0,1\n", "the unit 'MBAR', which is not known"),
        (HEADER.replace("_GPa", "") + "\nNa,Na,0,1\n", "the column pressure does not say its unit"),
        (HEADER + ",pressure_kbar\nNa,Na,0,1,0\n", "pressure_GPa and pressure_kbar are both the pressure"),
        (HEADER + "\nNa,Na,0,5,-1,5\n", "line 2: 6 cells where the header has 4; numbers with decimal commas need"),
        (HEADER.replace(",", ";") + "\na;Na;0;1,5\na;Na;1.5;1\n", "'1,5' has a comma and '1.5' in line 3 a point"),
        (HEADER + ",formula\nNa,Na,0,1,Na\n", "line 1: the column formula appears twice"),
        (HEADER + "\nNa,Na,0,1\nNa,Na,ten,1\n", "line 3: pressure_GPa is 'ten'"),
        (HEADER + "\nNa,Na,0,nan\n", "line 2: enthalpy_eV_per_atom is 'nan'"),
        (HEADER + "\nNa,Na,inf,0\n", "line 2: pressure_GPa is 'inf'"),
        (HEADER + "\nNa,Na,,0\n", "line 2: pressure_GPa is ''"),
        (HEADER + "\nNa,Na,0\n", "line 2: 3 cells where the header has at least 4"),
        (HEADER + "\n,Na,0,1\n", "line 2: the phase is missing"),
        (HEADER + "\nNa,,0,1\n", "line 2: the formula is missing"),
        (HEADER + "\nNa,sodium,0,1\n", "line 2: 'sodium' is not a chemical formula"),
        (HEADER + "\nNa,Xx2,0,1\n", "line 2: 'Xx' in the formula"),
        (HEADER + "\n# x\na,Na,0,1\na,K,1,1\n", "line 4: phase a has the formula K, but Na in line 3"),
        (HEADER + "\na,Na,0,1\nb,Na,0,1\na,Na,0.0,1\n", "line 4: phase a already has 0 GPa in line 2"),
        (HEADER + "\na,Na,0,1\nb,NaHe,0,1\n", "line 3: NaHe contains He, but no phase of pure He"),
        (HEADER + ",uncertainty_eV_per_atom\na,Na,0,1,-0.1\n", "line 2: uncertainty_eV_per_atom is -0.1"),
        (HEADER + ",uncertainty_eV_per_atom\na,Na,0,1,nan\n", "line 2: uncertainty_eV_per_atom is 'nan'"),
        (HEADER + ",uncertainty_eV_per_atom\na,Na,0,1,x\n", "line 2: uncertainty_eV_per_atom is 'x'"),
        (HEADER + '\n"a,Na,0,1\n', "line 2: not a line of a CSV"),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_curves(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_curves(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_curves(tmp_path)
    with pytest.raises(InputError, match="UTF-8"):
        read_curves(write(tmp_path, HEADER, "utf-16"))


def test_from_the_file_to_the_pressure(tmp_path):
    """Phases at different pressures: ΔH = 0 of two Murnaghan solids, known from a fine root search."""
    from scipy.optimize import brentq

    def difference(p):
        return murnaghan(p, 34.0, 7.5, 3.6)[0] + 0.9 - murnaghan(p)[0]

    exact = brentq(difference, 1, 500, xtol=1e-10)
    rows = [f"Na-a,Na,{p},{murnaghan(p)[0]:.9f}" for p in (0, 10, 40, 100, 200, 350, 500)]
    rows += [f"Na-b,Na,{p},{0.9 + murnaghan(p, 34.0, 7.5, 3.6)[0]:.9f}" for p in (20, 45, 110, 180, 260, 480)]
    stability = analyse(read_curves(write(tmp_path, "\n".join([HEADER, *rows]))))
    assert stability.transitions[0].pressure_GPa == pytest.approx(exact, abs=0.01)
    assert stability.transitions[0].reaction.text == "Na-a → Na-b"
