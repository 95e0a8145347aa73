"""Mending by rule: which failure is recognised, which step follows, that only the path changes, and what is kept."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk

from megabar.workflows.codes.espresso.inputs import PATH_KEYS, parameters
from megabar.workflows.codes.espresso.phonon_output import check_phonon
from megabar.workflows.codes.espresso.phonons import PATH_KEYS as PHONON_PATH_KEYS
from megabar.workflows.codes.espresso.phonons import phonon_input
from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.codes.launch import (
    ALGEBRA_FLAGS,
    POOL_FLAGS,
    PROCESS_FLAGS,
    processes,
    with_number,
    with_option,
)
from megabar.workflows.mending import espresso, gpaw, phonons
from megabar.workflows.mending.handler import TRANSIENT, Handler, in_words, next_step
from megabar.workflows.mending.record import MOST_STEPS, Mendings, forget_steps, mended, note_step, steps_taken
from megabar.workflows.mending.symptoms import RECOGNISED_ONLY, SYMPTOMS, cause_of, scf_cause
from megabar.workflows.mending.table import (
    HANDLERS,
    answers,
    table_of_causes,
    table_of_handlers,
    table_of_the_rest,
)
from megabar.workflows.stopping import Stopped

DOCS = Path(__file__).parent.parent / "docs" / "mending.md"
TABLES = {"espresso": espresso.CAUSES, "ph.x": phonons.CAUSES, "gpaw": gpaw.CAUSES}
BEGIN: dict[str, dict[str, Any]] = {
    "espresso": {**espresso.DEFAULTS, "processes": 16, "pools": 4, "bands": 9, "electrons": 9.0, "start": "density"},
    "ph.x": {**phonons.DEFAULTS, "processes": 16, "pools": 4},
    "gpaw": {**gpaw.DEFAULTS, "maxiter": 60, "bands": 8, "electrons": 9.0, "start": "before"},
}
STEPS = [(code, cause) for code in HANDLERS for cause in answers(code)]


def never() -> bool:
    return False


# --- the tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", HANDLERS)
def test_the_docs_say_what_the_handlers_do(code: str) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    assert table_of_causes(code) in docs
    assert table_of_handlers(code) in docs
    assert table_of_the_rest() in docs


@pytest.mark.parametrize("code", HANDLERS)
def test_every_cause_that_is_recognised_has_an_answer_or_a_reason_for_none(code: str) -> None:
    causes = {cause for _, cause in TABLES[code]} | set(answers(code))
    assert causes <= set(SYMPTOMS)
    assert causes <= set(answers(code)) | set(RECOGNISED_ONLY)
    assert all(each.codes == (code,) and each.symptoms for each in HANDLERS[code])


@pytest.mark.parametrize("code", HANDLERS)
def test_no_words_hide_others(code: str) -> None:
    """The first words that are there count, so that none may be part of later ones with another cause."""
    for (first, cause), (second, other) in combinations(TABLES[code], 2):
        assert first not in second or cause == other, (first, second)


# --- texts of pw.x, written here in the form in which it prints them (its sources: see mending/espresso.py) ---------


def box(routine: str, number: int, message: str) -> str:
    line = "%" * 78
    return f"\n {line}\n     Error in routine {routine} ({number}):\n     {message}\n {line}\n\n     stopping ...\n"


ERRORS = [
    (box("cdiaghg", 35, "S matrix not positive definite"), "overlap-not-positive"),
    (box("rdiaghg", 41, "S matrix not positive definite"), "overlap-not-positive"),
    (box("cdiaghg", 159, "problems computing cholesky"), "overlap-not-positive"),
    (box("c_bands", 1, "too many bands are not converged"), "diagonalization-failed"),
    (box("cdiaghg", 8, "eigenvectors failed to converge"), "diagonalization-failed"),
    (box("ppcg ", 3, "zhegvd failed"), "diagonalization-failed"),
    (box("broyden", 1, "factorization"), "charge-sloshing"),
    (box("mix_rho", 1, "negative dr2"), "charge-sloshing"),
    (box("setup", 1, "too few bands"), "too-few-bands"),
    (box("efermig", 1, "internal error, cannot bracket Ef"), "fermi-level"),
    (box("electrons", 1, "charge is wrong"), "wrong-charge"),
    (box("electrons", 1, "charge is wrong: smearing is needed"), "wrong-charge"),
    (box("potinit", 1, "starting and expected charges differ"), "wrong-charge"),
    (box("checkallsym", 4, "not orthogonal operation"), "symmetry-error"),
    (box("sym_rho_init_shell", 2, "lone vector"), "symmetry-error"),
    (box("d_matrix", 3, "D_S (l=2) for this symmetry operation is not orthogonal"), "symmetry-error"),
    (box("inverse_s", 1, " Not a group"), "symmetry-error"),
    (box("mp_start_pools", 1, "invalid number of pools, out of range"), "too-many-processes"),
    (
        box("scale_h", 1, "Not enough space allocated for radial FFT: try restarting with a larger cell_factor."),
        "cell-factor-too-small",
    ),
    (box("check_atoms", 1, "atoms #   1 and #   2 overlap!"), "atoms-too-close"),
    (box("write_rhog", 3, "error writing file ./out/pwscf.save/charge-density"), "disk-full"),
    (box("davcio", 10, 'error writing file "./out/pwscf.wfc1"'), "disk-full"),
    (box("davcio", 10, 'error reading file "./out/pwscf.wfc1"'), "restart-damaged"),
    (box("read_rhog", 2, "error reading file ./out/pwscf.save/charge-density"), "restart-damaged"),
    (box("read_xml_file", 1, "fatal error reading xml file"), "restart-damaged"),
    (box("read_rhog", 1, "inconsistent input dimensions"), "restart-damaged"),
    (box("read_upf_v2", 1, "Error in reading"), "pseudopotential-unreadable"),
    (box("readpp", 2, "file ./pseudo/Na.upf not found"), "pseudopotential-unreadable"),
    (box("read_namelists", 1, "bad line in namelist &electrons"), "input-refused"),
    (box("iosys", 1, "unknown mixing nonsense"), "input-refused"),
    (box("regterg", 1, " cannot allocate hpsi "), "out-of-memory"),
    (box("mp_bcast", 1, "error in mpi_bcast 1"), "mpi-failed"),
    (box("nobody", 1, "knows this"), None),
]
MESSAGES = [
    ("Error allocating 1542592 bytes: Cannot allocate memory\n\nError termination. Backtrace:", "out-of-memory"),
    ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0. Some of your processes", "out-of-memory"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "out-of-memory"),
    ("Fortran runtime error: No space left on device", "disk-full"),
    ("Fortran runtime error: Disk quota exceeded", "disk-full"),
    ("mpirun has detected an attempt to run as root.", "cannot-start"),
    ("There are not enough slots available in the system to satisfy the 64\nslots", "mpi-failed"),
    ("srun: error: Unable to create step for job 12: Requested node configuration", "mpi-failed"),
    ("Fatal error in PMPI_Init_thread: Other MPI error, error stack:", "mpi-failed"),
    ("Fatal error in internal_Init: Other MPI error", "mpi-failed"),
    ("ORTE has lost communication with a remote daemon.", "mpi-failed"),
    ("[vm:1] Local abort before MPI_INIT completed completed successfully", "mpi-failed"),
    ("mpirun noticed that process rank 0 with PID 0 on node vm exited on signal 9 (Killed).", "killed"),
    ("=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "killed"),
    ("Program received signal SIGSEGV: Segmentation fault - invalid memory reference.", "killed"),
]
EXCEPTIONS = [
    ("KohnShamConvergenceError", "scf-not-converged"),
    ("TooFewBandsError", "too-few-bands"),
    ("ValueError: Too few bands!  Electrons: 9.0, bands: 3", "too-few-bands"),
    ("LinAlgError: Eigenvalues did not converge", "diagonalization-failed"),
    ("AtomsTooClose: Atoms are too close!", "atoms-too-close"),
    ("ValueError: Some energy terms are NaN!", "not-a-number"),
    ("ValueError: array must not contain infs or NaNs", "not-a-number"),
    ("MemoryError: Unable to allocate 11.2 GiB for an array with shape", "out-of-memory"),
    ("ValueError: Your k-points are not as symmetric as your crystal!", "symmetry-error"),
    ("SymmetryBrokenError", "symmetry-error"),
    ("ReuseWaveFunctionsError", "grid-changed"),
    ("ValueError: could not broadcast input array from shape (12,) into shape (14,)", "grid-changed"),
    ("OSError: [Errno 28] No space left on device", "disk-full"),
    ("RuntimeError: nobody knows this", None),
]


@pytest.mark.parametrize(("text", "cause"), ERRORS)
def test_an_error_of_pw_is_recognised(text: str, cause: str | None) -> None:
    from megabar.workflows.codes.espresso.output import error_message

    assert cause_of(error_message("…\n" + text), espresso.CAUSES) == cause


@pytest.mark.parametrize(("text", "cause"), MESSAGES)
def test_what_others_print_beside_pw_is_recognised(tmp_path: Path, text: str, cause: str) -> None:
    from megabar.workflows.codes.espresso.output import check_output

    (tmp_path / "espresso.pwo").write_text("     Program PWSCF v.6.7MaX starts on …\n")
    (tmp_path / "espresso.err").write_text(text + "\n")
    with pytest.raises(CalculationFailed) as failure:
        check_output(tmp_path, 1)
    assert failure.value.cause == cause
    assert failure.value.detail in text


@pytest.mark.parametrize(("text", "cause"), EXCEPTIONS)
def test_an_exception_of_gpaw_is_recognised(text: str, cause: str | None) -> None:
    assert cause_of(text, gpaw.CAUSES) == cause


def test_a_remark_of_a_run_that_went_on_is_no_cause(tmp_path: Path) -> None:
    from megabar.workflows.codes.espresso.output import check_output

    remark = "     suboptimal parallelization: some nodes have no k-points\n"
    (tmp_path / "espresso.pwo").write_text(remark + "     iteration #  1\n" * 40)
    with pytest.raises(CalculationFailed) as failure:
        check_output(tmp_path, 1)
    assert failure.value.cause == "error"


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ([10**-k for k in range(3)], "scf-not-converged"),
        ([10 ** (-0.2 * k) for k in range(20)], "scf-slow"),
        ([10 ** (-0.01 * k) for k in range(20)], "scf-not-converged"),
        ([10 ** (-0.05 * k) for k in range(20)], "scf-not-converged"),
        ([1.0, 0.3, *[0.1, 0.5] * 10], "charge-sloshing"),
        ([1.0, float("nan")], "not-a-number"),
        ([float("inf"), *[10 ** (-0.2 * k) for k in range(20)]], "scf-slow"),
        ([], "scf-not-converged"),
    ],
)
def test_why_a_self_consistency_was_given_up(errors: list[float], cause: str) -> None:
    assert scf_cause(errors, 1e-6) == cause


# --- the steps -----------------------------------------------------------------------------------------------------


def all_steps(code: str, cause: str, folder: Path, writes: bool = False) -> tuple[list[dict[str, Any]], str]:
    """Return the path settings after each step against a failure that nothing cures, and its last words."""
    mendings, seen = Mendings.of(folder, HANDLERS[code], BEGIN[code], writes), []
    while True:
        try:
            mendings.mend(CalculationFailed(cause, "what the code said"))
        except CalculationFailed as failure:
            return seen, failure.detail
        seen.append(mendings.path)


@pytest.mark.parametrize(("code", "cause"), STEPS)
def test_steps_end_and_none_is_taken_twice(tmp_path: Path, code: str, cause: str) -> None:
    seen, words = all_steps(code, cause, tmp_path, writes=True)
    assert 1 <= len(seen) <= MOST_STEPS
    assert all(one != other for one, other in combinations([BEGIN[code], *seen], 2))
    assert words.startswith(f"{SYMPTOMS[cause]}: what the code said; tried in vain: ")
    assert len(steps_taken(tmp_path)) == len(seen)
    assert all(step.startswith(f"{cause}: ") for step in steps_taken(tmp_path))


@pytest.mark.parametrize("cause", answers("espresso"))
def test_pw_is_never_asked_another_question(tmp_path: Path, cause: str) -> None:
    """Cutoffs, smearing, k-points, functional, thresholds: all as they were."""
    settings = {
        "functional": "PBE",
        "cutoff_eV": 900.0,
        "density_cutoff_eV": 3600.0,
        "constant_cutoff": {"from_eV": 800.0, "width_eV": 30.0, "height_eV": 1000.0},
        "kpoints": [4, 4, 4],
        "smearing": {"kind": "methfessel-paxton", "width_eV": 0.3},
        "scf_energy_eV": 1e-6,
    }
    data = (AtomicData("Na", "/nowhere", "0", 1.0, 900.0, ""),)
    before = parameters(settings, data, bulk("Na"), BEGIN["espresso"])
    seen, _ = all_steps("espresso", cause, tmp_path)
    for path in seen:
        after = parameters(settings, data, bulk("Na"), path)
        question, asked = ({**each, "input_data": None} for each in (before, after))
        assert question == asked
        for namelist, content in before["input_data"].items():
            for key in {*content, *after["input_data"][namelist]} - set(PATH_KEYS):
                assert after["input_data"][namelist][key] == content[key]
    assert all(set(path) <= {*BEGIN["espresso"], *PATH_KEYS, *TRANSIENT, "ndiag"} for path in seen)


@pytest.mark.parametrize("cause", answers("ph.x"))
def test_ph_is_never_asked_another_question(tmp_path: Path, cause: str) -> None:
    """Grid, threshold, smearings and what is computed: all as they were."""
    settings = {"q_grid": [4, 4, 4], "q_number": 3, "phonon_threshold": 1e-14}
    coupling = {"trans": ".false.", "electron_phonon": "'interpolated'"}

    def asked(path: dict[str, Any]) -> set[str]:
        lines = phonon_input(settings, path, coupling).splitlines()
        return {line for line in lines if line.split()[0] not in PHONON_PATH_KEYS}

    before = asked(BEGIN["ph.x"])
    assert "  tr2_ph = 1.0d-14" in before
    seen, _ = all_steps("ph.x", cause, tmp_path)
    assert all(asked(path) == before for path in seen)
    assert all(set(path) <= {*BEGIN["ph.x"], *TRANSIENT} for path in seen)


def test_what_ph_says_is_recognised(tmp_path: Path) -> None:
    def cause(code: int, output: str, errors: str = "") -> str:
        (tmp_path / "phonons.out").write_text(output)
        (tmp_path / "espresso.err").write_text(errors)
        with pytest.raises(CalculationFailed) as caught:
            check_phonon(tmp_path, "phonons", code, 2)
        return caught.value.cause

    given_up = " alpha_mix =  0.700 |ddv_scf|^2 =  {}\n\n     No convergence has been achieved\n\n   JOB DONE.\n"
    assert cause(1, given_up.format("3.3E-02")) == "phonon-not-converged"
    assert cause(1, given_up.format("NaN")) == "not-a-number"
    assert cause(1, box("broyden", 1, "factorization")) == "phonon-not-converged"
    assert cause(1, box("set_irr_sym_new", 101, "wrong representation")) == "symmetry-error"
    assert cause(1, box("checkallsym", 2, "not orthogonal operation")) == "symmetry-error"
    assert cause(1, box("setup", 1, "too few bands")) == "too-few-bands"
    assert cause(1, box("c_bands", 1, "too many bands are not converged")) == "diagonalization-failed"
    assert cause(1, box("cdiaghg", 8, "S matrix not positive definite")) == "overlap-not-positive"
    assert cause(1, box("davcio", 25, 'error reading file "./out/_ph0/pwscf.q_3/pwscf.prd1"')) == "restart-damaged"
    assert cause(1, box("davcio", 20, 'error writing file "./out/_ph0/pwscf.wfc1"')) == "disk-full"
    assert cause(1, box("read_control_ph", 1, "wrong elph")) == "restart-damaged"
    assert cause(2, "", "At line 965 of file xmltools.f90\nFortran runtime error: Sequential READ") == "restart-damaged"
    assert cause(1, "", "Operating system error: Cannot allocate memory\nAllocation would exceed") == "out-of-memory"
    assert cause(-9, "     iter #   3", "slurmstepd: error: Detected 1 oom_kill event") == "out-of-memory"
    assert cause(-9, "     iter #   3") == "killed"
    assert cause(1, box("phq_readin", 1, "Wrong nmix_ph")) == "input-refused"
    assert cause(0, "     iter #   3") == "incomplete-output"


@pytest.mark.parametrize("cause", answers("gpaw"))
def test_gpaw_is_never_asked_another_question(tmp_path: Path, cause: str) -> None:
    pytest.importorskip("gpaw")
    from megabar.workflows.codes.gpaw.calculator import parameters

    settings = {
        "functional": "PBE",
        "cutoff_eV": 500.0,
        "kpoints": [4, 4, 4],
        "smearing": {"kind": "methfessel-paxton", "width_eV": 0.3},
        "scf": {"energy_eV_per_electron": 1, "density_per_electron": 2, "eigenstates_eV2_per_electron": 3, "steps": 60},
    }
    before = parameters(settings, BEGIN["gpaw"])
    seen, _ = all_steps("gpaw", cause, tmp_path)
    for path in seen:
        after = parameters(settings, path)
        assert {each: after[each] for each in before if each != "maxiter"} == {
            each: before[each] for each in before if each != "maxiter"
        }
        assert set(after) - set(before) <= {"mixer", "eigensolver", "nbands"}


def test_steps_are_those_that_are_documented_in_their_order(tmp_path: Path) -> None:
    seen, _ = all_steps("espresso", "scf-not-converged", tmp_path, writes=True)
    assert [path["start"] for path in seen] == ["atoms"] * 3
    assert [path["mixing_beta"] for path in seen] == [0.5, 0.15, 0.05]
    assert steps_taken(tmp_path)[:2] == [
        "scf-not-converged: started afresh",
        "scf-not-converged: gentler mixing (mixing_beta 0.15, mixing_mode local-TF, mixing_ndim 12, "
        "electron_maxstep 200)",
    ]
    seen, _ = all_steps("espresso", "too-many-processes", tmp_path / "processes")
    assert [(path["pools"], path["processes"]) for path in seen] == [(1, 16), (1, 8), (1, 4), (1, 2), (1, 1)]
    seen, _ = all_steps("gpaw", "too-few-bands", tmp_path / "bands")
    assert [path["nbands"] for path in seen] == [13]  # the code says how many there are then, for the next step


def test_a_handler_that_changes_nothing_is_passed_over() -> None:
    idle = Handler("idle", ("gpaw",), ("error",), "", lambda path: {"mixer": None})
    busy = Handler("busy", ("gpaw",), ("error",), "", lambda path: {"nbands": 3})
    assert next_step((idle, busy), "error", BEGIN["gpaw"]) == (busy, {"nbands": 3})
    assert next_step((idle,), "error", BEGIN["gpaw"]) is None
    assert in_words("error", busy, {"nbands": 3, "start": "atoms"}) == "error: busy (nbands 3)"


# --- what is kept --------------------------------------------------------------------------------------------------


def test_an_interrupted_calculation_goes_on_with_the_same_step(tmp_path: Path) -> None:
    first = Mendings.of(tmp_path, espresso.HANDLERS, BEGIN["espresso"])
    for _ in range(2):
        first.mend(CalculationFailed("scf-not-converged", ""))
    again = Mendings.of(tmp_path, espresso.HANDLERS, BEGIN["espresso"])
    assert again.path == first.path
    assert again.path["mixing_beta"] == 0.15
    again.mend(CalculationFailed("scf-not-converged", ""))
    assert again.path["mixing_beta"] == 0.05


def test_what_helped_is_kept_for_the_next_geometry_and_what_was_for_once_is_not(tmp_path: Path) -> None:
    mendings = Mendings.of(tmp_path, espresso.HANDLERS, BEGIN["espresso"])
    tried: list[dict[str, Any]] = []

    def attempt() -> str:
        tried.append(mendings.path)
        if len(tried) < 3:
            raise CalculationFailed("scf-not-converged", "")
        return "an energy"

    assert mended(attempt, mendings, never) == "an energy"
    assert [path["start"] for path in tried] == ["density", "atoms", "atoms"]
    kept = Mendings.of(tmp_path, espresso.HANDLERS, BEGIN["espresso"])
    assert kept.path["mixing_beta"] == 0.15
    assert "start" not in kept.changes
    assert kept.open == 0


def test_a_failure_after_a_stop_was_asked_for_is_the_stops(tmp_path: Path) -> None:
    mendings = Mendings.of(tmp_path, espresso.HANDLERS, BEGIN["espresso"])
    asked: list[bool] = []

    def attempt() -> None:
        asked.append(True)
        raise CalculationFailed("incomplete-output", "pw.x was ended on the way")

    with pytest.raises(Stopped):
        mended(attempt, mendings, lambda: bool(asked))
    assert steps_taken(tmp_path) == []


def test_steps_that_repeat_are_counted(tmp_path: Path) -> None:
    for words in ("a: b", "c: d", "a: b"):
        note_step(tmp_path, words)
    assert steps_taken(tmp_path) == ["a: b, 2 times", "c: d"]
    forget_steps(tmp_path)
    assert steps_taken(tmp_path) == []


# --- command lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launch", "number"),
    [
        ((), 1),
        (("mpirun", "-n", "16"), 16),
        (("mpiexec", "-np", "4", "--bind-to", "core"), 4),
        (("srun", "--ntasks=32", "-c", "2"), 32),
        (("srun",), None),
    ],
)
def test_processes_of_a_launch(launch: tuple[str, ...], number: int | None) -> None:
    assert processes(launch) == number


def test_command_lines_with_fewer() -> None:
    assert with_number(("mpirun", "-n", "16", "--oversubscribe"), PROCESS_FLAGS, 8) == (
        "mpirun",
        "-n",
        "8",
        "--oversubscribe",
    )
    assert with_number(("srun", "--ntasks=32"), PROCESS_FLAGS, 8) == ("srun", "--ntasks=8")
    assert with_option(("pw.x", "-nk", "4"), POOL_FLAGS, 1) == ("pw.x", "-nk", "1")
    assert with_option(("pw.x", "-npool", "4"), POOL_FLAGS, 1) == ("pw.x", "-npool", "1")
    assert with_option(("pw.x",), ALGEBRA_FLAGS, 1) == ("pw.x", "-nd", "1")
