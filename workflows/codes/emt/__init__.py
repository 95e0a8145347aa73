"""EMT, a toy."""
