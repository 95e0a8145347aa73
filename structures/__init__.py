"""What matter is made of: compositions, known phases and their sources, volumes, symmetry."""
