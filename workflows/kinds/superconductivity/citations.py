"""What the report of a study of superconductivity cites, on its page and as BibTeX."""

from __future__ import annotations

import re

from megabar.analysis.superconductivity.formulas import FORMULAS
from megabar.workflows.kinds.superconductivity.answer import TcAnswer
from megabar.workflows.kinds.superconductivity.drawings import published
from megabar.workflows.report.citations import CODES, FUNCTIONALS, Citation

METHODS = (
    Citation("Linear response", "S. Baroni et al., Rev. Mod. Phys. 73, 515 (2001)", "10.1103/RevModPhys.73.515"),
    Citation("Phonon linewidths", "P. B. Allen, Phys. Rev. B 6, 2577 (1972)", "10.1103/PhysRevB.6.2577"),
    Citation(
        "Interpolation of phonons", "P. Giannozzi et al., Phys. Rev. B 43, 7231 (1991)", "10.1103/PhysRevB.43.7231"
    ),
    Citation(
        "Path of the dispersion",
        "W. Setyawan and S. Curtarolo, Comput. Mater. Sci. 49, 299 (2010)",
        "10.1016/j.commatsci.2010.05.010",
    ),
    Citation(
        "Eliashberg equations",
        "P. B. Allen and B. Mitrović, Solid State Phys. 37, 1 (1982)",
        "10.1016/S0081-1947(08)60665-7",
    ),
    Citation(
        "μ* and its energy", "P. Morel and P. W. Anderson, Phys. Rev. 125, 1263 (1962)", "10.1103/PhysRev.125.1263"
    ),
    Citation(
        "Real axis",
        "F. Marsiglio, M. Schossmann and J. P. Carbotte, Phys. Rev. B 37, 4965 (1988)",
        "10.1103/PhysRevB.37.4965",
    ),
    Citation("Free energy", "J. Bardeen and M. Stephen, Phys. Rev. 136, A1485 (1964)", "10.1103/PhysRev.136.A1485"),
    Citation("δTc/δα²F", "G. Bergmann and D. Rainer, Z. Phys. 263, 59 (1973)", "10.1007/BF02351862"),
)
_DOI = re.compile(r",? doi:([^\s,;]+)")


def cited_by(answer: TcAnswer) -> list[Citation]:
    """Return what the page cites: code, functional, methods, formulas, the structure and published values."""
    plan = answer.plan
    points = [
        *published(plan.ladder.formula),
        *(published(plan.ladder.formula, plan.isotopes) if plan.isotopes else ()),
    ]
    sources = dict.fromkeys(each.source for each in points)
    return [
        *CODES.get(plan.method.code, ()),
        *_functional(plan.method.functional),
        *METHODS,
        *(Citation(each.name, each.source, each.doi) for each in FORMULAS),
        Citation(plan.ladder.phase, plan.ladder.source or "no source given", plan.ladder.doi),
        *(Citation("Published Tc", *_split(source)) for source in sources),
    ]


def _split(source: str) -> tuple[str, str]:
    """Return a source without its first DOI, and that DOI."""
    found = _DOI.search(source)
    return (source, "") if found is None else (_DOI.sub("", source, count=1), found[1])


def _functional(name: str) -> list[Citation]:
    return [FUNCTIONALS[name]] if name in FUNCTIONALS else []
