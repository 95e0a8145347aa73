"""Following imaginary modes: the structures that they lead to, relaxed, and what is gained by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.mode_cells import FOLLOWED
from megabar.workflows.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from megabar.analysis.phonons.imaginary import ImaginaryMode
    from megabar.workflows.kinds.phonons.crystals import CrystalAt
    from megabar.workflows.kinds.phonons.plan import PhononPlan
    from megabar.workflows.kinds.phonons.wants import Records, Rungs
    from megabar.workflows.tasks.interface import Histories

AMPLITUDE_A = 0.15
"""How far the atom that moves most is moved (Å): beyond what symmetry finding forgives, and within most wells."""
MOST_MODES, MOST_ATOMS = 2, 200


@dataclass(frozen=True)
class Followed:
    """A structure that an imaginary mode leads to at a pressure (GPa) of its parent.

    gain_eV_per_atom: how far it lies below the parent at the same volume, None where that is not known; missing says
    why. space_group: what it has become.
    """

    phase: str
    pressure_GPa: float
    q: tuple[float, float, float]
    frequency_THz: float
    structure: Structure | None
    space_group: str
    gain_eV_per_atom: float | None
    missing: str

    @property
    def name(self) -> str:
        """What its file is called."""
        where = "_".join(f"{value:.3g}" for value in self.q).replace("-", "m")
        return f"{self.phase}-{self.pressure_GPa:g}GPa-q{where}"

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        content: dict[str, Any] = {
            "phase": self.phase,
            "pressure_GPa": self.pressure_GPa,
            "q": list(self.q),
            "frequency_THz": self.frequency_THz,
        }
        if self.structure is None:
            return {**content, "missing": self.missing}
        return {
            **content,
            "space_group": self.space_group,
            "atoms": len(self.structure.symbols),
            "gain_eV_per_atom": self.gain_eV_per_atom,
        }


def cells_of_modes(each: CrystalAt) -> list[tuple[ImaginaryMode, tuple[Atoms, ...], str]]:
    """Return the imaginary modes of a crystal that are followed, each with its cells, or none and why.

    The lowest ones at the supercell's own q; of degenerate ones the first, as the others lead to structures of the same
    kind.
    """
    from megabar.analysis.phonons.imaginary import imaginary_modes
    from megabar.analysis.phonons.modulation import modulated

    if each.constants is None or not each.asked:
        return []
    modes = [m for m in imaginary_modes(each.crystal, each.constants.vibrations.spectrum) if m.commensurate]
    chosen = {round(mode.frequency_THz, 3): mode for mode in reversed(modes)}
    found: list[tuple[ImaginaryMode, tuple[Atoms, ...], str]] = []
    for mode in sorted(chosen.values(), key=lambda mode: mode.frequency_THz)[:MOST_MODES]:
        try:
            cells = modulated(each.crystal, mode, AMPLITUDE_A)
        except InputError as error:
            found.append((mode, (), str(error)))
            continue
        atoms = len(cells[0])
        large = f"its cell has {atoms} atoms, more than {MOST_ATOMS}"
        found.append((mode, cells, "") if atoms <= MOST_ATOMS else (mode, (), large))
    return found


def not_followed(crystals: Sequence[CrystalAt]) -> list[Followed]:
    """Return the imaginary modes that no cell is made for, with why."""
    return [
        Followed(each.phase, each.pressure_GPa, mode.q, mode.frequency_THz, None, "", None, f"not followed: {why}")
        for each in crystals
        for mode, _, why in cells_of_modes(each)
        if why
    ]


def followed_wanted(plan: PhononPlan, crystals: list[CrystalAt], rungs: Rungs) -> list[dict[str, Any]]:
    """Return the cells of imaginary modes that were not asked for yet, at the pressures asked for."""
    asked = {(rung["phase"], int(rung["index"])) for rung in rungs if rung.get("kind") == FOLLOWED}
    found: list[dict[str, Any]] = []
    for each in crystals:
        for place, (mode, cells, _) in enumerate(cells_of_modes(each), 1):
            name = f"{plan.place(each.phase, each.pressure_GPa)}, mode {place}"
            for number, atoms in enumerate(cells):
                if (name, number) in asked:
                    continue
                rung: dict[str, Any] = {
                    "phase": name,
                    "index": str(number),
                    "starts": [],
                    "purpose": "imaginary mode",
                    "kind": FOLLOWED,
                    "crystal": each.phase,
                    "pressure_GPa": each.pressure_GPa,
                    "structure": Structure.of(atoms).to_dict(),
                    "q": list(mode.q),
                    "frequency_THz": mode.frequency_THz,
                }
                found.append({**rung, "key": plan.calculation(rung).key})
    return found


def refined(plan: PhononPlan, rungs: Rungs, records: Records, histories: Histories) -> list[dict[str, Any]]:
    """Return the structures that imaginary modes lead to, where the study asks for them."""
    from megabar.workflows.kinds.phonons.crystals import crystals_of

    if not plan.follow:
        return []
    found: list[dict[str, Any]] = []
    for ladder in plan.volumes.ladders:
        crystals = crystals_of(plan, ladder.phase, ladder.formula, rungs, records, histories)
        found += followed_wanted(plan, crystals, rungs)
    return found


def followed_of(rungs: Rungs, records: Records) -> list[Followed]:
    """Return the structures that imaginary modes have led to, as far as they are there."""
    own = [rung for rung in rungs if rung.get("kind") == FOLLOWED]
    at_rest = {rung["phase"]: records.get(rung["key"]) for rung in own if int(rung["index"]) == 0}
    found = []
    for rung in own:
        if int(rung["index"]) == 0:
            continue
        record, rest = records.get(rung["key"]), at_rest.get(rung["phase"])
        done = record is not None and record.done and record.structure is not None
        gain = None
        if done and record is not None and rest is not None and rest.done:
            gain = (rest.energy_eV_per_atom or 0.0) - (record.energy_eV_per_atom or 0.0)
        missing = "not computed yet" if record is None else record.detail or record.cause or record.state
        x, y, z = rung["q"]
        found.append(
            Followed(
                phase=rung["crystal"],
                pressure_GPa=rung["pressure_GPa"],
                q=(x, y, z),
                frequency_THz=rung["frequency_THz"],
                structure=Structure.from_dict(record.structure) if done and record and record.structure else None,
                space_group=record.space_group or "" if done and record else "",
                gain_eV_per_atom=gain,
                missing="" if done else missing,
            )
        )
    return found


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Return lines for the terminal."""
    lines = []
    for row in rows:
        where = ", ".join(f"{value:.3g}" for value in row["q"])
        head = f"  {row['phase']} {row['pressure_GPa']:g} GPa, {-row['frequency_THz']:.2f}i THz at ({where})"
        if "missing" in row:
            lines.append(f"{head}: {row['missing']}")
            continue
        gain = row["gain_eV_per_atom"]
        said = "" if gain is None else f", {1000 * gain:.1f} meV/atom lower"
        lines.append(f"{head} → {row['space_group']}, {row['atoms']} atoms{said}")
    return lines
