"""Pseudopotential files: read, found in a user's folder, or generated on the spot with ld1.x."""
