"""A phase's ladder of volumes: what it asks for, how it stands, its structures and cost."""
