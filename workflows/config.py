"""Where things are: data folder, database, DFT codes. One file, overridden by the environment.

The file is the first of: the one that ``MEGABAR_CONFIG`` names; ``megabar.yaml`` in the working folder or
the nearest folder above it; ``~/.config/megabar/config.yaml``. None is needed.

The environment overrides it: ``MEGABAR_DATA``, ``MEGABAR_DATABASE_URI`` or ``MEGABAR_DATABASE_URI_FILE``,
``MEGABAR_DATABASE_NAME``, ``MEGABAR_WORKERS``, and for each code ``MEGABAR_<CODE>_COMMAND``, ``MEGABAR_<CODE>_LAUNCH``,
``MEGABAR_<CODE>_PSEUDOPOTENTIALS``.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from megabar.structures.errors import InputError
from megabar.workflows.places import configuration_folder, expanded
from megabar.workflows.secrecy import has_password, open_to_others, read_uri_file, with_absolute_files
from megabar.workflows.yaml_input import read_yaml, validated

CODE_VARIABLES = ("COMMAND", "LAUNCH", "PSEUDOPOTENTIALS")
FILE_NAME = "megabar.yaml"
DATA_FOLDER_NAME = ".megabar"


def _words(value: Any) -> Any:
    return tuple(shlex.split(value)) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class CodeConfig(BaseModel):
    """How one DFT code is started: its command, its parallel launch, its pseudopotential folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Words = Field(default=(), description="the program, as `pw.x`; found by itself where it is on PATH")
    launch: Words = Field(default=(), description="what starts it in parallel, as `mpirun -n 4`")
    pseudopotentials: Path | None = Field(default=None, description="folder of its pseudopotentials or PAW data")


class DatabaseConfig(BaseModel):
    """Which MongoDB is used; without a URI, megabar's own (started on demand in the data folder)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # It holds a password, so it is neither in the repr nor in errors.
    uri: str | None = Field(default=None, repr=False, description="address of a MongoDB, `mongodb://…`")
    uri_file: Path | None = Field(default=None, description="a file of yours alone that holds the address instead")
    name: str = Field(
        default="megabar", description="the workspace: the database of the results; that of the queue is beside it"
    )


class Config(BaseModel):
    """All of the configuration; every field has a working default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data: Path = Field(
        default=Path(DATA_FOLDER_NAME),
        description="results in progress, the database, generated PAW sets and pseudopotentials; a relative path is "
        "beside the file",
    )
    database: DatabaseConfig = Field(default=DatabaseConfig(), description="a MongoDB of your own")
    workers: int | None = Field(default=None, ge=1, description="processes of `run`; by default one a core")
    codes: dict[str, CodeConfig] = Field(default_factory=dict, description="how codes are started, by name")

    def code(self, name: str) -> CodeConfig:
        """Return the configuration of a code, empty where nothing is configured."""
        return self.codes.get(name, CodeConfig())


def load_config(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration seen from a folder (the working one), its data folder made absolute.

    Raises InputError where the file has unknown keys or impossible values, or a secret that others can read.
    """
    folder = (folder or Path.cwd()).absolute()
    environment = os.environ if environment is None else environment
    path = _find_file(folder, environment)
    raw = read_yaml(path) if path else None
    config = validated(Config, raw, path) if raw and path else Config()
    base = path.parent if path and path.name == FILE_NAME else _project_folder(folder)
    database = _database(config.database, path, environment, folder)
    return _overridden(config.model_copy(update={"database": database}), environment, base)


def _database(
    database: DatabaseConfig, path: Path | None, environment: Mapping[str, str], folder: Path
) -> DatabaseConfig:
    """Return the database as configured, its URI read from wherever it is: the environment, a file, a file's file."""
    name = environment.get("MEGABAR_DATABASE_NAME") or database.name
    uri, uri_file = environment.get("MEGABAR_DATABASE_URI"), environment.get("MEGABAR_DATABASE_URI_FILE")
    if uri:
        return DatabaseConfig(uri=with_absolute_files(uri, folder), name=name)
    if uri_file:
        place = folder / expanded(Path(uri_file))
        return DatabaseConfig(uri=read_uri_file(place, "MEGABAR_DATABASE_URI_FILE"), uri_file=place, name=name)
    if path is None or (database.uri is None and database.uri_file is None):
        return database.model_copy(update={"name": name})
    if database.uri_file is None:
        assert database.uri is not None
        if has_password(database.uri) and open_to_others(path):
            raise InputError(
                f"{path}: `database.uri` holds a password and others may read the file; `chmod 600 {path}`, or put the "
                "address into a file of its own and name that in `database.uri_file`"
            )
        return DatabaseConfig(uri=with_absolute_files(database.uri, path.parent), name=name)
    if database.uri is not None:
        raise InputError(f"{path}: give `database.uri` or `database.uri_file`, not both")
    place = path.parent / expanded(database.uri_file)
    return DatabaseConfig(uri=read_uri_file(place, f"{path}: `database.uri_file`"), uri_file=place, name=name)


def _find_file(folder: Path, environment: Mapping[str, str]) -> Path | None:
    named = environment.get("MEGABAR_CONFIG")
    if named:
        if not Path(named).is_file():
            raise InputError(f"MEGABAR_CONFIG names {named}, which is not a file")
        return Path(named).absolute()
    for place in (folder, *folder.parents):
        if (place / FILE_NAME).is_file():
            return place / FILE_NAME
    home = configuration_folder(environment) / "config.yaml"
    return home if home.is_file() else None


def _project_folder(folder: Path) -> Path:
    """Return the nearest folder upwards that has a data folder already, else the folder itself."""
    for place in (folder, *folder.parents):
        if (place / DATA_FOLDER_NAME).is_dir():
            return place
    return folder


def _overridden(config: Config, environment: Mapping[str, str], base: Path) -> Config:
    codes = dict(config.codes)
    for name, value in environment.items():
        parts = name.split("_")
        if (
            len(parts) == 3
            and parts[0] == "MEGABAR"
            and parts[2] in ("COMMAND", "LAUNCH", "PSEUDOPOTENTIALS")
            and value
        ):
            code, key = parts[1].lower(), parts[2].lower()
            converted = Path(value) if key == "pseudopotentials" else _words(value)
            codes[code] = codes.get(code, CodeConfig()).model_copy(update={key: converted})
    workers = config.workers
    if environment.get("MEGABAR_WORKERS"):
        try:
            workers = int(environment["MEGABAR_WORKERS"])
        except ValueError:
            raise InputError(f"MEGABAR_WORKERS is {environment['MEGABAR_WORKERS']!r}, not a whole number") from None
        if workers < 1:
            raise InputError(f"MEGABAR_WORKERS is {workers}; at least 1 worker is needed")
    data = Path(environment.get("MEGABAR_DATA") or config.data)
    data = data if data.is_absolute() else base / data
    _check_readable(data)
    return config.model_copy(
        update={
            "data": data,
            "codes": codes,
            "workers": workers,
        }
    )


def _check_readable(data: Path) -> None:
    """Raise InputError where the data folder's name is no text here, as it is stored with every result."""
    try:
        str(data).encode()
    except UnicodeEncodeError:
        shown = str(data).encode("ascii", "backslashreplace").decode("ascii")
        raise InputError(
            f"the data folder's name cannot be read in this locale ({sys.getfilesystemencoding()}): {shown}; choose "
            "another with MEGABAR_DATA or `data:` in megabar.yaml, or set LC_ALL=C.UTF-8"
        ) from None
