"""What the commands that answer do, apart from printing."""
