"""`payments rebuild` and `payments verify`: a store made again, and every store held against PostgreSQL.

Belongs here: options, questions, progress and tables. Does not: how a store is made again (streaming/rebuild.py), what
a store owes (streaming/verification.py).
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.settings import Settings
    from payments_platform.streaming.verification import View

app = typer.Typer()
_err = Console(stderr=True, highlight=False)
_out = Console(highlight=False)
_SHOWN = 20
Advance = Callable[[int], None]


class Store(StrEnum):
    """What the stream feeds."""

    MONGODB = "mongodb"
    ELASTICSEARCH = "elasticsearch"
    LAKE = "lake"


class Origin(StrEnum):
    """What a store is filled from."""

    LAKE = "lake"
    KAFKA = "kafka"


class Format(StrEnum):
    """How differences are printed."""

    TABLE = "table"
    JSON = "json"


@app.command()
def rebuild(
    sink: Annotated[Store, typer.Argument(metavar="SINK", help="mongodb, elasticsearch or lake.")],
    origin: Annotated[
        Origin, typer.Option("--from", help="lake: its segments, then the rest of the topic. kafka: the topic alone.")
    ] = Origin.LAKE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Empty a store and fill it again from what the stream left. Workers may go on; it may be run again at any time.

    The lake is not emptied: it keeps months and the topic a week. Its segments of that week are made again where they
    are wrong or missing, from Kafka, whatever --from says.
    """
    from payments_platform.settings import load_settings

    settings = load_settings()
    if sink is Store.LAKE:
        _rebuild_lake(settings)
        return
    if not yes and not typer.confirm(f"Readers find an empty {sink} until it is filled again. Go on?"):
        raise typer.Exit(1)
    _rebuild_store(settings, sink, origin)


def _rebuild_store(settings: "Settings", sink: Store, origin: Origin) -> None:
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.streaming.rebuild import rebuild_store
    from payments_platform.streaming.sinks import jobs

    over = jobs.mongodb_sink if sink is Store.MONGODB else jobs.elasticsearch_sink
    storage = LocalStorage(settings.lake_root)
    with closing(over(settings)) as filled, _counting("events") as advance:
        done = rebuild_store(filled, storage, settings.kafka_servers(), origin.value, advance)
    _err.print(f"{done.events:,} events written to {sink} again, {done.refused:,} refused as at the first time.")
    _err.print("Next: payments verify")


def _rebuild_lake(settings: "Settings") -> None:
    from payments_platform.clients.kafka import admin
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.streaming import reading
    from payments_platform.streaming.lag import lags_of
    from payments_platform.streaming.rebuild import LakeRebuild
    from payments_platform.streaming.sinks.jobs import LAKE
    from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

    servers = settings.kafka_servers()
    oldest = {number: low for number, (low, _) in reading.held(servers, ANALYTICS_TRANSACTIONS).items()}
    committed = {it.partition: it.committed for it in lags_of(admin(servers), [LAKE])}
    messages = partial(reading.between, servers, ANALYTICS_TRANSACTIONS)
    again = LakeRebuild(LocalStorage(settings.lake_root), messages, settings.flush_records)
    with _counting("offsets") as advance:
        done = again.run(oldest, committed, advance)
    _err.print(f"Segments: {done.kept:,} right, {done.replaced:,} written again, {done.made:,} that were missing.")
    _err.print("Next: payments verify")


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
    """Hold every store and the topic against PostgreSQL, payment for payment; end with 1 when anything differs.

    missing: PostgreSQL committed it and the store lacks it. changed: the store says something else. duplicate: the
    store has it twice. phantom: the store has what PostgreSQL never committed.
    """
    from payments_platform.clients.postgres import connect_arrow
    from payments_platform.settings import load_settings
    from payments_platform.streaming.owed import Postgres
    from payments_platform.streaming.verification import verify as compare

    settings = load_settings()
    at = since.replace(tzinfo=since.tzinfo or UTC) if since else None
    with ExitStack() as stack:
        known = _views(settings, stack)
        advance = stack.enter_context(_counting("ranges"))
        views = [view for view in known if not store or view.name in store]
        if not views:
            raise typer.BadParameter(f"no store is called {', '.join(store or [])}", param_hint="--store")
        with connect_arrow(settings.postgres("primary", "extract"), name="payments-verify") as connection:
            found = compare(Postgres(connection, settings.epoch, at), views, settle, lambda _: advance(1))
    _show(found, [view.name for view in views], output)
    if not found.is_empty():
        raise typer.Exit(1)


def _views(settings: "Settings", stack: ExitStack) -> "list[View]":
    """Every store as it is verified; connections and copies last as long as the stack."""
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.streaming import reading
    from payments_platform.streaming.owed import LakeRows, TopicRows, refused_versions
    from payments_platform.streaming.sinks import jobs
    from payments_platform.streaming.verification import View, appended_since, kept_since
    from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

    servers, kept = settings.kafka_servers(), kept_since(datetime.now(UTC))
    mongodb = stack.enter_context(closing(jobs.mongodb_sink(settings)))
    search = stack.enter_context(closing(jobs.elasticsearch_sink(settings)))
    topic = TopicRows(servers, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payments-verify-"))))
    lake = LakeRows(LocalStorage(settings.lake_root), topic, timedelta(seconds=settings.flush_seconds))
    lows = [low for low, _ in reading.held(servers, ANALYTICS_TRANSACTIONS).values()]
    oldest = topic.first() if any(lows) else None
    refused = refused_versions(servers)
    if not refused.is_empty():
        _err.print(f"{refused.height:,} versions stand as dead letters and are owed by no store: payments dlq list")
    views = [
        View("mongodb", has_versions=False, rows=mongodb.read, is_owed=kept),
        View("mongodb states", has_versions=True, rows=mongodb.states, is_owed=kept),
        View("elasticsearch", has_versions=False, rows=search.read, is_owed=kept),
        View("lake", has_versions=True, rows=lake.rows, is_owed=appended_since(lake.first())),
        View(ANALYTICS_TRANSACTIONS, has_versions=True, rows=topic.rows, is_owed=appended_since(oldest)),
    ]
    return [replace(view, refused=refused) for view in views]


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
        _err.print(f"{found.height - _SHOWN:,} more; --format json gives all.")


@contextmanager
def _counting(what: str) -> Iterator[Advance]:
    """A progress line on stderr that counts."""
    columns = (TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.advance(task, count)
