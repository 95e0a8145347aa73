"""Output that every terminal takes: where its encoding lacks a character, a plain form stands for it.

Standard library only: it serves the bootstrap too.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

ERRORS = "megabar-plain"
PLAIN = {
    **dict.fromkeys("–−‐‑", "-"),
    "—": "--",
    "…": "...",
    "→": "->",
    "←": "<-",
    "±": "+-",
    "×": "x",
    "·": "*",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "∞": "inf",
    "√": "sqrt",
    "█": "#",
    "░": ".",
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”„", '"'),
    "°": " deg",
    "µ": "mu",
    "\N{COMBINING MACRON}": "bar",
}
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"


def take_everything() -> None:
    """Have standard output and error take every text, whatever their encoding."""
    codecs.register_error(ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def plain(text: str, start: int = 0, end: int | None = None) -> str:
    """Return a text, or its part from start to end, in ASCII and readable: 10⁻³ → λ becomes 10^-3 -> lambda."""
    places = range(start, len(text) if end is None else end)
    return "".join(_plain(text[place], text[max(0, place - 1) : place]) for place in places)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object, error.start, error.end), error.end


def _plain(character: str, before: str) -> str:
    """Return what stands for a character; before: the one before it, "" at the beginning."""
    if character.isascii():
        return character
    if character in PLAIN:
        return PLAIN[character]
    if character in SUPERSCRIPTS:
        bare = {"⁻": "-"}.get(character) or unicodedata.normalize("NFKC", character)
        return bare if before and before in SUPERSCRIPTS else f"^{bare}"
    name = unicodedata.name(character, "").split()
    if name[:2] in (["GREEK", "SMALL"], ["GREEK", "CAPITAL"]) and len(name) == 4:
        letter = {"LAMDA": "LAMBDA"}.get(name[3], name[3])
        return letter.lower() if name[1] == "SMALL" else letter.capitalize()
    decomposed = unicodedata.normalize("NFKD", character).replace("\N{FRACTION SLASH}", "/")
    bare = "".join(each for each in decomposed if each.isascii())
    return bare or character.encode("ascii", "backslashreplace").decode("ascii")
