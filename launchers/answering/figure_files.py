"""Figures written where the user wants them: one into a file, or all into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabar.analysis.figures.drawing import Drawing
from megabar.structures.errors import InputError

TYPES = (".pdf", ".png", ".svg")
LISTED = ".pdf, .png or .svg"


def is_image(target: Path) -> bool:
    """Whether one figure is wanted, in a file; else all, in a folder."""
    return bool(target.suffix) and not target.is_dir()


def check_figure(target: Path | None) -> None:
    """Raise InputError where a figure cannot be written to what was named: an image file, or a folder."""
    if target is None or target.is_dir():
        return
    if target.suffix and target.suffix.lower() not in TYPES:
        raise InputError(f"--figure is {target}; its name must end with {LISTED}, or be that of a folder")
    if not target.parent.is_dir():
        raise InputError(f"--figure is {target}; the folder {target.parent} is not there")
    if not target.suffix and target.exists():
        raise InputError(f"--figure is {target}, which is no folder; a file's name must end with {LISTED}")


def write_figures(drawings: Sequence[Drawing], target: Path) -> dict[str, Any]:
    """Write the first drawing into a file, or all into a folder in all types; return what the document says of it."""
    try:
        if is_image(target):
            target.write_bytes(_image(drawings[0], target.suffix.lower()))
            return {"figure": str(target)}
        target.mkdir(exist_ok=True)
        written = []
        for drawing in drawings:
            for suffix in TYPES:
                path = target / f"{drawing.name}{suffix}"
                path.write_bytes(_image(drawing, suffix))
                written.append(str(path))
    except OSError as error:
        raise InputError(f"--figure: {target} cannot be written ({error.strerror or error})") from None
    return {"figures": written}


def write_as(drawing: Drawing, folder: Path, kinds: Sequence[str]) -> list[Path]:
    """Write a drawing as files of some kinds (pdf, svg, png) into a folder, made where it is missing; return them."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            path = folder / f"{drawing.name}.{kind}"
            path.write_bytes(_image(drawing, f".{kind}"))
            written.append(path)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"figures cannot be written to {folder} ({why}); choose with --to") from None
    return written


def _image(drawing: Drawing, suffix: str) -> bytes:
    from megabar.analysis.figures.style import pdf, png, svg

    if suffix == ".svg":
        return svg(drawing.figure).encode()
    return pdf(drawing.figure) if suffix == ".pdf" else png(drawing.figure)
