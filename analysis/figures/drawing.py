"""What figures are and what is wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its name (of its files) and the sentence that belongs below it.

    made: the figure, or what draws it when it is first looked at.
    """

    name: str
    title: str
    caption: str
    made: Figure | Callable[[], Figure] = field(repr=False)

    @cached_property
    def figure(self) -> Figure:
        """The figure."""
        return self.made() if callable(self.made) else self.made


@dataclass(frozen=True)
class Options:
    """What is wanted of the figures of a stability study.

    panels: names of figures or of single panels, as `panels_of` lists them; none: all figures. labels: what phases are
    called, by name. hull_GPa: pressures of the hulls; none: chosen from those asked for.
    volumes: whether the slopes of the curves are volumes.
    """

    panels: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    hull_GPa: tuple[float, ...] = ()
    volumes: bool = True


@dataclass(frozen=True, eq=False)
class Drawings:
    """The figures of a study, and in words which ones there are not and why."""

    drawings: tuple[Drawing, ...]
    remarks: tuple[str, ...]
