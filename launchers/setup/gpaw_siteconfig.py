"""How GPAW is built where nothing else is said: read by GPAW's own set-up, which GPAW_CONFIG leads here.

Without MPI, also where an MPI compiler is installed: studies are parallel over calculations, and two side by side
are faster than one on two ranks. Without these lines a build that misses a library goes on without it, silently.
"""

mpi = False
compiler = "g++"
libraries = ["xc", "openblas", "fftw3"]
fftw = True
nolibxc = False
noblas = False
