"""The Python interface: what `import megabar` offers, and what the commands that answer are made of."""
