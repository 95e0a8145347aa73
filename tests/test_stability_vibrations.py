"""Stability studies with zero-point motion and temperature, by the toy code and against closed forms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase import units
from playing import Played, Shelf, play
from test_phonons import with_forces

from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.spectrum import THZ, spectrum
from megabar.analysis.phonons.volumes import ModeSeries
from megabar.structures.errors import InputError
from megabar.workflows.config import Config
from megabar.workflows.kinds.registry import load_study, resolve
from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.kinds.stability.budget import not_included
from megabar.workflows.kinds.stability.hot import HotHull
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.stability.report import write_report
from megabar.workflows.kinds.stability.text import hull_text
from megabar.workflows.kinds.stability.view import view_of
from megabar.workflows.report.values import measured
from megabar.workflows.store import StudyRecord

STATIC = """\
kind: stability
system: Al
pressures: {from: 0, to: 60, step: 20}
phases: [Al-fcc, Al-hcp, Al-bcc]
method: {code: emt}
"""
HOT = STATIC + "zero_point: true\ntemperatures: [300, 310, 800]\nisotopes: {Al: 54}\n"


def planned(folder: Path, text: str) -> StabilityPlan:
    path = folder / "al.yaml"
    path.write_text(text, encoding="utf-8")
    plan = resolve(load_study(path), Config(data=folder / "data"))
    assert isinstance(plan, StabilityPlan)
    return plan


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("hot")
    return play("stability", planned(folder, HOT), folder)


@pytest.fixture(scope="module")
def found(played: Played) -> StabilityAnswer:
    answer = played.answer()
    assert isinstance(answer, StabilityAnswer)
    return answer


def copper_at(lattices: tuple[float, ...]) -> list[Harmonic]:
    from ase.build import bulk

    return [with_forces(bulk("Cu", a=a), 5.0) for a in lattices]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STATIC + "isotopes: {Al: 26}\n", "`isotopes` is for phonons"),
        (STATIC + "supercell: {length_A: 8}\n", "`supercell` is for phonons"),
        (HOT.replace("Al: 54", "H: 2.014"), "no H in Al-fcc"),
        (HOT + "supercell: {repeats: [2, 2, 2]}\n", "`supercell.repeats` is of one phase"),
        (STATIC + "temperatures: [-1]\n", "-1 K is not possible"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "al.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        load_study(path)


def test_a_static_study_is_the_same_as_before_there_were_vibrations(tmp_path: Path) -> None:
    plan = planned(tmp_path, STATIC)
    assert "vibrations" not in plan.to_dict()
    identifier = load_study(tmp_path / "al.yaml").identifier
    (tmp_path / "al.yaml").write_text(STATIC + "zero_point: false\ntemperatures: []\n", encoding="utf-8")
    assert load_study(tmp_path / "al.yaml").identifier == identifier
    hot = planned(tmp_path, HOT)
    assert load_study(tmp_path / "al.yaml").identifier != identifier
    again = StabilityPlan.from_dict(json.loads(json.dumps(hot.to_dict())))
    assert again.fingerprint == hot.fingerprint
    assert again.vibrations == hot.vibrations


def test_modes_between_volumes_are_those_computed_there() -> None:
    known = copper_at((3.4, 3.5, 3.6, 3.7))
    series = ModeSeries.of(known)
    [between] = copper_at((3.55,))
    exact = spectrum(between, series.spectra[0].points)
    volume = between.volume_A3_per_atom
    for temperature in (0.0, 500.0):
        off = series.free_energy_eV(volume, temperature) - exact.thermal([temperature]).free_energy_eV[0]
        assert abs(off) <= series.error_eV(volume, temperature)
        assert abs(off) < 1e-3
    # −∂F/∂V of a solid whose modes all have one Grüneisen parameter is γ U/V.
    two = ModeSeries(series.volumes_A3[:2], tuple(series.spectra[:2]))
    gamma = 2.0
    single = ModeSeries(series.volumes_A3[:1], series.spectra[:1])
    assert single.frequencies_THz(volume, gamma).max() == pytest.approx(
        single.spectra[0].frequencies_THz.max() * (single.volumes_A3[0] / volume) ** gamma, rel=1e-9
    )
    assert two.error_eV(volume, 300.0) > series.error_eV(volume, 300.0)


def test_the_pressure_of_vibrations_is_gruneisens() -> None:
    [crystal] = copper_at((3.6,))
    series = ModeSeries.of([crystal])
    volume = crystal.volume_A3_per_atom
    modes = series.spectra[0]
    zero_point = 0.5 * THZ * float((modes.weights[:, None] * np.maximum(modes.frequencies_THz, 0)).sum())
    expected = 1.5 * zero_point / volume / units.GPa
    assert series.pressure_GPa(volume, 0.0) == pytest.approx(expected, rel=2e-3)


@pytest.mark.slow
def test_only_what_can_matter_has_phonons_and_each_once(played: Played) -> None:
    forces = [rung for rung in played.rungs if rung["kind"] == "forces"]
    assert forces
    assert len({rung["key"] for rung in forces}) == len(forces)
    assert all(record.done for record in played.records.values())
    static = [rung for rung in played.rungs if rung["kind"] != "forces"]
    assert played.rungs[: len(static)] == static  # phonons come last, once the static hull stands


@pytest.mark.slow
def test_hulls_at_temperature_are_those_of_the_gibbs_energies(found: StabilityAnswer) -> None:
    assert [each.temperature_K for each in found.hot] == [0, 300, 310, 800] * 2
    assert [each.isotopes for each in found.hot] == [""] * 4 + ["Al=54"] * 4
    hot = found.hot[3]
    assert hot.stability is not None
    for transition in hot.stability.transitions:
        curves = {curve.phase: curve for curve in hot.curves}
        shares = transition.reaction.atom_fractions
        total = sum(share * float(curves[phase].enthalpy(transition.pressure_GPa)) for phase, share in shares.items())
        assert abs(total) < 1e-6
        assert "vibrations" in transition.error_parts_GPa
    # G of a phase: its static curve and the free energy at the volume that it has, to first order.
    curve = next(each for each in hot.curves if each.phase == "Al-fcc")
    rest = found.curve("Al-fcc")
    series = hot.vibrations["Al-fcc"].series
    assert rest is not None
    assert series is not None
    volume = float(rest.volume(30.0))
    first = float(rest.enthalpy(30.0)) + series.free_energy_eV(volume, 800.0)
    pushed = series.pressure_GPa(volume, 800.0) * units.GPa
    stiffness = -volume / float((rest.volume(31.0) - rest.volume(29.0)) / 2) * units.GPa
    assert float(curve.enthalpy(30.0)) == pytest.approx(first - pushed**2 * volume / (2 * stiffness), abs=2e-3)


@pytest.mark.slow
def test_slopes_are_those_between_temperatures(found: StabilityAnswer) -> None:
    by_temperature = {
        each.temperature_K: {line.reaction: line for line in each.lines()} for each in found.hot if not each.isotopes
    }
    shared = set(by_temperature[300.0]) & set(by_temperature[310.0])
    assert shared
    for reaction in shared:
        one, two = by_temperature[300.0][reaction], by_temperature[310.0][reaction]
        assert one.slope_GPa_K is not None
        assert two.slope_GPa_K is not None
        between = (two.pressure_GPa - one.pressure_GPa) / 10
        assert between == pytest.approx((one.slope_GPa_K + two.slope_GPa_K) / 2, rel=0.03)


@pytest.mark.slow
def test_heavy_atoms_move_less(found: StabilityAnswer) -> None:
    light, heavy = (
        next(each for each in found.hot if each.temperature_K == 0 and each.isotopes == isotopes)
        for isotopes in ("", "Al=54")
    )
    one, two = (each.vibrations["Al-fcc"].series for each in (light, heavy))
    assert one is not None
    assert two is not None
    ratio = two.free_energy_eV(14.0, 0.0) / one.free_energy_eV(14.0, 0.0)
    assert ratio == pytest.approx(np.sqrt(26.9815 / 54), rel=1e-3)


@pytest.mark.slow
def test_unstable_phases_take_no_silent_part(found: StabilityAnswer) -> None:
    hot = found.hot[0]
    # Stable only where it is stretched: between there and its unstable volumes its curve ends, and that is said.
    assert hot.partly["Al-bcc"].startswith("its vibrations are not known above -")
    curve = next(each for each in hot.curves if each.phase == "Al-bcc")
    assert curve.volumes_A3.min() > max(hot.vibrations["Al-bcc"].unstable_A3)
    document = found.json()
    row = next(each for each in document["vibrations"] if each["phase"] == "Al-bcc")
    assert row["imaginary"][0]["frequency_THz"] < -1
    text = hull_text(document)
    assert "With zero-point motion:" in text
    assert "At 300 K:" in text
    assert "Al-bcc is dynamically unstable" in text
    assert "Al-bcc: its vibrations are not known above" in text


def test_what_errors_leave_out_is_true_of_each_hull() -> None:
    assert not_included(None) == ["the functional", "zero-point motion", "temperature"]
    rest, warm = (HotHull(temperature, "", None, (), {}, {}) for temperature in (0.0, 300.0))
    assert rest.not_included == ["the functional", "anharmonicity"]
    assert warm.not_included == ["the functional", "anharmonicity", "the electrons' entropy"]


def test_the_terminal_tells_it_below_each_hull() -> None:
    row = {"reaction": "Na-bcc → Na-fcc", "pressure_GPa": 60.0, "error_GPa": 2.0, "phases": ["Na-bcc", "Na-fcc"]}
    common = {"isotopes": "natural", "absent": {}, "stable": [], "error_sources": {"vibrations": "of the supercell"}}
    hulls = [
        {**common, "temperature_K": 0.0, "transitions": [row], "error_not_included": ["anharmonicity"]},
        {**common, "temperature_K": 300.0, "transitions": [row], "error_not_included": ["the electrons' entropy"]},
    ]
    static = {"stable": [], "transitions": [row], "error_not_included": ["zero-point motion", "temperature"]}
    before, zero, warm = re.split("With zero-point motion:|At 300 K:", hull_text({**static, "with_vibrations": hulls}))
    assert "not included in ±: zero-point motion, temperature" in before
    assert "not included in ±: anharmonicity" in zero
    assert "not included in ±: the electrons' entropy" in warm
    assert "± vibrations: of the supercell" in warm
    assert "temperature" not in zero + warm


@pytest.mark.slow
def test_the_page_tells_the_hulls_at_temperature(played: Played, found: StabilityAnswer, tmp_path: Path) -> None:
    study = StudyRecord(
        identifier="al-1", name="al", kind="stability", definition={}, resolved={}, rungs=played.rungs,
        wanted=[rung["key"] for rung in played.rungs],
    )  # fmt: skip
    write_report(tmp_path, study, found, Shelf(played.records))  # type: ignore[arg-type]
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    part = text.partition('id="vibrations"')[2].partition("<h3>")[0]
    rows = re.findall(r"<tr><td class=\"n\">(\d+)</td><td>(natural|Al=54)</td>", part)
    counted = [
        (f"{each.temperature_K:g}", each.isotopes or "natural")
        for each in found.hot
        for _ in (each.stability.transitions if each.stability and each.stability.transitions else [None])
    ]
    assert rows == counted
    hottest = found.hot[3]
    assert hottest.stability is not None
    for transition, line in zip(hottest.stability.transitions, hottest.lines(), strict=True):
        assert measured(transition.pressure_GPa, transition.error_GPa) in part
        assert line.slope_GPa_K is not None
        assert measured(1000 * line.slope_GPa_K, None, 1) in part
    assert "partly: its vibrations are not known above" in part
    assert " i</td>" in part
    assert "The lattice is static: no zero-point motion" not in text
    assert '<a href="#vibrations">below</a>' in text
    assert (tmp_path / "figures" / "diagram.pdf").exists()


@pytest.mark.slow
def test_python_has_the_transitions_over_temperature(found: StabilityAnswer) -> None:
    view = view_of(found)
    frame = view.transitions_over_temperature
    hottest = frame[(frame["temperature_K"] == 800) & (frame["isotopes"] == "natural")]
    stability = found.hot[3].stability
    assert stability is not None
    assert list(hottest["pressure_GPa"]) == [each.pressure_GPa for each in stability.transitions]
    assert (hottest["error_vibrations_GPa"] > 0).all()
    assert set(frame["isotopes"]) == {"natural", "Al=54"}
    assert "transitions_over_temperature" in view.frames()
    assert {"diagram", "diagram-Al"} <= set(view.figure_names())
    assert len(view.figure("diagram-Al").axes) == 1


def test_one_imaginary_mode_that_was_computed_is_enough() -> None:
    from ase.build import bulk

    from megabar.workflows.parts.lattice.free_energy import Vibrations

    fcc = Vibrations(with_forces(bulk("Cu", a=3.6), 5.0))
    assert fcc.stable
    shaken = Vibrations(with_forces(bulk("Cu", "sc", a=2.4), 4.5))
    assert shaken.spectrum.imaginary > 0
    # A mesh that has next to none of its imaginary modes, as where they lie about one q alone.
    shaken.__dict__["spectrum"] = fcc.spectrum
    assert not shaken.stable
