"""Where and when it runs: the megabar command, the embedded database, workers."""
