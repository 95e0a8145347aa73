"""``elph_dir/elph.inp_lambda.N`` of ph.x: frequencies, λ_qν and linewidths of one q-point at every smearing.

Format (elphon.f90, elphsum): q (Cartesian, 2π/a), number of smearings and of modes; ω² (Ry²); then for each smearing
σ (Ry), N(E_F) (states per spin, Ry and cell), E_F (eV), and for each mode λ and γ (GHz), with λ = γ/(π N(E_F) ω²).

``dynN.elph.N`` is the same, of ``electron_phonon='simple'``; of tetrahedra (``lambda_tetra``, elph_tetra_mod.f90) it
has no number of smearings and ``Tetrahedron method`` in the place of the one broadening, which here is 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.readers.text import NUMBER, read_text
from megabar.analysis.superconductivity.units import MEV_PER_RY, MEV_PER_THZ
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
GHZ_PER_RY = 1e3 * MEV_PER_RY / MEV_PER_THZ
NAME = re.compile(r"(?:^elph\.inp_lambda|\.elph)\.(\d+)$")
_SMEARING = re.compile(r"Gaussian Broadening:\s*(\S+) Ry|(Tetrahedron method)")
_DENSITY = re.compile(r"DOS =\s*(\S+) states/spin/Ry/Unit Cell at Ef=\s*(\S+) eV")
_MODE = re.compile(rf"lambda\(\s*\d+\)=\s*({NUMBER}|\*+)\s+gamma=\s*({NUMBER}|\*+) GHz")
_ROUNDING_LAMBDA, _ROUNDING_GAMMA, _ROUNDING_SQUARE = 6e-5, 6e-3, 2e-6
_TINY_DOS = 1e-4
"""N(E_F) per spin, Ry and cell below which there is no Fermi surface to speak of."""
_NO_LAMBDA = 20 / 109737.3
"""ph.x writes λ = 0 for modes below 20 cm⁻¹ (epsw in elphon.f90); in Ry."""


@dataclass(frozen=True, eq=False)
class CouplingAtQ:
    """What a file elph.inp_lambda.N holds.

    squares_Ry2: ω², negative where imaginary, shape (modes,). smearings_Ry, dos_per_Ry (per spin and cell), fermi_eV:
    shape (smearings,). lambda_ (negative where ω² is), gamma_GHz: shape (smearings, modes).
    """

    path: str
    q: tuple[float, float, float]
    squares_Ry2: Array
    smearings_Ry: Array
    dos_per_Ry: Array
    fermi_eV: Array
    lambda_: Array
    gamma_GHz: Array

    @property
    def omega_meV(self) -> Array:
        """Frequencies (meV), negative where imaginary, shape (modes,)."""
        frequency: Array = np.sign(self.squares_Ry2) * np.sqrt(np.abs(self.squares_Ry2)) * MEV_PER_RY
        return frequency


def read_coupling(path: Path) -> CouplingAtQ:
    """Read elph.inp_lambda.N; λ is held against γ/(π N(E_F) ω²) of the same file.

    Raises InputError for an incomplete file, a λ that disagrees, a number too large for its field, no states at E_F.
    """
    text = read_text(path)
    try:
        smearings = np.array([0.0 if tetrahedra else float(sigma) for sigma, tetrahedra in _SMEARING.findall(text)])
        words = text[: _begin(text)].split()
        q = (float(words[0]), float(words[1]), float(words[2]))
        many = 4 if smearings[0] == 0 else 5  # numbers before ω²
        count, modes = (int(words[3]) if many == 5 else 1), int(words[many - 1])
        smearings = smearings.reshape(count)
        squares = np.array([float(word) for word in words[many : many + modes]])
        table = _MODE.findall(text)
        if any("*" in value for pair in table for value in pair):
            raise InputError(f"{path}: a λ or γ is too large for its field (****): a soft mode; see the output of ph.x")
        both = np.array(table, float).reshape(count, modes, 2)
        densities = np.array(_DENSITY.findall(text), float).reshape(count, 2)
    except (ValueError, IndexError):
        raise InputError(f"{path}: not a whole elph.inp_lambda file of ph.x; was ph.x interrupted?") from None
    if squares.shape != (modes,):
        raise InputError(f"{path}: {modes} modes, but {len(squares)} frequencies: the file is damaged")
    found = CouplingAtQ(str(path), q, squares, smearings, densities[:, 0], densities[:, 1], both[..., 0], both[..., 1])
    _check(found)
    return found


def _begin(text: str) -> int:
    """Return where the first smearing begins; ValueError where there is none."""
    match = _SMEARING.search(text)
    if match is None:
        raise ValueError
    return match.start()


def _check(found: CouplingAtQ) -> None:
    for smearing, dos in zip(found.smearings_Ry, found.dos_per_Ry, strict=True):
        if not dos > _TINY_DOS:
            raise InputError(
                f"{found.path}: N(E_F) is {dos:g} states/spin/Ry at the smearing {smearing:g} Ry: no states at the "
                "Fermi level; an insulator has no α²F and no Tc"
            )
    squares, dos = found.squares_Ry2, found.dos_per_Ry[:, None]
    known = np.sqrt(np.abs(squares)) > _NO_LAMBDA
    safe = np.where(known, squares, 1.0)
    per_GHz = 1 / (GHZ_PER_RY * np.pi * dos * safe)
    of_gamma = np.where(known, found.gamma_GHz * per_GHz, 0.0)
    allowed = _ROUNDING_LAMBDA + _ROUNDING_GAMMA * np.abs(per_GHz) + _ROUNDING_SQUARE * np.abs(of_gamma)
    wrong = np.argwhere(known & (np.abs(of_gamma - found.lambda_) > allowed))
    if wrong.size:
        sigma, mode = wrong[0]
        raise InputError(
            f"{found.path}: λ of mode {mode + 1} at {found.smearings_Ry[sigma]:g} Ry is {found.lambda_[sigma, mode]:g}"
            f", but γ/(πNω²) is {of_gamma[sigma, mode]:.4f}: the file is of two runs, or changed by hand"
        )
