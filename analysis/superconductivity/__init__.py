"""Superconductivity: from α²F(ω) of any code to the critical temperature."""
