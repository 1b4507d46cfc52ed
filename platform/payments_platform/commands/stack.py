"""`payments up | down | status`: the local stack.

Belongs here: options, tables and sentences. Does not: what the commands do (local/).
"""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from payments_platform.local.home import Home
    from payments_platform.local.stack import ServiceStatus

app = typer.Typer()
_out, _err = Console(), Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


_FORMAT = Annotated[Format, typer.Option("--format", help="json prints every address for scripts.")]


@app.command()
def up(
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Start the Dagster UI and its daemon as well.")] = True,
    output: _FORMAT = Format.TABLE,
) -> None:
    """Start the local stack, wait until it serves, and print where everything is."""
    from payments_platform.local import stack
    from payments_platform.settings import load_settings

    request = stack.Request(_home(), _project(), ui=ui, environment=load_settings().environment, say=_say)
    _show(stack.up(request), output)


@app.command()
def down() -> None:
    """Stop the local stack cleanly; data stays."""
    from payments_platform.local import stack

    home = _home()
    ran = stack.down(home, _say)
    _say(f"stopped; data stays in {home.root}" if ran else "nothing was running")


@app.command()
def status(output: _FORMAT = Format.TABLE) -> None:
    """Ask every server whether it serves; ends with 1 unless all do."""
    from payments_platform.local import stack

    known = stack.status(_home())
    _show(known, output)
    if not known or not all(service.ready for service in known):
        raise typer.Exit(1)


def _project() -> Path:
    """The folder of the checkout, wherever the command was typed."""
    return Path(__file__).resolve().parents[3]


def _home() -> "Home":
    from payments_platform.local.home import Home
    from payments_platform.settings import load_settings

    return Home(load_settings().home)


def _say(text: str) -> None:
    _err.print(text, markup=False, soft_wrap=True)


def _show(known: "list[ServiceStatus]", output: Format) -> None:
    if output is Format.JSON:
        _out.print_json(json.dumps({"home": str(_home().root), "services": {it.name: asdict(it) for it in known}}))
        return
    if not known:
        _say("this home has no stack yet; next: payments up")
        return
    table = Table("service", "state", "ready", "pid", "address", "note")
    for it in known:
        address = str(it.address.get("url") or f"{it.address.get('host', '')}:{it.address.get('port', '')}")
        table.add_row(it.name, it.state, "yes" if it.ready else "no", str(it.pid or ""), address, it.note)
    _out.print(table)
