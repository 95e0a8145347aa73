"""What `import megabar` offers: functions that work with the configured database, opened when it is needed.

Everything here raises `megabar.InputError` for a user's mistake and `megabar.SetupError`, which is one, where the
machine lacks something. Errors of ours are what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.api.session import default

if TYPE_CHECKING:
    from pandas import DataFrame
    from pymatgen.analysis.phase_diagram import PDEntry

    from megabar.launchers.api.listing import Listing
    from megabar.launchers.api.results import Results
    from megabar.launchers.api.spectra import SpectrumTc
    from megabar.launchers.api.study import Study
    from megabar.structures.phase import Phase
    from megabar.workflows.kinds.stability.view import HullView


def open(source: str | Path) -> Study:
    """Return a study: of a study file (``.yaml``), or the stored one of a name or an identifier.

    >>> study = megabar.open("cu.yaml")
    >>> study.kind, study.name
    ('stability', 'cu')
    >>> study.plan.calculations
    3
    >>> answer = study.run(workers=1)
    >>> answer.stable[["phase", "from_GPa", "to_GPa"]]
        phase  from_GPa  to_GPa
    0  Cu-fcc       0.0    40.0
    >>> study.state
    'complete'
    """
    return default().open(source)


def studies() -> DataFrame:
    """Return all studies, unfinished ones first, then the newest: how each stands, a row each.

    >>> megabar.studies()[["name", "state", "done"]].reset_index(drop=True)
      name     state  done
    0   cu  complete     3
    """
    return default().studies()


def results(
    query: Mapping[str, Any] | None = None,
    *,
    code: str | None = None,
    formula: str | None = None,
    system: str | None = None,
    state: str | None = None,
    functional: str | None = None,
    pressure: tuple[float, float] | None = None,
) -> Results:
    """Return the calculations that have ended and are as wanted, of all studies.

    formula: reduced or not, the order of its elements does not matter. system: made of some or all of its elements.
    state: ``done``, ``failed``, or ``left`` where a relaxation left its phase. pressure: lowest and highest (GPa).
    query: any query of MongoDB on the stored documents besides.

    >>> found = megabar.results(code="emt", formula="Cu", state="done", pressure=(-5, 50))
    >>> len(found), found[0].code
    (2, 'emt')
    >>> found[0].atoms.symbols
    Symbols('Cu')
    >>> list(found.frame().columns[:4])
    ['state', 'code', 'task', 'functional']
    """
    return default().results(
        query, code=code, formula=formula, system=system, state=state, functional=functional, pressure=pressure
    )


def phases(system: str | None = None) -> Listing[Phase]:
    """Return the known phases made of some or all elements of a system, by name; all where no system is given.

    >>> megabar.phases("Na-He")["Na2He"].atoms.get_chemical_formula()
    'HeNa2'
    """
    from megabar.launchers.api.phases import phases

    return phases(system)


def hull(*sources: str | Path | Study | Sequence[PDEntry]) -> HullView:
    """Return the hull of a table of enthalpies, of pymatgen's entries, or of studies computed in the same way.

    Energies of entries are enthalpies at ``data["pressure_GPa"]``, at 0 GPa where they have none.

    >>> answer = megabar.hull("nahe.csv")
    >>> answer.transitions[["pressure_GPa", "reaction"]].round(1)
       pressure_GPa         reaction
    0         121.7  2 Na + He → Na2He
    >>> answer.hull(at=100)["above_hull_eV_per_atom"].round(3).to_dict()
    {'Na-bcc': 0.0, 'He-hcp': 0.0, 'Na2He': 0.025}
    """
    return default().hull(*sources)


def tc(
    source: str | Path,
    *,
    mu_star: float = 0.10,
    mu_ref_meV: float | None = None,
    unit: str | None = None,
    smearing_Ry: float | None = None,
    masses: Mapping[str, float] | Sequence[str] = (),
    mu_star_error: float | None = None,
) -> SpectrumTc:
    """Return λ, ω_log and Tc from α²F of any code: a file, or a folder with the per-q files of ph.x.

    mu_star: the Coulomb pseudopotential, referred to mu_ref_meV (meV), by default to the highest frequency.
    unit: of the frequencies of plain columns, where no heading tells it. smearing_Ry: of the double delta where there
    are several, by default the flattest. masses: isotopes (u), ``{"H": 2.014}``, for per-q files. mu_star_error: its
    standard error, for that of Tc.

    >>> found = megabar.tc("al.a2f", mu_star=0.1)
    >>> f"λ = {found.lambda_:.2f}, Tc = {found.tc_K:.2f} K"
    'λ = 0.34, Tc = 0.49 K'
    """
    from megabar.launchers.api.spectra import tc

    return tc(
        source,
        mu_star=mu_star,
        mu_ref_meV=mu_ref_meV,
        unit=unit,
        smearing_Ry=smearing_Ry,
        masses=masses,
        mu_star_error=mu_star_error,
    )
