"""How studies stand, what happened to them, what they cost."""
