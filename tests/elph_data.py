"""Real electron-phonon runs, packed in data/elph (its README says what they are)."""

import tarfile
from pathlib import Path

DATA = Path(__file__).parent / "data"


def unpacked(name: str, folder: Path) -> Path:
    """Unpack a run (``al_q444``) into a folder and return the folder of its files."""
    return folder / extracted(DATA / "elph" / f"{name}.tar.xz", folder)[0]


def extracted(path: Path, folder: Path) -> list[str]:
    """Unpack an archive into a folder and return its names."""
    with tarfile.open(path) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
        archive.extractall(folder, **safely)
        return archive.getnames()
