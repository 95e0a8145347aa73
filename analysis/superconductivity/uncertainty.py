"""The error of Tc from the errors of what it is computed from: μ*, α²F, the smearing of the double delta."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, isfinite
from typing import Any

import numpy as np

from megabar.analysis.superconductivity.eliashberg.derivative import sensitivity, tc_error_K
from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
from megabar.analysis.superconductivity.eliashberg.linearised import critical, interaction_of
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.spectral import SpectralFunction
from megabar.structures.errors import InputError

MOST = 0.1
"""μ* is not known better or worse than so much."""


def check_mu_star_error(error: float | None) -> None:
    """Raise InputError for an error of μ* that makes no sense."""
    if error is not None and not (isfinite(error) and 0 <= error <= MOST):
        raise InputError(f"--mu-star-error is {error:g}; the standard error of μ* lies between 0 and {MOST:g}")


def tc_errors(
    reading: Reading, document: Mapping[str, Any], mu_star_error: float | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the parts of the error of the Eliashberg Tc (K) that can be told, their sum in squares, and what to know.

    document: of `tc_document`. mu_star_error: standard error of μ*, at the energy that μ* is referred to. From α²F: the
    standard errors in the file, by δTc/δα²F(ω), as if all were wrong in the same sense: an upper bound. From the
    smearing: half of the range of Tc over the smearings about the quoted one.
    """
    check_mu_star_error(mu_star_error)
    parts: dict[str, Any] = {}
    notes = []
    if mu_star_error is not None:
        parts["mu_star_error"] = mu_star_error
        if "dtc_dmu_star_K" in document:
            parts["tc_error_from_mu_star_K"] = abs(document["dtc_dmu_star_K"]) * mu_star_error
        else:
            notes.append("no error of Tc from that of μ*: there is no ∂Tc/∂μ* without a Tc")
    sigma = reading.spectrum.sigma
    if sigma is not None and document.get("tc_eliashberg_K", 0) > 0:
        mu_star, reference = document["mu_star"], document["mu_ref_meV"]
        parts["tc_error_from_alpha2f_K"] = error_from_alpha2f_K(reading.spectrum, mu_star, reference)
        notes.append("the error of Tc from that of α²F is for errors of one sign at all frequencies: an upper bound")
    if "tc_eliashberg_over_smearing_K" in document:
        low, high = document["tc_eliashberg_over_smearing_K"]
        parts["tc_error_from_smearing_K"] = (high - low) / 2
    found = [value for name, value in parts.items() if name.startswith("tc_error_from_")]
    if found:
        parts["tc_error_K"] = hypot(*found)
    return parts, notes


def error_from_alpha2f_K(spectrum: SpectralFunction, mu_star: float, mu_ref_meV: float) -> float:
    """Return the error of Tc (K) from the standard errors of α²F, all of one sign; 0 where there is no Tc."""
    interaction, modes = interaction_of(spectrum, mu_star, mu_ref_meV), modes_of(spectrum)
    state = critical(modes, interaction)
    if state is None or spectrum.sigma is None:
        return 0.0
    answer = sensitivity(modes, interaction, state)
    return tc_error_K(answer, spectrum.omega_meV, spectrum.weight_meV, np.abs(spectrum.sigma), 0.0)
