"""DFT codes: one adapter each, all with the interface of ``megabar.workflows.codes.interface``."""
