"""The two ways in which megabar tells a user that something is wrong on his side."""


class InputError(Exception):
    """Something the user gave is wrong: the message is one sentence that names it and says what would be right.

    The command prints the message and exits with code 2.
    """


class SetupError(InputError):
    """Something the machine should provide (a code, pseudopotentials, a database, a writable folder) is missing.

    The message says what is missing and how to get it; the command exits with code 2.
    """
