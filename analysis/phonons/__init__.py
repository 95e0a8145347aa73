"""Lattice dynamics: force constants and what follows; frequencies in THz, imaginary ones as negative numbers."""
