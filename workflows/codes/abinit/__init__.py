"""ABINIT."""
