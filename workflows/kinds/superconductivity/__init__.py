"""Tc of a structure under pressure: phonons and electron-phonon coupling q by q, α²F, and what follows from it."""
