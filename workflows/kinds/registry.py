"""All kinds of studies. A new one is a folder here and a line below, or a package of somebody else's.

Other packages offer kinds by entry points of the group ``megabar.kinds``: ``name = "package.module:KIND"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from megabar.structures.errors import InputError
from megabar.structures.names import check_folder_name
from megabar.workflows.kinds.interface import Answer, Kind, Plan, read_plan
from megabar.workflows.kinds.names import GROUP
from megabar.workflows.kinds.phonons.kind import PHONONS
from megabar.workflows.kinds.stability.kind import STABILITY
from megabar.workflows.kinds.superconductivity.kind import SUPERCONDUCTIVITY
from megabar.workflows.store import NotOurs, ResultStore, StudyRecord
from megabar.workflows.yaml_input import nearest, read_yaml

if TYPE_CHECKING:
    from typing import Any

    from megabar.workflows.config import Config
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.question import StudyFile

KINDS: Mapping[str, Kind] = {
    each.name: each
    for each in (
        STABILITY,
        SUPERCONDUCTIVITY,
        PHONONS,
    )
}


@cache
def _of_others() -> tuple[Mapping[str, Kind], Mapping[str, str]]:
    """Return the kinds that other packages offer, and why those that cannot be loaded cannot, by name."""
    from importlib.metadata import entry_points

    found: dict[str, Kind] = {}
    broken: dict[str, str] = {}
    for each in entry_points(group=GROUP):
        if each.name in KINDS:
            continue  # none of ours is replaced
        try:
            found[each.name] = each.load()
        except Exception as error:
            broken[each.name] = f"{each.value}: {type(error).__name__}: {error}"
    return found, broken


def kinds_of_others() -> Mapping[str, Kind]:
    """Return the kinds that other installed packages offer, by name."""
    return _of_others()[0]


def kind_of(name: str) -> Kind:
    """Return the kind with a name; raises NotOurs where neither this version nor another package here has it."""
    # Looking for other packages takes time that the usual studies need not spend.
    found = KINDS.get(name) or kinds_of_others().get(name)
    broken = {} if found else _of_others()[1]
    if name in broken:
        raise NotOurs(f"a study of the kind {name!r}, whose package cannot be loaded ({broken[name]})")
    if found is None:
        raise NotOurs(f"a study of the kind {name!r}; this version knows {', '.join([*KINDS, *kinds_of_others()])}")
    return found


def load_study(path: Path) -> StudyFile[Any]:
    """Return the study in a YAML file with its phases.

    Raises InputError naming the file, the line and the key of a mistake.
    """
    content = read_yaml(path)
    try:
        check_folder_name(path.stem, "a study has the name of its file, and")
    except InputError as error:
        raise InputError(f"{path}: {error}: rename the file") from None
    kind = content.get("kind")
    if kind not in KINDS and kind not in kinds_of_others() and kind not in _of_others()[1]:
        known = [*KINDS, *kinds_of_others()]
        found = "is missing" if kind is None else f"is {kind!r}{nearest(str(kind), known)}"
        raise InputError(
            f"{path}, line {1 if kind is None else content.lc.key('kind')[0] + 1}: the key `kind` {found}; "
            f"this version knows the kinds {', '.join(f'`{each}`' for each in known)}"
        )
    return kind_of(kind).question(path, content)


def resolve(file: StudyFile[Any], config: Config) -> Plan:
    """Return the plan of a study file of any kind on this machine."""
    return kind_of(file.study.kind).resolve(file, config)


def plan_of(study: StudyRecord) -> Plan:
    """Return the plan of a stored study; raises NotOurs where it has what this version does not know."""
    kind = kind_of(study.kind)
    return read_plan(study, kind.rungs, kind.read)


def answer_of(study: StudyRecord, store: ResultStore) -> Answer:
    """Return the answer of a stored study from the results that are there."""
    return kind_of(study.kind).answer(plan_of(study), study.rungs, store.summaries(study.wanted), store.history)


def estimate(file: StudyFile[Any], plan: Plan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost; calculations in the store cost nothing."""
    return kind_of(file.study.kind).estimate(file.name, plan, store)


def write_report(folder: Path, study: StudyRecord, answer: Answer, store: ResultStore) -> None:
    """Write the report of a study to a folder: one self-contained page, figures and tables."""
    kind_of(study.kind).report(folder, study, answer, store)
