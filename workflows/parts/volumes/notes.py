"""What a user should know of the phases before anything runs."""

from __future__ import annotations

from megabar.structures.magnetism import spin_matters
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.parts.volumes.plan import VolumesPlan


def spin_notes(plan: VolumesPlan) -> list[str]:
    """Return a sentence for each reason why phases may be magnetic, and the library's own notes on these phases."""
    reasons: dict[str, list[Ladder]] = {}
    for ladder in plan.ladders:
        if why := spin_matters(set(ladder.structure.symbols)):
            reasons.setdefault(why, []).append(ladder)
    found = []
    for why, ladders in reasons.items():
        names = ", ".join(ladder.phase for ladder in ladders)
        found.append(f"not spin-polarised: {why}; energies of {names} are too high where it is")
        found += dict.fromkeys(f"{ladder.phase}: {ladder.note}" for ladder in ladders if ladder.note)
    return found
