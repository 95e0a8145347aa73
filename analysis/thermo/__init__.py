"""Thermodynamics of a phase: F(V,T) to G(P,T) and what follows, phase boundaries, electrons at temperature."""
