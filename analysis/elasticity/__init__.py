"""Elastic constants under pressure: strains, fits, stability, moduli, sound."""
