"""The commands that share results: `megabar export`, `megabar import`, `megabar database …`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json

database = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="A database that several people share; repairs.",
)

AdminFile = Annotated[
    Path | None,
    typer.Option("--admin-uri-file", help="file with an administrator's address (or MEGABAR_ADMIN_URI)"),
]
User = Annotated[str, typer.Argument(metavar="NAME", help="the database user")]
Workspace = Annotated[str, typer.Option(help="the workspace, a pair of databases that its members share")]
UriFile = Annotated[Path | None, typer.Option("--to", help="file for the address (default: NAME.uri)")]
Show = Annotated[bool, typer.Option("--show", help="print the address with the password too")]


def add_commands(app: typer.Typer) -> None:
    """Make the commands known."""
    app.command("export")(export_study)
    app.command("import")(import_study)
    app.add_typer(database, name="database")


def export_study(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="a study file, or the name of a stored study")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE.zip", help="the archive to write")],
    as_json: AsJson = False,
) -> None:
    """Write a study with all its results to one file, to publish or to take to another database."""
    from megabar.launchers.database.archives import export_to

    done = export_to(study, to)
    if as_json:
        print_json({**asdict(done), "path": str(done.path)})
        return
    state = "" if done.complete else f"; the study is not complete, {done.asked - done.calculations} are still open"
    print(f"{done.path}: {done.calculations} calculations, {done.size_bytes / 1e6:.1f} MB{state}")


def import_study(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="an archive written by `megabar export`")],
    as_json: AsJson = False,
) -> None:
    """Take a study and all its results from an archive into the database; nothing there is overwritten."""
    from megabar.launchers.database.archives import import_from

    done = import_from(file)
    if as_json:
        print_json(asdict(done))
        return
    mended = f", {done.mended} instead of failed ones" if done.mended else ""
    agreeing = f" ({done.agreeing} computed here too, with the same results to rounding)" if done.agreeing else ""
    print(
        f"{done.study}: {done.new} calculations new{mended}, {done.present} were there already{agreeing}\n"
        f"`megabar report {done.name}` needs no calculation"
    )


@database.command("check")
def check_database(as_json: AsJson = False) -> None:
    """Say who one is in the database, what one may do there, and what the server is."""
    from megabar.launchers.database.check import check, check_text
    from megabar.workflows.config import load_config

    found = check(load_config())
    if as_json:
        print_json(found)
    else:
        print(check_text(found))


@database.command("repair")
def repair_database(as_json: AsJson = False) -> None:
    """Make megabar's own database work again: a lost key or password, damaged data files.

    Results lie in the folders of their calculations too, but for imported ones: import them again.
    """
    from megabar.launchers.database.repair import repair
    from megabar.workflows.config import load_config

    done = repair(load_config())
    if as_json:
        print_json({**asdict(done), "set_aside": str(done.set_aside) if done.set_aside else None})
        return
    print(f"the database works: {'; '.join(done.said)}")
    if done.set_aside:
        print(
            "the results lie in the folders of their calculations: `megabar run STUDY.yaml` takes them from there and "
            "computes anew only those whose folders were deleted; but for imported ones: import them again"
        )


@database.command("create-admin")
def create_administrator(
    name: User,
    host: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="the server's name for other computers")] = None,
    to: UriFile = None,
) -> None:
    """Make a new server on this computer ready: replica set, and an administrator with a password in a file."""
    from megabar.launchers.database.admin import admin_uri, create_admin
    from megabar.workflows.config import load_config

    target = to or Path(f"{name}.uri")
    create_admin(admin_uri(load_config(), None), name, host, target)
    print(f"the administrator's address is in {target}, readable by you alone")


@database.command("create-user")
def create_database_user(
    name: User,
    workspace: Workspace,
    read_only: Annotated[bool, typer.Option("--read-only", help="may look, but not run or change")] = False,
    new_password: Annotated[bool, typer.Option("--new-password", help="also where the user is there already")] = False,
    to: UriFile = None,
    admin_uri_file: AdminFile = None,
    show: Show = False,
) -> None:
    """Let somebody into a workspace; the password is written to a file that only you can read."""
    from megabar.launchers.database.admin import admin_uri, create_user
    from megabar.workflows.config import load_config

    target = to or Path(f"{name}.uri")
    made = create_user(admin_uri(load_config(), admin_uri_file), name, workspace, read_only, target, new_password)
    rights = "may read" if read_only else "may read and write"
    if made.uri_file is None:
        print(f"{name} {rights} the workspace {workspace} now too, with the password as before")
        return
    print(
        f"{name} {rights} the workspace {workspace}; the address with the password is in {target}, for {name}'s "
        f"megabar.yaml:\n    database: {{uri_file: {target.name}, name: {workspace}}}"
    )
    if show:
        print(target.read_text(encoding="ascii").strip())


@database.command("remove-user")
def remove_database_user(name: User, workspace: Workspace, admin_uri_file: AdminFile = None) -> None:
    """Take somebody's rights in a workspace away; the studies stay."""
    from megabar.launchers.database.admin import admin_uri, remove_user
    from megabar.workflows.config import load_config

    gone = remove_user(admin_uri(load_config(), admin_uri_file), name, workspace)
    print(f"{name} has no rights in the workspace {workspace} any more" + (", and is removed" if gone else ""))
