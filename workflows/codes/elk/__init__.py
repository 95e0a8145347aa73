"""Elk, the all-electron judge."""
