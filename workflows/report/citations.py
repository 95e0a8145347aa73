"""What a report cites: codes, functionals and methods, with their DOIs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """A source: what it is cited for, the citation, its DOI (empty where there is none)."""

    subject: str
    text: str
    doi: str


CODES: dict[str, tuple[Citation, ...]] = {
    "gpaw": (
        Citation("GPAW", "J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024)", "10.1063/5.0182685"),
        Citation("PAW method", "P. E. Blöchl, Phys. Rev. B 50, 17953 (1994)", "10.1103/PhysRevB.50.17953"),
    ),
    "espresso": (
        Citation(
            "Quantum ESPRESSO",
            "P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017)",
            "10.1088/1361-648X/aa8f79",
        ),
        Citation(
            "Quantum ESPRESSO",
            "P. Giannozzi et al., J. Phys.: Condens. Matter 21, 395502 (2009)",
            "10.1088/0953-8984/21/39/395502",
        ),
    ),
    "abinit": (
        Citation("ABINIT", "X. Gonze et al., Comput. Phys. Commun. 248, 107042 (2020)", "10.1016/j.cpc.2019.107042"),
    ),
    "vasp": (
        Citation("VASP", "G. Kresse and J. Furthmüller, Phys. Rev. B 54, 11169 (1996)", "10.1103/PhysRevB.54.11169"),
    ),
    "elk": (Citation("Elk", "The Elk code, all-electron full-potential LAPW, elk.sourceforge.io", ""),),
    "emt": (
        Citation(
            "EMT",
            "K. W. Jacobsen, P. Stoltze and J. K. Nørskov, Surf. Sci. 366, 394 (1996)",
            "10.1016/0039-6028(96)00816-3",
        ),
    ),
}
FUNCTIONALS: dict[str, Citation] = {
    "PBE": Citation(
        "PBE",
        "J. P. Perdew, K. Burke and M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996)",
        "10.1103/PhysRevLett.77.3865",
    ),
    "PBEsol": Citation(
        "PBEsol", "J. P. Perdew et al., Phys. Rev. Lett. 100, 136406 (2008)", "10.1103/PhysRevLett.100.136406"
    ),
    "RPBE": Citation(
        "RPBE", "B. Hammer, L. B. Hansen and J. K. Nørskov, Phys. Rev. B 59, 7413 (1999)", "10.1103/PhysRevB.59.7413"
    ),
    "LDA": Citation("LDA", "J. P. Perdew and Y. Wang, Phys. Rev. B 45, 13244 (1992)", "10.1103/PhysRevB.45.13244"),
    "D3": Citation("D3 dispersion", "S. Grimme et al., J. Chem. Phys. 132, 154104 (2010)", "10.1063/1.3382344"),
    "D4": Citation("D4 dispersion", "E. Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019)", "10.1063/1.5090222"),
}
METHODS = (
    Citation(
        "Pulay stress",
        "G. P. Francis and M. C. Payne, J. Phys.: Condens. Matter 2, 4395 (1990)",
        "10.1088/0953-8984/2/19/007",
    ),
    Citation(
        "Vinet equation of state",
        "P. Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989)",
        "10.1088/0953-8984/1/11/002",
    ),
    Citation("ASE", "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)", "10.1088/1361-648X/aa680e"),
    Citation(
        "spglib", "A. Togo, K. Shinohara and I. Tanaka, Sci. Technol. Adv. Mater.: Methods 4, 2384822 (2024)",
        "10.1080/27660400.2024.2384822",
    ),
    Citation("FireWorks", "A. Jain et al., Concurrency Computat.: Pract. Exper. 27, 5037 (2015)", "10.1002/cpe.3505"),
)  # fmt: skip


def bibtex(cited: Sequence[Citation]) -> str:
    """Return the citations that have a DOI as BibTeX, for tools that fetch the rest by DOI."""
    entries = {each.doi: each for each in cited if each.doi}
    return "\n".join(
        f"@misc{{{re.sub('[^A-Za-z0-9]+', '-', doi)},\n"
        f"  note = {{{each.subject}: {each.text}}},\n  doi = {{{doi}}}\n}}\n"
        for doi, each in entries.items()
    )
