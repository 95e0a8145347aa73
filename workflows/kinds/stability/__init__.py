"""Which phases of a system are stable under pressure: enthalpy curves, convex hulls, transitions."""
