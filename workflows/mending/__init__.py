"""Known failures of the DFT codes, mended by rule: only how an answer is reached is changed, never which one."""
