"""Lattice dynamics of phases: displaced supercells at volumes of a ladder, and the force constants that they give."""
