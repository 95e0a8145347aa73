"""Machines with a queue: how they are described, checked and tried out."""
