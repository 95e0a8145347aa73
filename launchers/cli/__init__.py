"""The megabar command: what users type, and how answers are printed."""
