"""From a bare machine to the command, and what is installed there."""
