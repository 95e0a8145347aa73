"""The MongoDB that results lie in: the embedded one, a group's, and what is stored there."""
