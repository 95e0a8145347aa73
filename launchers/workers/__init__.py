"""Who runs calculations: local workers, workers in jobs, and what keeps a queue fed."""
