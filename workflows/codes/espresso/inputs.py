"""pw.x's input for settings of ours, and the pseudopotentials where it looks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.units import Ry

from megabar.workflows.codes.interface import AtomicData, CalculationFailed
from megabar.workflows.files import sha256_of

SMEARING = {
    "fermi-dirac": "fermi-dirac",
    "cold": "marzari-vanderbilt",
    "methfessel-paxton": "methfessel-paxton",
    "gaussian": "gaussian",
}
FUNCTIONAL_INPUT: dict[str, dict[str, Any]] = {
    "PBE+D3": {"vdw_corr": "dft-d3", "dftd3_version": 4, "dftd3_threebody": False},
}
STARTS: dict[str, dict[str, str]] = {
    "atoms": {"startingpot": "atomic"},
    "density": {"startingpot": "file"},
    # pw.x would otherwise go on with new wavefunctions, silently (PW/src/input.f90).
    "stopped": {"startingpot": "file", "startingwfc": "file"},
}
"""Input of the namelist ELECTRONS for each start (see ``espresso_restart``)."""
CONTROL_PATH = ("disk_io",)
SYSTEM_PATH = ("nbnd", "nosym")
ELECTRONS_PATH = (
    "electron_maxstep",
    "mixing_beta",
    "mixing_mode",
    "mixing_ndim",
    "diagonalization",
    "startingwfc",
)
PATH_KEYS = (*CONTROL_PATH, *SYSTEM_PATH, *ELECTRONS_PATH, "restart_mode", "startingpot")
"""Input keys that say how pw.x reaches the answer, not which one."""


def parameters(
    settings: Mapping[str, Any], data: Sequence[AtomicData], atoms: Atoms, path: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters of ASE's Espresso calculator (nested as pw.x wants them).

    path: path settings, ``start`` among them (see ``mending.espresso.DEFAULTS``).
    """
    constant = settings["constant_cutoff"]
    control = {
        "calculation": "scf",
        "restart_mode": "restart" if path["start"] == "stopped" else "from_scratch",
        "outdir": "./out",
        "prefix": "pwscf",
        "pseudo_dir": "./pseudo",
        **_chosen(path, CONTROL_PATH),
        "tstress": True,
        "tprnfor": True,
    }
    system: dict[str, Any] = {
        "ecutwfc": settings["cutoff_eV"] / Ry,
        "ecutrho": settings["density_cutoff_eV"] / Ry,
        "ecfixed": constant["from_eV"] / Ry,
        "q2sigma": constant["width_eV"] / Ry,
        "qcutz": constant["height_eV"] / Ry,
        "occupations": "smearing",
        "smearing": SMEARING[settings["smearing"]["kind"]],
        "degauss": settings["smearing"]["width_eV"] / Ry,
        **_chosen(path, SYSTEM_PATH),
        **FUNCTIONAL_INPUT.get(settings["functional"], {}),
    }
    electrons = {
        "conv_thr": settings["scf_energy_eV"] * len(atoms) / Ry,
        **_chosen(path, ELECTRONS_PATH),
        **STARTS[path["start"]],
    }
    return {
        "input_data": {"control": control, "system": system, "electrons": electrons},
        "pseudopotentials": {each.element: f"{each.element}.upf" for each in data},
        "kpts": tuple(settings["kpoints"]),
        "koffset": (0, 0, 0),
        "crystal_coordinates": True,
    }


def _chosen(path: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: path[name] for name in names if path.get(name) is not None}


def what_matters(path: Path) -> list[str]:
    """Return the lines of an input that determine the answer: not how the density is started and mixed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line for line in lines if (line.split() or [""])[0] not in PATH_KEYS]


def place_pseudopotentials(data: Sequence[AtomicData], folder: Path) -> None:
    """Link the pseudopotentials into a folder, as ``<element>.upf``; pw.x wants them all in one.

    Raises CalculationFailed where a file is gone or is no longer what it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for each in data:
        path, link = Path(each.path), folder / f"{each.element}.upf"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CalculationFailed("pseudopotential-missing", f"{path} ({error.strerror})") from None
        if sha256_of(content) != each.sha256:
            raise CalculationFailed(
                "pseudopotential-changed", f"{path} is not the file that the study was planned with"
            )
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(path.absolute())
        except OSError:
            link.write_bytes(content)
