"""The text of `megabar why`: one screen, failures first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from megabar.launchers.cli.numbers import core_time, counted, moment, spell
from megabar.launchers.seeing.explaining import Explanation, Story
from megabar.structures.names import visible
from megabar.workflows.attempts import Attempt

MOST_BLOCKS, MOST_LINES, MOST_NAMES, MOST_ATTEMPTS = 3, 8, 4, 6
ENDS = {
    "stopped": "stopped, to go on from there",
    "trouble": "given back: trouble with the machine",
    "crashed": "the task around it crashed",
    "lost": "its worker was heard of no more",
    "left": "left its phase",
}


def why_text(story: Story) -> str:
    """Return what happened to the calculations of a study or of a phase."""
    state, said = story.status.situations[story.study]
    count = Counter(each.state for each in story.calculations)
    count["done"] = story.done
    numbers = ", ".join(f"{number} {name}" for name, number in count.items() if number)
    lines = [
        f"{story.study}{f', {story.phase}' if story.phase else ''}: {state}{f' ({said})' if said else ''}; {numbers}"
    ]
    blocks = [each for each in story.calculations if each.state in ("failed", "lost", "running") or each.crash]
    causes = Counter(each.cause or "" for each in story.calculations if each.state == "failed")
    if causes.total() > MOST_BLOCKS:
        lines.append("failed: " + ", ".join(f"{cause} ({number})" for cause, number in causes.most_common()))
    for each in blocks[:MOST_BLOCKS]:
        lines += ["", *_block(each)]
    if len(blocks) > MOST_BLOCKS:
        lines += ["", *_one_line_each(blocks[MOST_BLOCKS:])]
    lines += _waiting([each for each in story.calculations if each.state == "waiting" and not each.crash])
    ended = [each for each in story.calculations if each.state in ("left", "done") and not each.crash]
    lines += ["", *_one_line_each(ended)] if ended else []
    lines += ["", *story.next] if story.next else []
    if not story.calculations and not story.next:
        lines.append("nothing has failed, and nothing waits")
    return visible("\n".join(lines))


def _place(each: Explanation) -> str:
    kind = "" if each.kind == "main" else f", {each.kind}"
    if each.volume_A3_per_atom is None:
        return f"{each.phase} {each.index}{kind}"
    return f"{each.phase} at {each.volume_A3_per_atom:.2f} Å³/atom{kind}"


def _block(each: Explanation) -> list[str]:
    """Return all that is known of one calculation."""
    facts: list[tuple[str, str]] = []
    if each.detail:
        facts.append(("", each.detail))
    if each.waits:
        facts.append(("", each.waits))
    shown = each.attempts[-MOST_ATTEMPTS:]
    for number, attempt in enumerate(shown, len(each.attempts) - len(shown) + 1):
        facts.append((f"attempt {number}", _attempt(attempt)))
    facts += [("mended" if number == 0 else "", step) for number, step in enumerate(each.mendings)]
    facts += [("crash", each.crash)] if each.crash else []
    facts += (
        [("so far", counted(each.ionic_steps, "ionic step"))] if each.ionic_steps and each.state != "failed" else []
    )
    facts += [("cost", _cost(each))] if each.core_s else []
    if each.output:
        facts.append(("output", f"{each.output.file} ends with"))
        facts += [("", f"  {line}") for line in each.output.lines]
    facts += [("files", each.files)] if each.files else []
    return [f"{_place(each)}: {_state(each)}", *(f"  {name:<10} {text}" for name, text in facts)]


def _state(each: Explanation) -> str:
    return f"{each.state}: {each.cause}" if each.cause else each.state


def _attempt(attempt: Attempt) -> str:
    job = f", job {attempt.job}" if attempt.job else ""
    cores = f", {attempt.cores} cores" if attempt.cores > 1 else ""
    end = ENDS.get(attempt.end, attempt.end)
    after = f" after {spell(attempt.wall_s)}" if attempt.wall_s is not None else ""
    return f"{moment(attempt.began)}  {attempt.host}{job}{cores}, worker {attempt.worker}: {end}{after}"


def _cost(each: Explanation) -> str:
    assert each.core_s is not None
    text = core_time(each.core_s)
    if each.estimate_s:
        text += f", {each.core_s / each.estimate_s:.2g} times the estimate of {core_time(each.estimate_s)}"
    return text


def _one_line_each(some: Sequence[Explanation]) -> list[str]:
    lines = []
    for each in some[:MOST_LINES]:
        facts = [_state(each)]
        facts += [each.detail] if each.detail else []
        facts += [counted(each.ionic_steps, "ionic step")] if each.ionic_steps else []
        facts += [f"{len(each.mendings)} times mended"] if each.mendings else []
        facts += [core_time(each.core_s)] if each.core_s else []
        lines.append(f"{_place(each)}: {'; '.join(facts)}")
    if len(some) > MOST_LINES:
        lines.append(f"… and {len(some) - MOST_LINES} more: name the phase, or --json")
    return lines


def _waiting(some: Sequence[Explanation]) -> list[str]:
    """Return what has not run and why, said once for all that wait for the same."""
    reasons: dict[str, list[Explanation]] = {}
    for each in some:
        reasons.setdefault(each.waits, []).append(each)
    lines = []
    for reason, waiting in reasons.items():
        places = Counter(each.phase for each in waiting)
        names = ", ".join(f"{phase} ({number})" for phase, number in places.most_common(MOST_NAMES))
        more = f" and {len(places) - MOST_NAMES} more phases" if len(places) > MOST_NAMES else ""
        lines += ["", f"{counted(len(waiting), 'calculation')} of {names}{more}: {reason}"]
    return lines
