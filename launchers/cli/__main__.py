"""``python -m megabar.launchers.cli``: the megabar command, for jobs and where no script is installed."""

from megabar.launchers.entry import main

if __name__ == "__main__":
    main()
