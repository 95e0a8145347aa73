"""Readers of α²F on real files of every code, and what they say of files that are wrong."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elph_data import DATA, unpacked

from megabar.analysis.superconductivity.readers import read_alpha2f, read_lambda_only
from megabar.analysis.superconductivity.readers.espresso import read_lambda_dat
from megabar.analysis.superconductivity.units import MEV_PER, MEV_PER_K
from megabar.structures.errors import InputError

ELK = Path("/usr/share/doc/elk-lapw/examples/phonons-superconductivity")
needs_elk_examples = pytest.mark.skipif(not ELK.is_dir(), reason="the examples of Debian's elk-lapw are not installed")
needs_abinit = pytest.mark.skipif(shutil.which("abinit") is None, reason="abinit is not installed")


@pytest.fixture(scope="module")
def al(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("al_q444", tmp_path_factory.mktemp("al"))


@pytest.fixture(scope="module")
def al_matdyn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("al_q222", tmp_path_factory.mktemp("al222"))


def changed(path: Path, folder: Path, old: str, new: str, name: str | None = None) -> Path:
    """Write a copy of a file with some text changed, and return it."""
    text = path.read_text()
    assert old in text
    copy = folder / (name or path.name)
    copy.write_text(text.replace(old, new))
    return copy


# Quantum ESPRESSO


def test_alpha2f_dat_gives_what_lambda_x_found(al: Path) -> None:
    """λ to the digits of the table; ω_log to 0.2%: the negative sides of the broadening are not part of our α²F."""
    reading = read_alpha2f(al / "alpha2F.dat")
    stated = read_lambda_dat(al / "lambda.dat")
    assert [each.smearing_Ry for each in reading.variants] == [row.smearing_Ry for row in stated]
    for each, row in zip(reading.variants, stated, strict=True):
        assert each.spectrum.lambda_ == pytest.approx(row.lambda_integral, rel=1e-3)
        assert each.spectrum.omega_log_meV / MEV_PER_K == pytest.approx(row.omega_log_K, rel=2e-3)
        assert each.spectrum.dos_per_eV == pytest.approx(row.dos_per_Ry / 13.605693)
    assert reading.spectrum.unit == "THz"
    assert "were set to 0" in reading.spectrum.notes[0]


def test_the_flattest_smearing_is_quoted(al: Path) -> None:
    reading = read_alpha2f(al / "alpha2F.dat")
    assert reading.variants[reading.chosen].smearing_Ry == 0.030
    assert "varies least there: by 2.9% between 0.025 and 0.04 Ry" in reading.why


def test_lambda_dat_leads_to_the_table_beside_it(al: Path, tmp_path: Path) -> None:
    assert read_alpha2f(al / "lambda.dat").spectrum.lambda_ == read_alpha2f(al / "alpha2F.dat").spectrum.lambda_
    assert read_lambda_only(al / "lambda.dat") is None
    shutil.copy(al / "lambda.dat", tmp_path)
    rows = read_lambda_only(tmp_path / "lambda.dat")
    assert rows is not None
    assert (rows[5].lambda_, rows[5].omega_log_K, rows[5].dos_per_Ry) == (0.366514, 328.943, 2.396030)
    with pytest.raises(InputError, match=r"it holds λ, but no α²F; alpha2F\.dat, which has it, is not beside it"):
        read_alpha2f(tmp_path / "lambda.dat")


def test_more_than_ten_smearings_are_broken_over_lines(tmp_path: Path) -> None:
    """lambda.x writes `format(f8.4,10(f10.5))`: the eleventh value begins a line of its own."""
    omega = np.linspace(0, 10, 200)
    columns = [0.03 * (k + 1) * (omega / 10) ** 2 * (omega < 9.9) for k in range(12)]
    sigma = [0.005 * (k + 1) for k in range(12)]
    lines = [
        "# E(THz)" + "".join(f"{s:10.3f}" for s in sigma[:10]),
        "# E(THz)" + "".join(f"{s:10.3f}" for s in sigma[10:]),
    ]
    for i, w in enumerate(omega):
        values = [column[i] for column in columns]
        lines.append(f"{w:8.4f}" + "".join(f"{v:10.5f}" for v in values[:10]))
        lines.append(f"{values[10]:8.4f}" + "".join(f"{v:10.5f}" for v in values[11:]))
    (tmp_path / "alpha2F.dat").write_text("\n".join(lines))
    reading = read_alpha2f(tmp_path / "alpha2F.dat")
    assert len(reading.variants) == 12
    assert reading.variants[11].spectrum.lambda_ == pytest.approx(0.36, rel=0.03)
    assert "no lambda.dat" in reading.notes[0]


def test_lambda_dat_that_disagrees_is_refused(al: Path, tmp_path: Path) -> None:
    shutil.copy(al / "alpha2F.dat", tmp_path)
    changed(al / "lambda.dat", tmp_path, "0.376056", "0.476056")
    said = r"smearing 0\.025 Ry\) with lambda\.dat: 2∫α²F/ω dω is 0\.376\d, but the file says λ = 0\.4761"
    with pytest.raises(InputError, match=said):
        read_alpha2f(tmp_path / "alpha2F.dat")


def test_lambda_dat_of_an_insulator_or_with_nan_is_refused(al: Path, tmp_path: Path) -> None:
    shutil.copy(al / "alpha2F.dat", tmp_path)
    changed(al / "lambda.dat", tmp_path, "2.396030", "0.000000")
    with pytest.raises(InputError, match=r"N\(E_F\) is 0 at 0\.03 Ry: no states at the Fermi level, an insulator"):
        read_alpha2f(tmp_path / "alpha2F.dat")
    changed(al / "lambda.dat", tmp_path, "0.292194    0.292194", "     NaN         NaN")
    with pytest.raises(
        InputError, match=r"λ is not a number at 0\.005 Ry: lambda\.x fails so where Γ has modes below 0"
    ):
        read_alpha2f(tmp_path / "alpha2F.dat")


def test_alpha2f_dat_cut_off_is_refused(al: Path, tmp_path: Path) -> None:
    text = (al / "alpha2F.dat").read_text()
    (tmp_path / "alpha2F.dat").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"is the file cut off|with lambda\.dat"):
        read_alpha2f(tmp_path / "alpha2F.dat")
    (tmp_path / "alpha2F.dat").write_text("\n".join(text.splitlines()[:80]))
    shutil.copy(al / "lambda.dat", tmp_path)
    with pytest.raises(InputError, match=r"2∫α²F/ω dω is .* but the file says λ"):
        read_alpha2f(tmp_path / "alpha2F.dat")


def test_a2f_dos_of_matdyn(al_matdyn: Path) -> None:
    """λ as matdyn.x prints it at the end; by its sum over q-points λ is 0.2757, ω_log 322.0 K at this smearing."""
    reading = read_alpha2f(al_matdyn / "a2F.dos8")
    assert reading.variants[reading.chosen].smearing_Ry == 0.04
    for number, each in enumerate(reading.variants, start=1):
        text = (al_matdyn / f"a2F.dos{number}").read_text()
        stated = float(re.findall(r"lambda =\s*(\S+)", text)[0])
        assert each.spectrum.lambda_ == pytest.approx(stated, rel=1e-4)
    assert reading.spectrum.lambda_ == pytest.approx(0.2757, rel=0.01)
    assert reading.spectrum.omega_log_meV / MEV_PER_K == pytest.approx(322.0, rel=0.02)
    assert reading.spectrum.dos_per_eV == pytest.approx(2.6856 / 13.605693, rel=1e-4)
    assert len(reading.variants) == len(read_alpha2f(al_matdyn / "lambda").variants) == 10


def test_a2f_dos_that_disagrees_or_is_interrupted_is_refused(al_matdyn: Path, tmp_path: Path) -> None:
    copy = changed(al_matdyn / "a2F.dos4", tmp_path, "lambda =  0.308", "lambda =  0.508")
    with pytest.raises(InputError, match=r"is 0\.3088, but the file says λ = 0\.5088"):
        read_alpha2f(copy)
    copy.write_text("\n".join((al_matdyn / "a2F.dos4").read_text().splitlines()[:30]))
    with pytest.raises(InputError, match=r"does not end with the line `lambda = … Delta = …`"):
        read_alpha2f(copy)
    shutil.copy(al_matdyn / "a2F.dos4", tmp_path)
    changed(al_matdyn / "lambda", tmp_path, "dos(Ef)  2.6856", "dos(Ef)  0.0000")
    with pytest.raises(InputError, match=r"N\(E_F\) is 0 at 0\.04 Ry: an insulator"):
        read_alpha2f(copy)


def test_imaginary_phonons_of_matdyn_are_told(al_matdyn: Path, tmp_path: Path) -> None:
    lines = (al_matdyn / "a2F.dos4").read_text().splitlines()
    (tmp_path / "a2F.dos4").write_text("\n".join([*lines[:5], "  -0.200000E-03 0.0 0.0 0.0 0.0", *lines[5:]]))
    notes = read_alpha2f(tmp_path / "a2F.dos4").spectrum.notes
    assert any("go down to -2.72 meV; matdyn.x leaves imaginary ones out" in note for note in notes)


# EPW


def test_epw_a2f_of_version_5_3() -> None:
    """λ 0.3418500 and ω_log 26.233902 meV as EPW prints them for its first smearing."""
    reading = read_alpha2f(DATA / "epw" / "al.a2f")
    assert reading.code == "EPW"
    assert [each.label for each in reading.variants] == [f"phonon smearing {s} meV" for s in ("0.5", "1", "1.5")]
    stated = (0.3418500, 0.3421138, 0.3425168)
    assert [each.spectrum.lambda_ for each in reading.variants] == pytest.approx(stated, rel=3e-7)
    assert reading.spectrum.omega_log_meV == pytest.approx(26.233902, rel=2e-7)
    assert reading.spectrum.unit == "meV"


@pytest.mark.parametrize("name", ["al.a2f_iso", "al.a2f_proj"])
def test_other_files_of_epw_hold_the_same(name: str) -> None:
    reading = read_alpha2f(DATA / "epw" / name)
    assert reading.code == "EPW"
    assert len(reading.variants) == 1
    assert reading.spectrum.lambda_ == pytest.approx(0.3418500, rel=3e-7)
    assert bool(reading.notes) == (name == "al.a2f_iso")  # which does not state λ


def test_epw_a2f_of_the_phonon_self_energy() -> None:
    """al.a2f.01.1.000: no heading. At its 1 K next to nothing couples; λ = 2.08e-5 is what it says itself."""
    reading = read_alpha2f(DATA / "epw" / "al.a2f.01.1.000")
    assert len(reading.variants) == 3
    assert reading.spectrum.lambda_ == pytest.approx(2.08e-5, rel=0.01)


def test_epw_without_columns_of_cumulative_lambda(tmp_path: Path) -> None:
    """The .a2f of EPW 5.0 to 5.2 and, without its heading, of EPW 4."""
    text = (DATA / "epw" / "al.a2f").read_text()
    short = re.sub(r"^((?:\s+\d+\.\d+){4})(?:\s+\d+\.\d+){3}$", r"\1", text, flags=re.MULTILINE)
    short = short.replace("w[meV] a2f and integrated 2*a2f/w for", "w[meV] a2f for")
    (tmp_path / "al.a2f").write_text(short)
    assert [v.spectrum.lambda_ for v in read_alpha2f(tmp_path / "al.a2f").variants] == pytest.approx(
        [0.34185, 0.3421138, 0.3425168], rel=1e-6
    )
    (tmp_path / "al.a2f").write_text(short.split("\n", 1)[1])
    assert read_alpha2f(tmp_path / "al.a2f").code == "EPW"


def test_epw_that_disagrees_is_refused(tmp_path: Path) -> None:
    old = "  #            0.3418500   0.3421138"
    copy = changed(DATA / "epw" / "al.a2f", tmp_path, old, "  #            0.3418500   0.2421138")
    with pytest.raises(
        InputError, match=r"\(phonon smearing 1 meV\): 2∫α²F/ω dω is 0\.3421, but the file says λ = 0\.2421"
    ):
        read_alpha2f(copy)
    copy = changed(
        DATA / "epw" / "al.a2f_proj", tmp_path, "lambda_int =          0.3418", "lambda_int =          0.4418"
    )
    with pytest.raises(InputError, match=r"but the file says λ = 0\.4419"):
        read_alpha2f(copy)


def test_epw_sum_that_differs_from_its_integral_is_told(tmp_path: Path) -> None:
    copy = changed(DATA / "epw" / "al.a2f", tmp_path, "coupling    0.3417944", "coupling    0.4417944")
    assert "EPW's sum over modes gives λ = 0.4418, its integral over α²F 0.3418" in read_alpha2f(copy).notes[0]


def test_transport_function_of_epw_is_not_taken_for_pairing(tmp_path: Path) -> None:
    shutil.copy(DATA / "epw" / "al.a2f", tmp_path / "al.a2f_tr.01.300.000")
    with pytest.raises(InputError, match="α²F of transport"):
        read_alpha2f(tmp_path / "al.a2f_tr.01.300.000")


# ABINIT

ABINIT_LAMBDA, ABINIT_OMEGA_LOG = 4.885335e-01, 9.513205e-07**0.5 * MEV_PER["Ha"]
"""ABINIT's own output beside al_A2FW. Its α²F is twice the usual one, so that what it prints as ω_log is ω_log²."""


def test_abinit_text_is_brought_to_the_usual_factor() -> None:
    spectrum = read_alpha2f(DATA / "abinit" / "al_A2FW").spectrum
    assert spectrum.lambda_ == pytest.approx(ABINIT_LAMBDA, rel=1e-3)
    assert spectrum.omega_log_meV == pytest.approx(ABINIT_OMEGA_LOG, rel=1e-3)
    assert spectrum.unit == "Ha"


def abinit_arrays() -> dict[str, np.ndarray]:
    """The arrays of an A2F.nc (one spin, the sum and three modes) from the text that ABINIT wrote with it."""
    table = np.loadtxt(DATA / "abinit" / "al_A2FW").T
    modes = np.array([1.0, 0.3, 0.3, 0.4])[:, None]
    return {"mesh": table[0], "values": (modes * table[1])[None], "lambdaw": (modes * table[2])[None]}


def write_netcdf(path: Path, arrays: dict[str, np.ndarray], kind: str, sampling: str = "qintp") -> Path:
    """Write A2F.nc as ABINIT does: classic netCDF or, with parallel libraries and on Debian, HDF5."""
    named = {f"a2f_{name}_{sampling}": values for name, values in arrays.items()}
    if kind == "hdf5":
        import h5py

        with h5py.File(path, "w") as file:
            for name, values in named.items():
                file[name] = values
    else:
        from scipy.io import netcdf_file

        with netcdf_file(path, "w") as file:
            for name, values in named.items():
                dimensions = [f"{name}_{i}" for i in range(values.ndim)]
                for dimension, length in zip(dimensions, values.shape, strict=True):
                    file.createDimension(dimension, length)
                file.createVariable(name, "d", dimensions)[:] = values
    return path


@pytest.mark.parametrize("kind", ["classic", "hdf5"])
@pytest.mark.parametrize("sampling", ["qintp", "qcoarse"])
def test_abinit_netcdf_of_both_kinds(tmp_path: Path, kind: str, sampling: str) -> None:
    reading = read_alpha2f(write_netcdf(tmp_path / "o_A2F.nc", abinit_arrays(), kind, sampling))
    assert reading.spectrum.lambda_ == pytest.approx(ABINIT_LAMBDA, rel=1e-3)
    assert reading.spectrum.omega_log_meV == pytest.approx(ABINIT_OMEGA_LOG, rel=1e-3)


def test_abinit_netcdf_with_the_usual_factor_is_taken_as_it_is(tmp_path: Path) -> None:
    arrays = abinit_arrays()
    arrays["values"] = arrays["values"] / 2
    path = write_netcdf(tmp_path / "o_A2F.nc", arrays, "classic")
    assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(ABINIT_LAMBDA, rel=1e-3)


def test_abinit_netcdf_that_disagrees_is_refused(tmp_path: Path) -> None:
    arrays = abinit_arrays()
    arrays["values"] = arrays["values"] * 1.3
    with pytest.raises(InputError, match=r"is 0\.63\d+ \(with ABINIT's factor\), but the file says λ = 0\.4885"):
        read_alpha2f(write_netcdf(tmp_path / "o_A2F.nc", arrays, "hdf5"))


def test_abinit_imaginary_modes_are_told_with_what_they_carry(tmp_path: Path) -> None:
    """ABINIT counts them into λ; here a peak at −10 meV that carries 0.1."""
    arrays = abinit_arrays()
    step = arrays["mesh"][1] - arrays["mesh"][0]
    below = -np.arange(1, 80)[::-1] * step + arrays["mesh"][0]
    peak = np.exp(-(((below + 10 / MEV_PER["Ha"]) / (5 * step)) ** 2))
    peak *= 0.1 / np.sum(step * peak / np.abs(below))
    mesh = np.concatenate([below, arrays["mesh"]])
    values = np.concatenate([peak, arrays["values"][0, 0]])
    lambdaw = np.concatenate([0 * below, arrays["lambdaw"][0, 0] + 0.1])
    found = {"mesh": mesh, "values": values[None, None], "lambdaw": lambdaw[None, None]}
    spectrum = read_alpha2f(write_netcdf(tmp_path / "o_A2F.nc", found, "classic")).spectrum
    assert spectrum.lambda_ == pytest.approx(ABINIT_LAMBDA, rel=2e-3)
    [said] = [note for note in spectrum.notes if "imaginary modes" in note]
    assert float(re.findall(r"would have carried λ = (\S+)", said)[0]) == pytest.approx(0.1, rel=0.01)


def test_magnetic_abinit_is_refused(tmp_path: Path) -> None:
    arrays = abinit_arrays()
    both = {name: np.repeat(v, 2, axis=0) if v.ndim == 3 else v for name, v in arrays.items()}
    with pytest.raises(InputError, match="two spin channels"):
        read_alpha2f(write_netcdf(tmp_path / "o_A2F.nc", both, "hdf5"))


def test_damaged_netcdf_is_told(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "o_A2F.nc", abinit_arrays(), "hdf5")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="not a whole netCDF file"):
        read_alpha2f(path)
    with pytest.raises(InputError, match="holds no a2f_values_qintp"):
        read_alpha2f(write_netcdf(tmp_path / "o_GSR.nc", {"x": np.zeros(3)}, "classic", "other"))


def test_old_abinit_text_has_the_usual_factor(tmp_path: Path) -> None:
    """_A2F of anaddb: two columns, λ = 2∫α²F/ω, which stands in the output only."""
    table = np.loadtxt(DATA / "abinit" / "al_A2FW")
    heading = "#\n# ABINIT package : a2f file\n#\n# a2f function integrated over the FS. omega in a.u.\n"
    rows = "".join(f" {w:.15e}  {a / 2:.15e}\n" for w, a, _ in table)
    (tmp_path / "o_A2F").write_text(f"{heading}# The DOS at Fermi level for spin    1 is   4.4E+00\n#\n{rows}\n")
    reading = read_alpha2f(tmp_path / "o_A2F")
    assert reading.spectrum.lambda_ == pytest.approx(ABINIT_LAMBDA, rel=1e-3)
    assert "does not state λ" in reading.notes[0]


ABINIT_COMMON = """acell 3*7.5 rprim 0 .5 .5 .5 0 .5 .5 .5 0
ntypat 1 znucl 13 natom 1 typat 1 xred 0 0 0 pseudos "Al.psp8"
ecut 8 occopt 4 tsmear 0.04 nband 5 nstep 60 nshiftk 1 shiftk 0 0 0
"""
ABINIT_PHONONS = """ndtset 5 ngkpt 4 4 4 tolvrs1 1d-12 prtden1 1 getwfk2 1 getwfk3 1 getwfk4 1
rfphon2 1 rfphon3 1 rfphon4 1 nqpt2 1 nqpt3 1 nqpt4 1 qpt2 0 0 0 qpt3 .5 0 0 qpt4 .5 .5 0
rfatpol 1 1 rfdir 1 1 1 kptopt2 3 kptopt3 3 kptopt4 3 tolvrs2 1d-7 tolvrs3 1d-7 tolvrs4 1d-7
prtpot2 1 prtpot3 1 prtpot4 1 iscf5 -2 getden5 1 tolwfr5 1d-10 ngkpt5 8 8 8 prtden5 0
"""
ABINIT_EPH = """optdriver 7 eph_task 1 ngkpt 8 8 8
getddb_filepath "al_DDB" getdvdb_filepath "al_DVDB" getwfk_filepath "t1o_DS5_WFK"
ddb_ngqpt 2 2 2 eph_intmeth 1 eph_fsmear 0.3 eV eph_fsewin 0.8 eV ph_intmeth 1 ph_smear 0.00005 ph_wstep 0.00001
ph_ngqpt 8 8 8 ph_nqpath 3 ph_qpath 0 0 0 .5 0 0 .5 .5 0 ph_ndivsm 4
"""


@pytest.mark.slow
@needs_abinit
@pytest.mark.skipif(shutil.which("mrgdv") is None, reason="mrgdv of ABINIT is not installed")
def test_what_abinit_writes_today(tmp_path: Path) -> None:
    """fcc Al from the ground state to A2F.nc: λ as ABINIT says, ω_log as the root of what it says."""
    psp = Path("/usr/share/abinit/psp/Al.psp8")
    if not psp.is_file():
        pytest.skip("abinit-data is not installed")
    shutil.copy(psp, tmp_path)

    def run(program: str, given: str | None, *arguments: str) -> str:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            input=given,
            text=True,
            capture_output=True,
            env=environment,
            check=True,
        )
        return done.stdout

    (tmp_path / "t1.abi").write_text(ABINIT_COMMON + ABINIT_PHONONS)
    run("abinit", None, "t1.abi")
    run("mrgddb", "al_DDB\nAl\n3\nt1o_DS2_DDB\nt1o_DS3_DDB\nt1o_DS4_DDB\n")
    potentials = sorted(path.name for path in tmp_path.glob("t1o_DS[234]_POT*"))
    run("mrgdv", None, "merge", "al_DVDB", *potentials)
    (tmp_path / "t2.abi").write_text(ABINIT_COMMON + ABINIT_EPH)
    said = run("abinit", None, "t2.abi")
    coarse, interpolated = (float(each) for each in re.findall(r"isotropic lambda =\s*(\S+)", said)[:2])
    squares = [float(each) for each in re.findall(r"omegalog\s*=\s*(\S+)", said)[:2]]
    reading = read_alpha2f(tmp_path / "t2o_A2F.nc")
    assert [each.label for each in reading.variants] == ["interpolated in q", "q-points of the DFPT grid"]
    for each, lambda_, square in zip(reading.variants, (interpolated, coarse), squares[::-1], strict=True):
        assert each.spectrum.lambda_ == pytest.approx(lambda_, rel=2e-3)
        assert each.spectrum.omega_log_meV == pytest.approx(square**0.5 * MEV_PER["Ha"], rel=2e-3)
    assert read_alpha2f(tmp_path / "t2o_A2FW").spectrum.lambda_ == pytest.approx(interpolated, rel=2e-3)


# Elk


@needs_elk_examples
@pytest.mark.parametrize("name", ["Al", "Nb", "Pb", "MgB2"])
def test_elk_examples(name: str) -> None:
    """λ, ω_log and ω̄₂ as Elk integrated them."""
    text = (ELK / f"{name}-DFPT" / "MCMILLAN.OUT").read_text()
    lambda_, log, rms = (float(word) for word in re.findall(r"(?:, \S+|frequency) :\s*(\S+)", text)[:3])
    spectrum = read_alpha2f(ELK / f"{name}-DFPT" / "ALPHA2F.OUT").spectrum
    assert spectrum.lambda_ == pytest.approx(lambda_, rel=1e-4)
    assert spectrum.omega_log_meV == pytest.approx(log * MEV_PER["Ha"], rel=1e-3)
    assert spectrum.omega_2_meV == pytest.approx(rms * MEV_PER["Ha"], rel=1e-3)


def elk_files(folder: Path, lowest_meV: float = 0.0, stated: float | None = None) -> Path:
    """Write ALPHA2F.OUT as alpha2f.f90 does: from a tenth of the phonons' range below the lowest one on."""
    span = (40.0 - lowest_meV) / MEV_PER["Ha"]
    omega = lowest_meV / MEV_PER["Ha"] - 0.1 * span + 1.2 * span / 500 * np.arange(500)
    inside = (omega > 0) & (omega < 40 / MEV_PER["Ha"])
    alpha2f = np.where(inside, 0.5 * (omega * MEV_PER["Ha"] / 40) ** 2, 0.0)
    (folder / "ALPHA2F.OUT").write_text("".join(f"{w:18.10E}{a:18.10E}\n" for w, a in zip(omega, alpha2f, strict=True)))
    if stated is not None:
        (folder / "LAMBDA.OUT").write_text(f"\nElectron-phonon mass enhancement parameter, lambda : {stated:18.10f}\n")
    return folder / "ALPHA2F.OUT"


def test_elk_begins_below_zero_and_is_held_against_lambda_out(tmp_path: Path) -> None:
    reading = read_alpha2f(elk_files(tmp_path, stated=0.5))
    assert reading.spectrum.lambda_ == pytest.approx(0.5, rel=5e-3)
    assert reading.spectrum.omega_log_meV == pytest.approx(40 * np.exp(-0.5), rel=5e-3)
    assert reading.spectrum.notes[:0] == reading.notes == ()
    assert read_alpha2f(tmp_path / "LAMBDA.OUT").spectrum.lambda_ == reading.spectrum.lambda_
    with pytest.raises(InputError, match=r"ALPHA2F\.OUT with LAMBDA\.OUT: .* but the file says λ = 0\.7"):
        read_alpha2f(elk_files(tmp_path, stated=0.7))


def test_elk_without_lambda_and_with_imaginary_phonons_is_told(tmp_path: Path) -> None:
    reading = read_alpha2f(elk_files(tmp_path, lowest_meV=-8.0))
    assert any("go down to -8 meV: some are imaginary" in note for note in reading.spectrum.notes)
    assert "no LAMBDA.OUT or MCMILLAN.OUT beside it" in reading.notes[0]


# Plain columns


def plain(folder: Path, heading: str = "", unit: str = "meV", footer: str = "") -> Path:
    omega = np.linspace(0.0, 60.0, 301)
    rows = "".join(
        f"{w / MEV_PER[unit]:.8e} {a:.8e}\n" for w, a in zip(omega, np.sin(omega / 60 * np.pi) ** 2, strict=True)
    )
    (folder / "a2f.dat").write_text(f"{heading}{rows}{footer}")
    return folder / "a2f.dat"


@pytest.mark.parametrize("unit", list(MEV_PER))
def test_plain_columns_in_every_unit(tmp_path: Path, unit: str) -> None:
    expected = read_alpha2f(plain(tmp_path), "meV").spectrum
    spectrum = read_alpha2f(plain(tmp_path, unit=unit), unit).spectrum
    assert spectrum.lambda_ == pytest.approx(expected.lambda_, rel=1e-6)
    assert spectrum.omega_log_meV == pytest.approx(expected.omega_log_meV, rel=1e-6)
    assert spectrum.unit == unit


def test_plain_columns_may_name_their_unit(tmp_path: Path) -> None:
    reading = read_alpha2f(plain(tmp_path, "# frequency (THz)   a2F\n", "THz"))
    assert reading.spectrum.unit == "THz"
    assert reading.spectrum.omega_max_meV == pytest.approx(60, abs=1)
    asked = read_alpha2f(plain(tmp_path, "# frequency (THz)   a2F\n", "THz"), "meV")
    assert asked.spectrum.unit == "meV" and "though a heading names THz" in asked.spectrum.notes[0]


def test_plain_columns_without_a_unit_are_taken_in_meV_and_told(tmp_path: Path) -> None:
    assert "taken as meV" in read_alpha2f(plain(tmp_path)).spectrum.notes[0]


def test_plain_columns_are_held_against_the_lambda_they_state(tmp_path: Path) -> None:
    lambda_ = read_alpha2f(plain(tmp_path), "meV").spectrum.lambda_
    assert read_alpha2f(plain(tmp_path, footer=f"# lambda = {lambda_:.4f}\n"), "meV").spectrum.lambda_ == lambda_
    with pytest.raises(InputError, match=r"but the file says λ = 0\.5; the table is cut, damaged"):
        read_alpha2f(plain(tmp_path, footer="# lambda = 0.5\n"), "meV")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("# only a heading\n", "no rows of at least 2 numbers"),
        ("1 0.1\n2 0.2 0.3\n3 0.3\n", "line 2 has 3 numbers where line 1 has 2"),
        ("1 0.0\n2 0.2\n3 oops\n4 0.1\n", "line 3: '3 oops' is no row of numbers"),
        ("1 0.0\n2 ********\n3 0.1\n", r"line 2 holds \*\*\*"),
        ("1,5 0,0\n2,5 0,3\n3,5 0,1\n", "line 1 is written with decimal commas"),
        ("1 0.0\n2 nan\n3 0.1\n", "row 2 holds nan"),
        ("-2 0.0\n2 0.5\n3 0.1\n", "row 1 has the frequency -2 meV"),
        ("1 0.0\n3 0.5\n2 0.1\n", r"the frequency 2 meV in row 3 is not above the one before \(3 meV\)"),
    ],
)
def test_plain_files_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a2f.dat").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_alpha2f(tmp_path / "a2f.dat", "meV")
    assert str(caught.value).startswith(str(tmp_path / "a2f.dat"))


def test_numbers_as_fortran_writes_them(tmp_path: Path) -> None:
    (tmp_path / "a2f.dat").write_text("1.0D+0 1.0-120\n2.0d1 5.0D-1\n3.0E+01 2.5d-1\n4.0d+1,0.1\n5.0d+1,0.0\n")
    spectrum = read_alpha2f(tmp_path / "a2f.dat", "meV").spectrum
    assert list(spectrum.omega_meV) == [1, 20, 30, 40, 50]
    assert list(spectrum.alpha2f) == pytest.approx([0, 0.5, 0.25, 0.1, 0])


@pytest.mark.parametrize(
    ("path", "own"), [("epw/al.a2f", "EPW, whose frequencies are in meV"), ("abinit/al_A2FW", "ABINIT, .* in Ha")]
)
def test_files_of_codes_have_their_own_unit(path: str, own: str) -> None:
    with pytest.raises(InputError, match=f"this is a file of {own}, not in THz"):
        read_alpha2f(DATA / path, "THz")
    assert read_alpha2f(DATA / path, "ha" if "abinit" in path else "mev").spectrum.lambda_ > 0


def test_what_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_alpha2f(tmp_path / "nothing.dat")
    (tmp_path / "picture.dat").write_bytes(b"\xff\xfe\x00\x01" * 20)
    with pytest.raises(InputError, match="not a text file"):
        read_alpha2f(tmp_path / "picture.dat")
