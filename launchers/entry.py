"""Where the `megabar` command begins: Ctrl-C is heard before the rest is imported."""

from __future__ import annotations

from megabar.launchers.cli.interrupts import listen


def main() -> None:
    """Run the command."""
    listen()
    from megabar.launchers.cli.command import main as command

    command()


if __name__ == "__main__":
    main()
