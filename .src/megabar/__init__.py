"""megabar: first-principles workflows for matter under pressure."""

__version__ = "0.1.0"
