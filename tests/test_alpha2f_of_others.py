"""Tables and files as other people write them: each a minimal one with the feature that was misread."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elph_data import DATA, unpacked

from megabar.analysis.superconductivity.readers import read_alpha2f, read_lambda_only
from megabar.analysis.superconductivity.readers.headings import heading_of
from megabar.analysis.superconductivity.readers.text import numbers, rows
from megabar.analysis.superconductivity.units import MEV_PER
from megabar.structures.errors import InputError

OMEGA = np.linspace(0.0, 220.0, 111)
"""meV, of a hydride."""
ALPHA2F = 1.6 * np.sin(OMEGA / 220 * np.pi) ** 2
LAMBDA = 2 * float(np.sum(ALPHA2F[1:] / OMEGA[1:])) * 2.0


def table(path: Path, heading: str, unit: str = "meV", *more: np.ndarray, sep: str = " ", ends: str = "") -> Path:
    """Write ω in a unit, α²F and further columns below a heading."""
    columns = [OMEGA / MEV_PER[unit], ALPHA2F, *more]
    lines = [sep.join(f"{value:.8g}" for value in row) + ends for row in zip(*columns, strict=True)]
    path.write_text("\n".join([*([heading] if heading else []), *lines]) + "\n")
    return path


# the unit


@pytest.mark.parametrize(
    ("heading", "unit"),
    [
        ("# omega (THZ)  a2F", "THz"),
        ("# omega [thz]  a2F", "THz"),
        ("# frequency (CM-1)  alpha^2F", "cm-1"),
        ("# ω (cm⁻¹)   α²F", "cm-1"),
        ("# (CM-1)   a2F", "cm-1"),
        ("# freq (cm^{-1})  a2F", "cm-1"),
        ("# wavenumber (1/cm)  a2F", "cm-1"),
        ("# omega (THz) a2F; N(EF)=0.7 states/eV", "THz"),
        ("# E (THz)  a2F(w)", "THz"),
        ("# THz  a2F", "THz"),
        ("# x (THz)  y", "THz"),
        ("# energies in Rydberg", "Ry"),
        ("# omega(rad/ps)  a2F", "rad/ps"),
        ("omega_THz alpha2F", "THz"),
        ("# (K)  a2F", "K"),
        ("# Tc = 204 K at 200 GPa\n# w[meV] a2f", "meV"),
        ("# N(EF) = 0.3 states/eV/spin, Ecut = 60 Ry\n# hbar omega (meV), alpha^2F", "meV"),
    ],
)
def test_the_unit_is_that_of_the_frequency_column(tmp_path: Path, heading: str, unit: str) -> None:
    reading = read_alpha2f(table(tmp_path / "a2f.dat", heading, unit))
    assert reading.spectrum.unit == unit
    assert reading.spectrum.omega_meV[-1] == pytest.approx(220, rel=1e-6)
    assert reading.spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    assert not [note for note in reading.spectrum.notes if "unit" in note]


@pytest.mark.parametrize(
    "heading",
    [
        "# H3S 200 GPa, Tc = 204 K",
        "# K-points 8 8 8, Ecut 60 Ry, N(EF) = 0.3 states/eV",
        "# energy cutoff 60 Ry",
        "# K  a2F",
        "# omega  a2F (THz)",
        "# Fermi energy 7 eV",
        "",
    ],
)
def test_other_mentions_of_a_unit_do_not_count(tmp_path: Path, heading: str) -> None:
    """H3S with its Tc in a comment was read in kelvin: Tc 0.66 for 7.61 K."""
    reading = read_alpha2f(table(tmp_path / "a2f.dat", heading))
    assert reading.spectrum.omega_meV[-1] == pytest.approx(220)
    assert [note for note in reading.spectrum.notes if "taken as meV (--unit says another)" in note]


def test_the_unit_asked_for_always_wins(tmp_path: Path) -> None:
    path = table(tmp_path / "a2f.dat", "# H3S 200 GPa, Tc = 204 K")
    assert read_alpha2f(path, "meV").spectrum.notes == ()
    path = table(tmp_path / "a2f.dat", "# omega (THz) a2F", "cm-1")
    reading = read_alpha2f(path, "cm-1")
    assert reading.spectrum.omega_meV[-1] == pytest.approx(220)
    assert reading.spectrum.notes == ("frequencies are taken in cm-1 as asked, though a heading names THz",)


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("# omega (THz)\n# frequencies in meV", "its headings name THz and meV for the frequencies: say which"),
        ("# omega (a.u.)  a2F", "in atomic units, hartree or Rydberg: say which with --unit"),
    ],
)
def test_two_units_that_could_be_meant_are_refused(tmp_path: Path, heading: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_alpha2f(table(tmp_path / "a2f.dat", heading))
    assert read_alpha2f(tmp_path / "a2f.dat", "meV").spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)


# columns


def test_csv_with_quoted_names_is_read_by_them(tmp_path: Path) -> None:
    """Commas within the names, an index without a name, λ(ω) before α²F, and temperatures behind."""
    path = tmp_path / "a2f.csv"
    thz = OMEGA / MEV_PER["THz"]
    running = np.concatenate([[0.0], 4 * np.cumsum(ALPHA2F[1:] / OMEGA[1:])])
    lines = ['"","freqs, THz","lambda (gamma)","a2f (gamma), THz","wlog, K"']
    lines += [
        f'"{place}",{w:.8g},{sum_:.6g},{a:.8g},{"" if place == 0 else 900 + place}'
        for place, (w, sum_, a) in enumerate(zip(thz, running, ALPHA2F, strict=True))
    ]
    path.write_text("\n".join(lines))
    reading = read_alpha2f(path)
    assert reading.spectrum.unit == "THz"
    assert reading.spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    assert reading.notes == ("of 5 columns 'freqs, THz' and 'a2f (gamma), THz' were taken for ω and α²F",)


def test_two_columns_that_may_be_alpha2f_are_told(tmp_path: Path) -> None:
    path = table(tmp_path / "a2f.csv", '"freqs, THz","a2f (lambda), THz","a2f (gamma), THz"', "THz", ALPHA2F, sep=",")
    assert read_alpha2f(path).notes[0].endswith("; 'a2f (gamma), THz' may be one too")


def test_columns_with_other_marks_between_them(tmp_path: Path) -> None:
    for sep, ends in ((",", ""), (";", ""), ("\t", ""), (" , ", ""), ("; ", ""), (",", ","), (", ", ",")):
        path = table(tmp_path / "a2f.csv", sep.join(("omega (meV)", "alpha2F")) + ends, sep=sep, ends=ends)
        assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    (tmp_path / "a2f.csv").write_text("1,5;0,0\n2,5;0,3\n3,5;0,1\n")
    with pytest.raises(InputError, match="decimal commas"):
        read_alpha2f(tmp_path / "a2f.csv", "meV")


def test_a_column_that_counts_the_rows_is_left_aside_or_refused(tmp_path: Path) -> None:
    """λ would be 78 of ω against the number of its row."""
    path = tmp_path / "a2f.dat"
    body = "\n".join(f"{n} {w} {a}" for n, (w, a) in enumerate(zip(OMEGA, ALPHA2F, strict=True), start=1))
    path.write_text("# n omega a2F\n" + body)
    assert read_alpha2f(path, "meV").spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    path.write_text(body)
    with pytest.raises(InputError, match="its first column counts the rows"):
        read_alpha2f(path, "meV")


def test_names_of_columns() -> None:
    assert heading_of(["# w(meV)  a2F(w)  lambda(w)"], 3).alpha2f == (1,)
    assert heading_of(["#T(K) omega (meV) a2F"], 3).frequency == 1
    assert heading_of(["# Frequency[cm^-1] DOS PDOS"], 3).other == "DOS"
    assert heading_of(["# N(EF) = 3, Tc = 4"], 2).names == ()


# text


def test_rows_may_end_in_a_comment_and_comments_in_latin_1(tmp_path: Path) -> None:
    path = table(tmp_path / "a2f.dat", "# omega (meV) a2F", ends="   # row")
    path.write_bytes("# gemessen bei 20 °C, Müller\n".encode("latin-1") + path.read_bytes())
    assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    assert numbers("1.0 2.0 ! two") == [1.0, 2.0] and numbers("# 1.0 2.0") is None and numbers("1 # 2") == [1.0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)


def test_a_first_frequency_below_zero_by_rounding_is_zero(tmp_path: Path) -> None:
    path = table(tmp_path / "a2f.dat", "# omega (meV) a2F")
    path.write_text(path.read_text().replace("\n0 0\n", "\n-1.0e-8 0.0\n"))
    assert "-1.0e-8" in path.read_text()
    assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)
    path.write_text(path.read_text().replace("-1.0e-8", "-1.0"))
    with pytest.raises(InputError, match="row 1 has the frequency -1 meV"):
        read_alpha2f(path)


# spectra that are no α²F


def density(normalised: float) -> np.ndarray:
    shape = (OMEGA / 220) ** 2 * (1.05 - OMEGA / 220)
    return normalised * shape / np.trapezoid(shape, OMEGA)


@pytest.mark.parametrize(
    ("name", "heading", "values", "said"),
    [
        ("pb.phdos", "", density(2.7), "by its name it is a density of states"),
        ("total_dos.dat", "", density(2.7), "by its name it is a density of states"),
        ("phonon.dos", "# Frequency[meV] DOS PDOS", density(2.7), "its column is named 'DOS'"),
        ("x.dat", "# w[meV] phdos[states/meV] for 1 smearing values", density(2.7), "its column is named 'phdos'"),
        ("x.dat", "", density(3.0), r"its integral over ω is 3\.000, the number of modes"),
        ("x.dat", "", density(12.0), r"its integral over ω is 12\.000, the number of modes"),
        ("x.dat", "", density(1.0), r"its integral over ω is 1\.000, the number of modes"),
        ("pb.freq.gp", "", OMEGA / 10, "by its name it is phonon bands"),
        ("x.dat", "", OMEGA / 10, r"λ would be 43\.8, which no metal has"),
        ("x.dat", "", np.where(OMEGA < 12, np.sin(OMEGA / 12 * np.pi) ** 2, 0.02), "% of λ would come from below 5%"),
    ],
)
def test_other_spectra_are_refused_in_words(
    tmp_path: Path, name: str, heading: str, values: np.ndarray, said: str
) -> None:
    path = tmp_path / name
    extra = " 0.0" if "PDOS" in heading else ""
    lines = [f"{w:.8g} {value:.10g}{extra}" for w, value in zip(OMEGA, values, strict=True)]
    path.write_text("\n".join([heading, *lines]) if heading else "\n".join(lines))
    with pytest.raises(InputError, match="this does not look like α²F: .*" + said) as caught:
        read_alpha2f(path, "meV")
    assert "--as-alpha2f takes it for α²F all the same" in str(caught.value)
    insisted = read_alpha2f(path, "meV", insist=True)
    assert insisted.spectrum.lambda_ > 0 and any("as asked, though" in note for note in insisted.notes)


@pytest.mark.parametrize("name", ["freq_a2f.dat", "a2F.dos", "alpha2f_dos.dat", "MgB2.dat"])
def test_alpha2f_under_such_a_name_is_taken(tmp_path: Path, name: str) -> None:
    assert read_alpha2f(table(tmp_path / name, "# omega (meV) a2F")).spectrum.lambda_ == pytest.approx(LAMBDA, rel=1e-6)


def test_soft_modes_are_no_reason_to_refuse(tmp_path: Path) -> None:
    """A Debye spectrum, and one with a third of its λ in a soft mode."""
    for values in (0.5 * (OMEGA / 220) ** 2, ALPHA2F + 0.3 * np.exp(-(((OMEGA - 14) / 4) ** 2)) * (OMEGA > 0)):
        path = tmp_path / "x.dat"
        path.write_text("\n".join(f"{w:.8g} {value:.10g}" for w, value in zip(OMEGA, values, strict=True)))
        assert read_alpha2f(path, "meV").spectrum.lambda_ > 0.4


# Quantum ESPRESSO


@pytest.fixture(scope="module")
def al(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("al_q444", tmp_path_factory.mktemp("al"))


@pytest.fixture
def matdyn(tmp_path: Path) -> Path:
    return unpacked("al_q222", tmp_path)


def test_the_heading_of_new_versions_of_lambda_x(al: Path, tmp_path: Path) -> None:
    """``# E (THz)`` and every smearing with all digits, all on one line: it was taken for plain columns."""
    text = (al / "alpha2F.dat").read_text()
    heading, body = text.split("\n", 1)
    sigmas = "".join(f"   {float(word):.16E}" for word in heading.split(")")[1].split())
    (tmp_path / "alpha2F.dat").write_text(f" # E (THz){sigmas}\n{body}")
    new, old = read_alpha2f(tmp_path / "alpha2F.dat"), read_alpha2f(al / "alpha2F.dat")
    assert new.code == "Quantum ESPRESSO" and len(new.variants) == 10
    assert (new.chosen, new.spectrum.lambda_) == (old.chosen, old.spectrum.lambda_)


def test_one_bad_smearing_of_lambda_x_blocks_no_other(al: Path, tmp_path: Path) -> None:
    lines = (al / "alpha2F.dat").read_text().splitlines()
    spoilt = [" ".join([row[0], f"{-float(row[1]):g}", *row[2:]]) for row in (line.split() for line in lines[1:])]
    (tmp_path / "alpha2F.dat").write_text("\n".join([lines[0], *spoilt]))
    reading = read_alpha2f(tmp_path / "alpha2F.dat")
    assert len(reading.variants) == 9 and reading.variants[0].smearing_Ry == 0.010
    assert [note for note in reading.notes if note.startswith("left out: ") and "smearing 0.005 Ry" in note]


def test_lambda_out_is_what_lambda_x_prints(al: Path, tmp_path: Path) -> None:
    """On a file system that knows no cases it is LAMBDA.OUT of Elk; the content tells."""
    printed = "".join(
        f"     lambda = {row[1]} ( {row[2]} )  <log w>= {row[3]} K  N(Ef)= {row[4]} at degauss= {row[0]}\n"
        for row in (line.split() for line in (al / "lambda.dat").read_text().splitlines()[1:])
    )
    (tmp_path / "lambda.out").write_text(printed + "lambda omega_log T_c\n 0.37  328.9  0.9\n")
    assert read_lambda_only(tmp_path / "lambda.out") == read_lambda_only_of(al, tmp_path)
    shutil.copy(al / "alpha2F.dat", tmp_path)
    assert read_alpha2f(tmp_path / "lambda.out").spectrum.lambda_ == read_alpha2f(al / "alpha2F.dat").spectrum.lambda_


def read_lambda_only_of(al: Path, folder: Path) -> object:
    alone = folder / "alone"
    alone.mkdir()
    shutil.copy(al / "lambda.dat", alone)
    return read_lambda_only(alone / "lambda.dat")


def test_one_bad_file_of_matdyn_blocks_no_other(matdyn: Path) -> None:
    """a2F.dos1 of a coarse grid is often negative near 0; it is refused itself, and left out beside others."""
    lines = (matdyn / "a2F.dos1").read_text().splitlines()
    for n, line in enumerate(lines):
        row = numbers(line)
        if row is not None and 6 < n < 60:
            lines[n] = " ".join(f"{value:.6E}" for value in (row[0], -abs(row[1]) - 0.2, *row[2:]))
    (matdyn / "a2F.dos1").write_text("\n".join(lines))
    reading = read_alpha2f(matdyn / "a2F.dos8")
    assert len(reading.variants) == 9 and reading.spectrum.lambda_ == pytest.approx(0.2757, rel=0.01)
    assert reading.variants[reading.chosen].smearing_Ry == 0.04
    assert [note for note in reading.notes if note.startswith("left out: ") and "a2F.dos1" in note]
    together = read_alpha2f(matdyn / "lambda")
    assert len(together.variants) == 9 and "λ varies least there" in together.why
    with pytest.raises(InputError, match=r"a2F\.dos1: (α²F is negative|.*the file says λ)"):
        read_alpha2f(matdyn / "a2F.dos1")


@pytest.mark.parametrize("first", [2, 3])
def test_records_of_two_lines_in_old_files_of_matdyn(matdyn: Path, first: int) -> None:
    """ω and α²F on the one line, the modes on the next."""
    expected = read_alpha2f(matdyn / "a2F.dos8").spectrum
    lines = []
    for line in (matdyn / "a2F.dos8").read_text().splitlines():
        row = line.split() if numbers(line) is not None else None
        lines += (
            [line] if row is None else [" ".join(row[:first]), "     " + " ".join([*row[first:], "0.0"][: 6 - first])]
        )
    (matdyn / "a2F.dos8").write_text("\n".join(lines))
    assert read_alpha2f(matdyn / "a2F.dos8").spectrum.lambda_ == expected.lambda_


def test_rounding_below_zero_is_no_imaginary_mode(matdyn: Path) -> None:
    """A first frequency of −1e-10 Ry, where α²F is not quite 0 either."""
    lines = (matdyn / "a2F.dos8").read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if numbers(line) is not None)
    lines.insert(first, " -1.0E-10 1.0E-9 0.0 0.0 0.0")
    (matdyn / "a2F.dos8").write_text("\n".join(lines))
    assert not [note for note in read_alpha2f(matdyn / "a2F.dos8").spectrum.notes if "imaginary" in note]


def test_rows_of_several_lines(tmp_path: Path) -> None:
    text = "1 2 3\n4 5\n2 3 4\n5 6\n"
    assert rows(text, tmp_path, wrapped=True).tolist() == [[1, 2, 3, 4, 5], [2, 3, 4, 5, 6]]
    assert rows("1 2\n9 5\n2 3\n8 6\n", tmp_path, wrapped=True).tolist() == [[1, 2, 9, 5], [2, 3, 8, 6]]
    with pytest.raises(InputError, match="line 2 has 2 numbers where line 1 has 3"):
        rows(text, tmp_path)


def tetrahedra(al: Path, folder: Path) -> Path:
    """Write a run as ``electron_phonon='lambda_tetra'`` leaves it: dynN, dynN.elph.N, and an elph_dir with nothing."""
    (folder / "elph_dir").mkdir()
    for path in al.glob("*dyn*"):
        shutil.copy(path, folder)
    for path in (al / "elph_dir").glob("elph.inp_lambda.*"):
        text = path.read_text()
        head, *smearings = re.split(r"     Gaussian Broadening:.*\n", text)
        head = re.sub(r"\A((?:\s*\S+){3})\s+\d+(\s+\d+)\s", r"\1\2\n", head)
        number = path.name.rsplit(".", 1)[1]
        [dyn] = list(folder.glob(f"*dyn{number}"))
        dyn.with_name(f"{dyn.name}.elph.{number}").write_text(head + "     Tetrahedron method\n" + smearings[5])
    return folder


def test_tetrahedra_of_ph_x(al: Path, tmp_path: Path) -> None:
    folder = tetrahedra(al, tmp_path)
    reading = read_alpha2f(folder)
    # Without the matrices of a2Fq2r.* degenerate modes share their mean; the sum is the same.
    assert reading.spectrum.lambda_ == pytest.approx(read_alpha2f(al).variants[5].spectrum.lambda_, abs=2e-4)
    assert [each.label for each in reading.variants] == ["tetrahedra"]
    assert any("by tetrahedra" in note for note in reading.notes)
    [one] = folder.glob("*.elph.1")
    assert read_alpha2f(one).spectrum.lambda_ == reading.spectrum.lambda_
    one.unlink()
    with pytest.raises(InputError, match=r"q-point 1 of 8 has no dynN\.elph\.N file"):
        read_alpha2f(folder)


def test_a_grid_shifted_by_half_a_step(al: Path, tmp_path: Path) -> None:
    """Its stars fill several images of the grid: Γ is not among them, and the weights are their sizes."""
    folder = tetrahedra(al, tmp_path)
    numbered = {int(path.name.rsplit(".", 1)[1]): path for path in folder.glob("*.elph.*")}
    coupling = read_alpha2f(folder).coupling
    assert coupling is not None
    points = coupling.points
    kept = [point for point in points if len(point.star_q) in (8, 24)][:2]
    for number, path in numbered.items():
        if all(number != point.number for point in kept):
            path.unlink()
            path.with_name(path.name.split(".elph.")[0]).unlink()
    for new, point in enumerate(kept, start=1):
        path = numbered[point.number]
        dyn = path.with_name(path.name.split(".elph.")[0])
        base = re.sub(r"\d+$", "", dyn.name)
        path.rename(folder / f"{base}{new}.elph.{new}")
        dyn.rename(folder / f"{base}{new}")
    [head] = folder.glob("*dyn0")
    stars = [len(point.star_q) for point in kept]
    head.write_text(f"2 2 2\n2\n{kept[0].q}\n{kept[1].q}\n")
    expected = sum(star * point.lambda_[0].sum() for star, point in zip(stars, kept, strict=True)) / sum(stars)
    assert sum(stars) % 8 == 0 and sum(stars) > 8
    assert read_alpha2f(folder).spectrum.lambda_ == pytest.approx(expected, rel=1e-6)
    head.write_text(f"3 3 3\n2\n{kept[0].q}\n{kept[1].q}\n")
    with pytest.raises(InputError, match="the stars of the q-points have"):
        read_alpha2f(folder)


CRYSTAL = """&system ibrav=2 celldm(1)=7.5 nat=1 ntyp=1 ecutwfc=15 occupations='tetrahedra_opt' nbnd=8 /
&electrons conv_thr=1d-10 /
ATOMIC_SPECIES
Al 26.98 Al.upf
ATOMIC_POSITIONS
Al 0 0 0
K_POINTS automatic
"""
PHONONS = (
    "x\n&inputph prefix='al' outdir='./o' fildyn='al.dyn' fildvscf='dv' ldisp=.true. lshift_q=.true. nq1=2 nq2=2 nq3=2 "
)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ph.x") is None or shutil.which("ld1.x") is None, reason="ph.x is not installed")
def test_tetrahedra_as_ph_x_writes_them_today(tmp_path: Path) -> None:
    """Al on 2×2×2 q shifted by half a step: two stars, of 8 and 24 members; λ is their mean by these."""
    from megabar.workflows.pseudopotentials.generate import generated

    shutil.copy(generated("Al", "PBE", tmp_path / "pseudopotentials", "ld1.x"), tmp_path / "Al.upf")
    control = "&control calculation='{}' prefix='al' outdir='./o' pseudo_dir='.' /\n"
    steps = (
        ("pw.x", control.format("scf") + CRYSTAL + "4 4 4 0 0 0\n"),
        ("ph.x", PHONONS + "tr2_ph=1d-12 /\n"),
        ("pw.x", control.format("nscf") + CRYSTAL + "8 8 8 0 0 0\n"),
        ("ph.x", PHONONS + "trans=.false. electron_phonon='lambda_tetra' nk1=8 nk2=8 nk3=8 /\n"),
    )
    for program, given in steps:
        subprocess.run(
            [program],
            input=given,
            cwd=tmp_path,
            text=True,
            capture_output=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    reading = read_alpha2f(tmp_path)
    found = []
    for number in (1, 2):
        text = (tmp_path / f"al.dyn{number}.elph.{number}").read_text()
        found.append(sum(float(each) for each in re.findall(r"lambda\(.*?\)=\s*(\S+)", text)))
    assert reading.coupling is not None
    assert [len(point.star_q) for point in reading.coupling.points] == [8, 24]
    assert reading.spectrum.lambda_ == pytest.approx((8 * found[0] + 24 * found[1]) / 32, rel=1e-6)
    assert 0.1 < reading.spectrum.lambda_ < 0.6


def test_a_folder_of_something_else_names_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no elph\.inp_lambda\.N in it or in its elph_dir, and no dynN\.elph\.N"):
        read_alpha2f(tmp_path)


def test_files_of_codes_still_have_their_own_unit() -> None:
    with pytest.raises(InputError, match="this is a file of EPW, whose frequencies are in meV, not in THz"):
        read_alpha2f(DATA / "epw" / "al.a2f", "THz")
