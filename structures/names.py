"""Names that users give to studies and phases: what they may be made of, so that they are safe wherever they appear.

They stand in tables for spreadsheets, in terminals, in file names and pages. Letters, marks and digits of any language,
dashes, spaces between, and ``PUNCTUATION``; at first a letter, a digit or an opening bracket. Thus no control
characters (terminal escapes, line breaks, NUL), nothing that turns the direction of text or cannot be seen, and nothing
that a spreadsheet takes for a formula.
"""

from __future__ import annotations

import unicodedata

from megabar.structures.errors import InputError

PUNCTUATION = frozenset("._+()[]{}/,:;'′″~^*#%&=@!·°×−")
LONGEST = 120
_FIRST = "LN"
_WITHIN = "LMN"


def check_name(name: str, what: str) -> None:
    """Raise InputError that says what is wrong with a name. what: whose it is, for the message: "the phase"."""
    found = wrong_with(name)
    if found:
        raise InputError(f"{what} {shown(name)} cannot be named so: {found}")


def check_folder_name(name: str, what: str) -> None:
    """Raise InputError where a name is none, or would be a path: a study's report lies in a folder of its name."""
    check_name(name, what)
    if "/" in name:
        raise InputError(f"{what} {shown(name)} cannot be named so: it has a '/', and folders are named after it")


def wrong_with(name: str) -> str:
    """Return in words what is wrong with a name, nothing where it is one."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and may have {LONGEST}"
    if name != name.strip():
        return "it begins or ends with a space"
    for character in name:
        kind = unicodedata.category(character)
        if not (kind[0] in _WITHIN or kind == "Pd" or character in PUNCTUATION or character == " "):
            called = unicodedata.name(character, f"U+{ord(character):04X}").lower()
            return (
                f"it holds {character!a} ({called}); letters and digits of any language, spaces, dashes and "
                f"{' '.join(sorted(PUNCTUATION))} are possible"
            )
    if unicodedata.category(name[0])[0] not in _FIRST and name[0] not in "([":
        return f"it begins with {name[0]!r}, and must with a letter or a digit"
    return ""


def shown(name: str) -> str:
    """Return a name in quotes, with what cannot be printed written out; a long one is cut."""
    return ascii(name[:LONGEST]) if not name.isprintable() else repr(name[:LONGEST])


def visible(text: str) -> str:
    """Return a text whose control characters, but for tabs and line breaks, are written out (``\\x1b``)."""
    return "".join(
        each if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf", "Cs") else ascii(each)[1:-1]
        for each in text
    )
