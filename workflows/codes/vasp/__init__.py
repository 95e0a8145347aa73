"""VASP."""
