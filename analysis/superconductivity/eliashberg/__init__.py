"""Isotropic Migdal–Eliashberg theory: from α²F(ω) and (μ*, ω_ref) to Tc, gap, thermodynamics and sensitivities.

Energies are in meV throughout, temperatures in K; `frequencies` says how Matsubara sums are compressed.
"""
