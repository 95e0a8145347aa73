"""What numbers mean: equations of state, enthalpy curves, hulls, figures. Plain data in, plain data out."""
