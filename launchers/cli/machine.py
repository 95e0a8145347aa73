"""The commands about machines: `megabar machine list`, `show`, `check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from megabar.launchers.cli.options import AsJson, print_json

machine = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The machines that are described, and whether that is right.",
)
MachineName = Annotated[str, typer.Argument(metavar="NAME", help="a machine of machines.yaml")]


@machine.command("list")
def list_machines(as_json: AsJson = False) -> None:
    """List the machines that are described."""
    from megabar.launchers.cli.printing import machines_table, show
    from megabar.launchers.machines.description import load_machines

    machines = load_machines()
    if as_json:
        print_json([{"name": each.name, **each.model_dump(mode="json")} for each in machines.by_name.values()])
    else:
        show(machines_table(machines))


@machine.command("show")
def show_machine(name: MachineName, as_json: AsJson = False) -> None:
    """Show all that is described of a machine, defaults included."""
    from megabar.launchers.machines.description import load_machines

    described = load_machines().named(name).model_dump(mode="json")
    if as_json:
        print_json(described)
    else:
        print("\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in described.items()))


@machine.command("check")
def check_machine(
    name: MachineName,
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for a small job; 0: submit none")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Explain what a real job would look like, look for mistakes, and try a small one."""
    from megabar.launchers.database.data_folder import check_data_folder
    from megabar.launchers.machines.check import check_text, checked
    from megabar.launchers.machines.description import load_machines
    from megabar.workflows.config import load_config

    config = load_config()
    machines = load_machines()
    described = machines.named(name)
    check_data_folder(config)
    result = checked(described, machines, config, wait)
    if as_json:
        print_json(result.json())
    else:
        print(check_text(result))
    if not result.ok:
        raise typer.Exit(2)


@machine.command("probe", hidden=True)
def probe_machine(name: MachineName, answer: Path) -> None:
    """Say what a job finds around it: what `check` runs in one."""
    from megabar.launchers.machines.description import load_machines
    from megabar.launchers.machines.probe import probe
    from megabar.workflows.config import load_config

    probe(load_machines().named(name), load_config(), answer)
