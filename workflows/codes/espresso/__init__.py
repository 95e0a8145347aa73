"""Quantum ESPRESSO: pw.x and ph.x."""
