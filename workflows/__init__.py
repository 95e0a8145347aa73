"""What is run: studies, calculations, DFT codes through ASE, the result store."""
