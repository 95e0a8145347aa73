"""How jobs are asked for: Slurm, PBS, Grid Engine and Fujitsu's PJM behind one interface.

FireWorks' CommonAdapter is not used, since it has neither arrays nor cancelling nor PJM, loses what the scheduler says
when it refuses a job, starts jobs in the user's login shell and waits five seconds after each submission.
"""
