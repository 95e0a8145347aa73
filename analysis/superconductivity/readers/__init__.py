"""Readers of α²F(ω) and λ, one module a code."""
