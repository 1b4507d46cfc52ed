"""`payments verify`: every store held against PostgreSQL.

Belongs here: options, which stores are not there, tables. Does not: what a store owes (streaming/verification.py), how
each is asked (streaming/views.py).
"""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from payments_platform.commands.printing import Format
from payments_platform.commands.saying import counting, say

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.settings import Settings

app = typer.Typer()
_out = Console(highlight=False)
_SHOWN = 20
# How it ends, apart from 0, and from 1 and 2 of any command: nothing differs where it was compared, and not everything
# was; something differs.
NOT_ALL_COMPARED: Final = 3
DIFFERS: Final = 4


@app.command()
def verify(
    since: Annotated[
        datetime | None,
        typer.Option(help="Only payments that changed from then on, UTC.", show_default="all"),
    ] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds that what is in flight may take to arrive.")] = 30.0,
    store: Annotated[
        list[str] | None, typer.Option(help="Only these, as the table names them; may be given again.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--format", help="table, or json: a list of all differences.")
    ] = Format.TABLE,
) -> None:
    """Hold every store and the topic against PostgreSQL, payment for payment; end with 4 when anything differs.

    A store that is not there is named, the others are compared; the end is 3 then when these agree.
    1 says that it could not compare.

    missing: PostgreSQL committed it and the store lacks it. changed: the store says something else. duplicate: the
    store has it twice. phantom: the store has what PostgreSQL never committed.
    """
    from payments_platform.clients.postgres import connect_arrow
    from payments_platform.settings import load_settings
    from payments_platform.streaming.owed import Postgres
    from payments_platform.streaming.verification import verify as compare
    from payments_platform.streaming.views import open_views

    settings = load_settings()
    at = since.replace(tzinfo=since.tzinfo or UTC) if since else None
    absent = _absent(settings, store)
    with ExitStack() as stack:
        known, refused = open_views(settings, stack)
        if not refused.is_empty():
            counted = f"{refused.height:,} versions stand as dead letters"
            say(f"{counted}, and are not owed where they were refused: payments dlq list")
        advance = stack.enter_context(counting("ranges"))
        views = [view for view in known if not store or view.name in store]
        with connect_arrow(settings.postgres("primary", "extract"), name="payments-verify") as connection:
            found = compare(Postgres(connection, settings.epoch, at), views, settle, lambda _: advance(1))
    _show(found, [view.name for view in views], output)
    if not found.is_empty():
        raise typer.Exit(DIFFERS)
    if absent:
        raise typer.Exit(NOT_ALL_COMPARED)


def _absent(settings: "Settings", chosen: list[str] | None) -> list[str]:
    """Say which of the chosen stores are not there, and return them. Ends with 1 when none is left to compare."""
    from payments_platform.streaming.views import NEEDS

    if unknown := sorted(set(chosen or ()) - set(NEEDS)):
        raise typer.BadParameter(
            f"no store is called {', '.join(unknown)}; there are {', '.join(NEEDS)}", param_hint="--store"
        )
    lacking, asked = settings.lacking(), chosen or list(NEEDS)
    absent = [name for name in asked if NEEDS[name] in lacking]
    for name in absent:
        say(f"{name} is not there and is not compared: {lacking[NEEDS[name]]}")
    if len(absent) == len(asked):
        say("Nothing was compared.")
        raise typer.Exit(1)
    return absent


def _show(found: "pl.DataFrame", names: list[str], output: Format) -> None:
    from payments_platform.streaming.comparison import KIND, KINDS
    from payments_platform.streaming.verification import STORE

    if output is Format.JSON:
        _out.print_json(json.dumps(found.to_dicts()))
        return
    counts = Table("store", *KINDS)
    of = dict.fromkeys(((name, kind) for name in names for kind in KINDS), 0)
    of |= {(name, kind): count for name, kind, count in found.group_by(STORE, KIND).len().iter_rows()}
    for name in names:
        counts.add_row(name, *(f"{of[name, kind]:,}" for kind in KINDS))
    _out.print(counts)
    if found.is_empty():
        return
    rows = Table("store", "kind", "payment", "version", "differs in")
    for column in rows.columns:
        column.overflow = "fold"
    for row in found.head(_SHOWN).iter_rows():
        rows.add_row(*("" if cell is None else str(cell) for cell in row))
    _out.print(rows)
    if found.height > _SHOWN:
        say(f"{found.height - _SHOWN:,} more; --format json gives all.")
