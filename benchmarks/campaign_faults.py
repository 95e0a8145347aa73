"""What the fault campaign does to folders, and takes back a little later."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SPOILT_S = (1.0, 8.0)
"""For how long a folder cannot be used."""


@dataclass
class Folders:
    """The folders of a campaign's calculations. moved: the calculations whose folders were taken away."""

    calculations: Path
    chance: random.Random
    moved: set[str] = field(default_factory=set)
    undone: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def undo(self, everything: bool = False) -> None:
        """Take back what has lasted long enough."""
        now = time.monotonic()
        for due, action in list(self.undone):
            if everything or due < now:
                action()
                self.undone.remove((due, action))

    def move(self) -> bool:
        """Take the folder of a calculation that has begun away; False where there is none."""
        begun = [path.parent for path in self.calculations.glob("*/*/input.json")]
        begun = [folder for folder in begun if not (folder / "result.json").exists()]
        if not begun:
            return False
        folder = self.chance.choice(begun)
        away = self.calculations.parent / "moved"
        away.mkdir(exist_ok=True)
        with suppress(OSError):
            folder.rename(away / f"{folder.name}-{len(self.moved)}")
            self.moved.add(folder.name)
            return True
        return False

    def put_a_file_in_the_place_of_one(self, wanted: list[str]) -> bool:
        """Put a file where a wanted calculation will have its folder; False where all have begun."""
        places = [self.calculations / key[:2] / key for key in wanted]
        places = [place for place in places if not place.exists()]
        if not places:
            return False
        place = self.chance.choice(places)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.open("x").close()
            self._undo_later(place.unlink)
            return True
        return False

    def make_one_immutable(self, wanted: list[str]) -> bool:
        """Let nothing be made in the folder of a wanted calculation that has no result; False where that cannot be."""
        places = [self.calculations / key[:2] / key for key in wanted]
        places = [place for place in places if place.is_dir() or not place.exists()]
        if not places or not shutil.which("chattr"):
            return False
        place = self.chance.choice(places)
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if subprocess.run(["chattr", "+i", place], check=False, capture_output=True).returncode:
                return False
            self._undo_later(lambda: subprocess.run(["chattr", "-i", place], check=False, capture_output=True))
            return True
        return False

    def _undo_later(self, action: Callable[[], object]) -> None:
        def undo() -> None:
            action()

        self.undone.append((time.monotonic() + self.chance.uniform(*SPOILT_S), undo))
