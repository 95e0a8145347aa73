"""A number that is not finite is no result: one check for all codes, whatever they say of their convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from ase.calculators.calculator import BaseCalculator

from megabar.workflows.codes.interface import CalculationFailed

NOT_A_NUMBER = "not-a-number"
PROPERTIES = ("energy", "free_energy", "forces", "stress")


def check_finite(values: Mapping[str, Any], who: str) -> None:
    """Raise CalculationFailed (``not-a-number``) that names the values of a mapping which are not finite.

    values: numbers, arrays, texts, and lists and mappings of these, by name. who: the code, for the message.
    """
    broken = [name for name, value in values.items() if any(not np.isfinite(each).all() for each in _numbers(value))]
    if broken:
        raise CalculationFailed(NOT_A_NUMBER, f"{who} returned values that are not finite: {', '.join(broken)}")


def guard(calculator: BaseCalculator, who: str) -> None:
    """Make an ASE calculator raise CalculationFailed where energy, forces or stress that it computed are not finite.

    Before anybody sees them: an optimiser would make something else of them first.
    """
    calculate: Callable[..., None] = calculator.calculate

    def checked(*arguments: Any, **options: Any) -> None:
        calculate(*arguments, **options)
        check_finite({name: calculator.results[name] for name in PROPERTIES if name in calculator.results}, who)

    calculator.calculate = checked


def number(word: str, what: str, who: str) -> float:
    """Return the number of a word in a code's output; raises CalculationFailed where it is none (``NaN``, ``****``)."""
    try:
        found = float(word)
    except ValueError:
        found = np.nan
    if not np.isfinite(found):
        raise CalculationFailed(NOT_A_NUMBER, f"{who} wrote {word!r} for {what}")
    return found


def _numbers(value: Any) -> Iterator[Any]:
    """Return the arrays of numbers in a value, however deep."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, list | tuple):
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            array = np.asarray(None)
        if array.dtype.kind in "fc":
            yield array
        elif array.dtype.kind == "O":
            for each in value:
                yield from _numbers(each)
    elif isinstance(value, int | float | np.number | np.ndarray):
        array = np.asarray(value)
        if array.dtype.kind in "fc":
            yield array
