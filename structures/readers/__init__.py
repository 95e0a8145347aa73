"""Structures read from files of others, checked against everything that a file says about itself."""
