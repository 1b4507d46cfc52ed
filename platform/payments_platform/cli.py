"""The root of `payments …`: registers the groups of commands, and turns expected errors into one clear message.

Belongs here: the list of groups and how errors are shown. Does not: any command (commands/), any logic of a room.
Command modules import typer and rich only; rooms are imported inside the command, so that --help stays fast.
"""

from typing import NoReturn

import typer
import typer.core
from rich.console import Console

from payments_platform.commands import (
    alerts,
    backfill,
    capture,
    demo,
    demo_late,
    dlq,
    docs,
    freshness,
    kpis,
    pictures,
    quarantine,
    rebuild,
    source,
    stack,
    stream,
    verify,
    warehouse,
)
from payments_platform.errors import ExplainedError

# Errors of clients are shown without a traceback as well: where the server is and what it said is all one needs.
_CLIENT_MODULES = ("psycopg", "cimpl", "pymongo", "elasticsearch", "elastic_transport")


class _Root(typer.core.TyperGroup):
    """Prints an expected error and ends with exit code 1; anything else is a defect and keeps its traceback."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except ExplainedError as error:
            _fail(str(error))
        except Exception as error:
            # By name: importing every client to compare classes would cost each command half a second.
            if type(error).__module__.split(".")[0] not in _CLIENT_MODULES:
                raise
            _fail(f"{str(error).strip()}\nSee what runs: payments status")


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)


app = typer.Typer(
    cls=_Root,
    name="payments",
    help="The payments data platform on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(stack.app)
app.add_typer(docs.app)
app.add_typer(pictures.app)
app.add_typer(source.app)
app.add_typer(warehouse.app)
app.add_typer(backfill.app)
app.add_typer(freshness.app)
app.add_typer(kpis.app)
app.add_typer(demo.app)
app.add_typer(demo_late.app)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(dlq.app, name="dlq")
app.add_typer(stream.app, name="stream")
app.add_typer(capture.app, name="capture")
app.add_typer(rebuild.app)
app.add_typer(verify.app)
app.add_typer(alerts.app, name="alerts")
