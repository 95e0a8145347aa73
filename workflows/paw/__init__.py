"""PAW data sets for GPAW whose spheres do not overlap under compression: recipes, generation, choice."""
