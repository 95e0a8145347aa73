"""FireWorks: what of it workers and planners use."""
