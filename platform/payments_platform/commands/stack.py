"""`payments up | down | reset | clean | status | doctor | logs`: the local stack.

Belongs here: options, tables and sentences. Does not: what the commands do (local/).
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from payments_platform.commands.printing import Format
from payments_platform.commands.saying import say

if TYPE_CHECKING:
    from payments_platform.local.home import Home
    from payments_platform.local.statuses import ServiceStatus
    from payments_platform.settings import Settings

app = typer.Typer()
_out = Console(highlight=False)
_MIB = 1024**2


_FORMAT = Annotated[Format, typer.Option("--format", help="json prints every address for scripts.")]
_YES = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def up(
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Start the Dagster UI and its daemon as well.")] = True,
    streams: Annotated[
        bool, typer.Option("--streams/--no-streams", help="Start the servers of the speed layer as well.")
    ] = True,
    workers: Annotated[
        bool, typer.Option("--workers/--no-workers", help="Set up change capture and start the workers too.")
    ] = True,
    only: Annotated[
        str, typer.Option("--only", help="Servers by name, with commas; what they need starts too, nothing else.")
    ] = "",
    output: _FORMAT = Format.TABLE,
) -> None:
    """Start the local stack, wait until it serves, and print where everything is. Safe to repeat."""
    from payments_platform.local import stack
    from payments_platform.local.request import Request

    settings = _settings()
    request = Request(
        _home(settings),
        _project(),
        settings.downloads,
        ui=ui,
        streams=streams,
        workers=streams and workers,
        only=tuple(name.strip() for name in only.split(",") if name.strip()),
        environment=settings.environment,
        say=say,
    )
    _show(stack.up(request), output)


@app.command()
def down() -> None:
    """Stop the local stack cleanly; data stays."""
    from payments_platform.local import stack

    home = _home(_settings())
    ran = stack.down(home, say)
    say(f"stopped; data stays in {home.root}" if ran else f"nothing was running in {home.root}")


@app.command()
def reset(yes: _YES = False) -> None:
    """Stop the local stack and delete its data: databases, lake, warehouse, runs, passwords. Downloads stay."""
    _remove(downloads=False, yes=yes)


@app.command()
def clean(yes: _YES = False) -> None:
    """Stop the local stack and delete its whole home, downloads too."""
    _remove(downloads=True, yes=yes)


@app.command()
def status(output: _FORMAT = Format.TABLE) -> None:
    """Ask every server whether it serves; ends with 1 unless all do."""
    from payments_platform.local import statuses

    known = statuses.status(_home(_settings()))
    _show(known, output)
    if not known or not all(service.ready for service in known):
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Check that this machine can run the stack; names what lacks and the line that installs it."""
    from payments_platform.local.doctor import examine

    table = Table("", "what", "found", "advice")
    findings = examine(_home(_settings()))
    for it in findings:
        mark = "[green]ok[/]" if it.fit and not it.advice else "[yellow]note[/]" if it.fit else "[red]lacks[/]"
        table.add_row(mark, it.what, it.found, it.advice)
    _out.print(table)
    if not all(it.fit for it in findings):
        raise typer.Exit(1)


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="A name from `payments status`; without one, all.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")] = False,
) -> None:
    """Print the last lines of the servers' logs, and where the logs lie."""
    from payments_platform.local.failures import StackError, last_lines

    home = _home(_settings())
    files = sorted(home.logs.glob("*.log")) if service is None else [home.log_of(service)]
    if not files or not files[0].exists():
        known = ", ".join(sorted(path.stem for path in home.logs.glob("*.log"))) or "none yet"
        raise StackError(f"There is no log of {service or 'this stack'} in {home.logs}. Logs: {known}.", "payments up")
    for path in files:
        say(f"== {path}")
        for line in last_lines(path, lines):
            _out.print(line, markup=False, soft_wrap=True)
    if follow:
        _follow(files)


def _follow(files: Sequence[Path]) -> None:
    """Print what is appended; a file that became shorter was rotated and is read from its start."""
    ends = {path: path.stat().st_size for path in files}
    while True:
        for path, end in ends.items():
            size = path.stat().st_size
            if size != end:
                with path.open("rb") as file:
                    file.seek(end if size > end else 0)
                    _out.print(file.read().decode("utf-8", "replace"), end="", markup=False, soft_wrap=True)
                ends[path] = size
        time.sleep(0.3)


def _remove(*, downloads: bool, yes: bool) -> None:
    from payments_platform.local import stack

    home = _home(_settings())
    home.accept()
    if not home.exists():
        say(f"there is no stack in {home.root}: nothing to delete")
        return
    what = "everything, downloads too," if downloads else "all data (databases, lake, warehouse, runs, passwords)"
    if not yes:
        typer.confirm(f"Delete {what} in {home.root}?", abort=True)
    freed = stack.remove(home, _project(), downloads=downloads, say=say)
    say(f"freed {_mib(freed)} in {home.root}: {_listed(freed)}")


def _listed(freed: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{name} {size / _MIB:,.0f} MB" for name, size in freed.items() if size >= _MIB) or "next to nothing"
    )


def _mib(freed: Mapping[str, int]) -> str:
    return f"{sum(freed.values()) / _MIB:,.0f} MB"


def _project() -> Path:
    """The folder of the checkout, wherever the command was typed."""
    return Path(__file__).resolve().parents[3]


def _settings() -> "Settings":
    """Return the settings, unless they are of an environment that has no local stack."""
    from payments_platform.settings import SettingInvalid, load_settings

    settings = load_settings()
    if settings.environment not in {"local", "test"}:
        raise SettingInvalid(
            f"PAYMENTS_ENVIRONMENT is {settings.environment}, which has no local stack. Unset it and run again."
        )
    return settings


def _home(settings: "Settings") -> "Home":
    from payments_platform.local.home import Home

    return Home(settings.home)


def _show(known: "Sequence[ServiceStatus]", output: Format) -> None:
    home = _home(_settings())
    if output is Format.JSON:
        _out.print_json(json.dumps({"home": str(home.root), "services": {it.name: asdict(it) for it in known}}))
        return
    if not known:
        say(f"there is no stack in {home.root} yet; next: payments up")
        return
    table = Table("service", "state", "ready", "pid", "address", "note")
    for it in known:
        address = str(it.address.get("url") or (f"{it.address['host']}:{it.address['port']}" if it.address else ""))
        table.add_row(it.name, it.state, "yes" if it.ready else "no", str(it.pid or ""), address, it.note)
    _out.print(table)
    say(f"home {home.root}; passwords in {home.config / 'secrets.json'}")
