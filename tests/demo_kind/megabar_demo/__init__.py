"""A kind of study as another package offers it: forces of supercells, a chain of dynamics, and what follows from it.

Where the dynamics end, the last structure is computed once more: a result makes other calculations wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ase.build import bulk

from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.cost import StudyEstimate
from megabar.workflows.hashing import digest
from megabar.workflows.kinds.interface import Kind, Rung
from megabar.workflows.parts.force_sets import ForceSet, RandomDirections, collect, force_set_state, forces_wanted
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung, rungs_of
from megabar.workflows.parts.stretches import Chain, chain_state, stretch_wanted
from megabar.workflows.question import MethodChoice, Study, StudyFile
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.single_point import SinglePoint
from megabar.workflows.tasks.stretch import Stretch
from megabar.workflows.yaml_input import validated


class Demonstration(Study):
    """How many supercells of copper, and how many stretches."""

    kind: Literal["demonstration"]
    method: MethodChoice
    supercells: int
    stretches: int


@dataclass(frozen=True)
class DemoPlan:
    """The plan: a method, settings, and how many of each."""

    method: Method
    settings: Mapping[str, Any]
    supercells: int
    stretches: int
    toy: bool = True
    pressures_GPa: tuple[float, ...] = ()

    @property
    def cell(self) -> Structure:
        return Structure.of(bulk("Cu", cubic=True, a=3.62) * (2, 2, 2))

    @property
    def forces(self) -> ForceSet:
        return ForceSet("Cu", self.cell, RandomDirections(self.supercells, 0.03, 1), self.method, self.settings)

    @property
    def chain(self) -> Chain:
        return Chain("Cu", self.cell, Stretch(10, 2.0, 300.0, 1, every=5), self.stretches, self.method, self.settings)

    def last(self, before: str) -> Calculation:
        return Calculation("emt", self.method.version, self.settings, self.cell, self.method.data, SinglePoint(True),
                           inputs_of(SinglePoint(), [before]))  # fmt: skip

    def calculation(self, rung: Rung) -> Calculation:
        before = rung["starts"][0] if rung["starts"] else None
        if rung["kind"] == "forces":
            return self.forces.calculation(int(rung["index"]))
        return self.chain.calculation(int(rung["index"]), before) if rung["kind"] == "stretch" else self.last(before)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    published = to_dict

    @property
    def fingerprint(self) -> str:
        return digest(self.to_dict())


@dataclass(frozen=True)
class DemoAnswer:
    """What was found."""

    content: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return self.content


def read(content: Mapping[str, Any]) -> DemoPlan:
    return DemoPlan(**{**content, "method": Method.from_dict(content["method"]), "pressures_GPa": ()})


def question(path: Path, content: Any) -> StudyFile[Demonstration]:
    return StudyFile(path, validated(Demonstration, content, path), ())


def resolve(file: StudyFile[Demonstration], config: Any) -> DemoPlan:
    emt, asked = code("emt"), file.study
    data = tuple(emt.atomic_data(["Cu"], "EMT", "fast", {}, config))
    settings = emt.settings(Request(bulk("Cu"), "fast", "EMT", False, data))
    method = Method("emt", emt.installation(config).version, "fast", "EMT", data)
    return DemoPlan(method, settings, asked.supercells, asked.stretches)


def wants(plan: DemoPlan, rungs: Any, records: Any) -> list[dict[str, Any]]:
    chain = chain_state(plan.chain, rungs, records)
    found = forces_wanted(force_set_state(plan.forces, rungs, records)) + stretch_wanted(chain)
    if chain.done == plan.stretches and not rungs_of(rungs, "Cu", "last"):
        before = chain.keys[chain.done]
        found.append(NumberedRung("Cu", 1, plan.last(before).key, "last", "what the dynamics ended with", (before,)))
    return [rung.to_dict() for rung in found]


def answer(plan: DemoPlan, rungs: Any, records: Any, histories: Any) -> DemoAnswer:
    found = collect(force_set_state(plan.forces, rungs, records), histories)
    stretches = list(chain_state(plan.chain, rungs, records).results(histories))
    last = [records[key].energy_eV_per_atom for key in rungs_of(rungs, "Cu", "last").values() if key in records]
    square = float((found.forces_eV_A * found.displacements_A).sum() / (found.displacements_A**2).sum())
    return DemoAnswer({"supercells": len(found.numbers), "spring_eV_A2": -square, "stretches": len(stretches),
                       "steps": sum(len(each.energy_eV) for each in stretches), "last_eV_per_atom": last})  # fmt: skip


def estimate(name: str, plan: DemoPlan, store: Any) -> StudyEstimate:
    method = plan.method
    return StudyEstimate(name, "emt", method.version, "fast", "EMT", (), plan.supercells + plan.stretches + 1, 1.0)


DEMONSTRATION = Kind("demonstration", "report", ("forces", "stretch", "last"), question, resolve, read, wants, answer,
                     estimate)  # fmt: skip
