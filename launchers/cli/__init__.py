"""The megabar command: what users type, and how answers are printed."""


def main() -> None:
    """Run the command: scripts that were installed by earlier versions call it here."""
    from megabar.launchers.entry import main as begin

    begin()
