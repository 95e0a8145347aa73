"""What the report of a study of phonons cites."""

from __future__ import annotations

from megabar.workflows.kinds.phonons.answer import PhononAnswer
from megabar.workflows.report.citations import CODES, FUNCTIONALS, METHODS, Citation

LATTICE = (
    Citation(
        "phonopy",
        "A. Togo, L. Chaput, T. Tadano and I. Tanaka, J. Phys.: Condens. Matter 35, 353001 (2023)",
        "10.1088/1361-648X/acd831",
    ),
    Citation("phonopy", "A. Togo, J. Phys. Soc. Jpn. 92, 012001 (2023)", "10.7566/JPSJ.92.012001"),
    Citation(
        "Path of the dispersion", "Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017)",
        "10.1016/j.commatsci.2016.10.015",
    ),
)  # fmt: skip
RANDOM = Citation("symfc", "A. Seko and A. Togo, Phys. Rev. B 110, 214302 (2024)", "10.1103/PhysRevB.110.214302")
GRUNEISEN = Citation(
    "Grüneisen parameters", "A. Togo and I. Tanaka, Scr. Mater. 108, 1 (2015)", "10.1016/j.scriptamat.2015.07.021"
)
THERMAL = Citation(
    "Range of the quasi-harmonic approximation",
    "P. Carrier, R. Wentzcovitch and J. Tsuchiya, Phys. Rev. B 76, 064116 (2007)",
    "10.1103/PhysRevB.76.064116",
)


def cited_by(answer: PhononAnswer) -> list[Citation]:
    """Return what the page cites: code, functional, methods, the structures."""
    plan = answer.plan
    several = len({each.pressure_GPa for each in answer.crystals if each.constants is not None}) > 1
    found = [*CODES.get(plan.method.code, (Citation(plan.method.code, plan.method.code, ""),))]
    if not plan.toy:
        found += [FUNCTIONALS[part] for part in plan.method.functional.split("+") if part in FUNCTIONALS]
    found += LATTICE
    found += [RANDOM] if any(each.random for each in plan.supercells) else []
    found += [GRUNEISEN] if several else []
    found += [THERMAL] if any(each.gibbs is not None for each in answer.thermo) else []
    sources = [
        Citation(ladder.phase, ladder.source or "no source given", ladder.doi) for ladder in plan.volumes.ladders
    ]
    return [*found, *METHODS, *sources]
