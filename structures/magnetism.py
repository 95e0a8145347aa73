"""Matter whose energy depends on the spins of its electrons, which nothing here polarises yet."""

from __future__ import annotations

from collections.abc import Collection

MAGNETIC_ELEMENTS = frozenset(
    {"Cr", "Mn", "Fe", "Co", "Ni", "U", "Np", "Pu", "Am", "Cm"}
    | {"Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"}
)
"""Elements whose solids are magnetic, or whose compounds are whatever the partner."""
MAGNETIC_IN_COMPOUNDS = frozenset({"Ti", "V", "Cu", "Mo", "Ru", "Os", "Ir"})
"""Open d shells that carry moments in oxides, halides and other compounds of non-metals, if not in the element."""
NON_METALS = frozenset({"H", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"})


def spin_matters(elements: Collection[str]) -> str:
    """Return why a phase of these elements may be magnetic, empty where nothing speaks for it.

    Moments vanish under enough pressure (iron's above about 15 GPa in the hcp phase, those of oxides at 50 to 200 GPa):
    a warning, not a verdict.
    """
    present = set(elements)
    if present == {"O"}:
        return "the O2 molecule is a triplet: without spin solid oxygen is about 0.5 eV/atom too high at low pressure"
    magnetic = sorted(present & MAGNETIC_ELEMENTS)
    if magnetic:
        return f"{', '.join(magnetic)} may be magnetic"
    in_compound = sorted(present & MAGNETIC_IN_COMPOUNDS)
    if in_compound and present & NON_METALS:
        return f"{', '.join(in_compound)} may be magnetic in this compound"
    return ""
