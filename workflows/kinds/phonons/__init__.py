"""Studies of lattice dynamics: force constants of phases at pressures, whether they are stable, and free energies."""
