"""Things by name that a notebook shows as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from megabar.structures.errors import InputError
from megabar.workflows.yaml_input import nearest

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")


class NotThere(InputError, KeyError):
    """There is nothing of a name."""

    def __str__(self) -> str:
        """Return the sentence as it is, not in the quotes of a KeyError."""
        return str(self.args[0])


class Listing(Mapping[str, T]):
    """Things by name, in order; ``frame()`` is a row each, and a notebook shows that."""

    def __init__(self, items: Mapping[str, T], frame: Callable[[], DataFrame]) -> None:
        """Make a listing of things by name; frame: returns their table."""
        self._items, self._frame = dict(items), frame

    def frame(self) -> DataFrame:
        """Return what is known of them, a row each."""
        return self._frame()

    def __getitem__(self, name: str) -> T:
        """Return the thing of a name; raises NotThere with the names that there are."""
        if name not in self._items:
            known = list(self._items)
            raise NotThere(f"there is no {name!r}{nearest(name, known)} (there are: {', '.join(known) or 'none'})")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is something of a name."""
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._items)

    def __repr__(self) -> str:
        """Return the table."""
        return str(self.frame().to_string(max_colwidth=40))

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(notebook=True))
