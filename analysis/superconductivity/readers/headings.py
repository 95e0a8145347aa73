"""What the comments of a table say of its columns: their names, and the unit of the frequencies.

A unit counts where it is that of the frequencies: beside their name (``omega (THz)``, ``w[meV]``, ``"freqs, THz"``,
``frequencies in Rydberg``), or in brackets or alone at the beginning of a heading (``# (CM-1)  a2F``). A temperature, a
pressure, N(E_F) or the unit of another column says nothing of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from megabar.analysis.superconductivity.units import MEV_PER, spelled

_FREQUENCY = r"(?:freq\w*\.?|omegas?|ω|w|energy|energies|en|e|wavenumbers?|nu|ν|hbar\s?omega|ℏω)"
_ALPHA2F = re.compile(r"^(?:a|alpha|α|\\alpha)_?\s?\^?\s?\{?(?:2|²|\*\*2)\}?_?\s?\(?f|^eliashberg", re.IGNORECASE)
_MENTIONED = re.compile(r"(?:a|alpha|α)_?\^?\{?(?:2|²)\}?_?\(?f|eliashberg", re.IGNORECASE)
_OTHER = re.compile(r"^(?:p|v|ph|phonon)?[ _-]?p?dos\b|^density of states|^bands?\b|^dispersion", re.IGNORECASE)
_PHONON_DOS = re.compile(r"\bphdos\b|\b(?:phonon|vibrational)[ _](?:dos\b|density of states)", re.IGNORECASE)
_ATOMIC = r"a\.\s?u\.|atomic units?"
_UNIT = "|".join(f"(?P<u{place}>{spelled(unit)})" for place, unit in enumerate(MEV_PER))
_ANY = rf"(?P<atomic>{_ATOMIC})|{_UNIT}"
_END = r"(?![\w^⁻¹])"
_OF_FREQUENCY = re.compile(
    rf"(?<![\w/]){_FREQUENCY}\s*(?:[\[({{,:;/_-]|\bin\b)\s*(?:units? of )?(?:{_ANY}){_END}", re.IGNORECASE
)
_AT_FIRST = re.compile(
    rf"^\W*?(?P<bracket>[\[({{])?\s*(?:{_ANY}){_END}(?!\s*[=:]|\s+[-+]?\d|(?<=k)\W*points?)", re.IGNORECASE
)
_IN_BRACKETS = re.compile(rf"^(?!\s*(?:t|temp|p|press)).*(?P<bracket>[\[({{])\s*(?:{_ANY})\s*[\])}}]", re.IGNORECASE)
_NAMED_FREQUENCY = re.compile(rf"^{_FREQUENCY}(?![a-z0-9])", re.IGNORECASE)
_NAME = re.compile(r"(?:\"[^\"]*\"|'[^']*'|[^\s\[({]+)(?:\s*(?:\[[^\]]*\]|\([^)]*\)|\{[^}]*\}))*")


@dataclass(frozen=True)
class Heading:
    """What comments tell of a table.

    units: those that the frequencies may have, one if they agree; ``a.u.`` where it says that. names: of the columns,
    where a heading has one for each. frequency, alpha2f: the columns named as ω and as α²F. other: the name of the
    second column, or the words of the comments, where that is a density of states or bands.
    """

    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    frequency: int | None = None
    alpha2f: tuple[int, ...] = ()
    other: str | None = None


def heading_of(comments: Sequence[str], columns: int) -> Heading:
    """Return what the comment lines of a table with so many columns tell."""
    texts = [line.strip().lstrip("#!%;/ \t") for line in comments]
    names = next((found for text in reversed(texts) if (found := _names(text, columns))), ())
    frequency = next(iter(_places(names, _NAMED_FREQUENCY)), None)
    alpha2f = _places(names, _ALPHA2F)
    other = _other(texts, names)
    own = [names[frequency or 0].strip("\"'")] if names else []
    units = _units(own, _OF_FREQUENCY) or _units(own, _AT_FIRST) or _units(own, _IN_BRACKETS)
    units = units or _units(texts, _OF_FREQUENCY) or _units(texts, _AT_FIRST)
    return Heading(units, names if frequency is not None or alpha2f else (), frequency, alpha2f, other)


def _places(names: Sequence[str], what: re.Pattern[str]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(names) if what.search(name.strip("\"' ")))


def _other(texts: Sequence[str], names: Sequence[str]) -> str | None:
    if len(names) > 1 and _OTHER.search(names[1]) and not _places(names, _ALPHA2F):
        return names[1]
    said = [match.group(0) for text in texts if (match := _PHONON_DOS.search(text))]
    return said[0] if said and not any(_MENTIONED.search(text) for text in texts) else None


def _units(texts: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return the different units that a pattern finds in some texts."""
    found = []
    for match in (match for text in texts for match in pattern.finditer(text)):
        kind = next(kind for kind, text in match.groupdict().items() if text is not None and kind != "bracket")
        text = match.group(kind)
        alone = pattern is _AT_FIRST and match.group("bracket") is None
        if text == "k" or (text == "K" and alone):  # a wave vector, or a point of the Brillouin zone
            continue
        found.append("a.u." if kind == "atomic" else list(MEV_PER)[int(kind[1:])])
    return tuple(dict.fromkeys(found))


def _names(text: str, columns: int) -> tuple[str, ...]:
    """Return the names of the columns if the line has one for each: with commas, or a word and its brackets each."""
    for mark in (",", ";"):
        if mark in text:
            [fields] = csv.reader([text], skipinitialspace=True, delimiter=mark)
            if len(fields) == columns and "=" not in text:
                return tuple(field.strip() for field in fields)
    words = tuple(match.group(0) for match in _NAME.finditer(text))
    return words if len(words) == columns and "=" not in text else ()
