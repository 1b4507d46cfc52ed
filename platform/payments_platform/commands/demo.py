"""``payments demo``: a week of payments to the star schema, a minute of live ones to the stores, what landed where.

Belongs here: the order of the steps and the closing tables. Does not: the steps (the commands of the same names).
"""

import threading
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from payments_platform.settings import Settings

app = typer.Typer()
# What is in flight arrives meanwhile, on a machine that is busy too.
_SETTLE_SECONDS = 60.0
_out = Console(highlight=False)


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=2, max=60, help="Days of payments, ending yesterday.")] = 7,
    per_day: Annotated[int, typer.Option(min=1, help="Payments a day.")] = 20_000,
    live_seconds: Annotated[int, typer.Option(min=0, help="Seconds of live payments; 0 leaves them out.")] = 60,
    tps: Annotated[float, typer.Option(min=1, help="Live payments and changes a second.")] = 50.0,
) -> None:
    """Start the stack, build a week, send live payments, and show what landed where. The stack stays up."""
    from payments_platform.commands import backfill, source, stack
    from payments_platform.settings import load_settings

    started = monotonic()
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=days - 1)
    _step("1/5 start the servers and the UI")
    stack.up(ui=True, streams=True, workers=True)
    _step(f"2/5 simulate {days} days of {per_day:,} payments in PostgreSQL")
    source.simulate(days=days, per_day=per_day, until=last)
    _step(f"3/5 backfill {first} … {last - timedelta(days=1)}")
    backfill.build(first, last - timedelta(days=1), models=False)
    _step(f"4/5 the daily job for {last}")
    backfill.run_daily(last)
    settings = load_settings()
    is_right = not live_seconds or _send(settings, tps, live_seconds)
    _close(settings, first, last, monotonic() - started)
    if not is_right:
        raise typer.Exit(1)


def _send(settings: "Settings", tps: float, seconds: int) -> bool:
    """Live payments: how soon each store had them, and whether it has all of them; print both, return the latter."""
    from payments_platform.commands import verify
    from payments_platform.commands.delays import delay_table, lake_delay, open_finders
    from payments_platform.oltp.traffic.drive import Traffic, drive
    from payments_platform.oltp.traffic.operations import PAYMENT
    from payments_platform.operations.delays import Probe

    _step(f"5/5 {seconds} s of live payments, to every store")
    begun = datetime.now(UTC)
    app, loader = settings.postgres("primary", "app"), settings.postgres("primary", "loader")
    traffic = Traffic(app, loader, settings.token_key(), int(begun.timestamp()), tps)
    with open_finders(settings) as finders, Probe(finders) as probe:
        report = drive(
            traffic,
            seconds,
            threading.Event(),
            lambda _: None,
            lambda payment: probe.committed(payment.transaction_id, payment.created_at),
        )
        probe.settle(_SETTLE_SECONDS)
    title = f"{report.transactions:,} transactions, {report.tps:.0f} a second: seconds from commit to readable"
    _out.print(delay_table(probe.report(), title))
    try:
        verify.verify(since=begun, settle=_SETTLE_SECONDS)
    except typer.Exit as end:
        # A machine without a JDK has no search: said above, and no fault of the stores that are there.
        if end.exit_code != verify.NOT_ALL_COMPARED:
            return False
    finally:
        _out.print(lake_delay(settings, begun))
    every = "Every store that is there" if settings.lacking() else "Every store"
    _out.print(f"{every} has all {report.commit.counts[PAYMENT]:,} payments and each of their changes.")
    return True


def _step(text: str) -> None:
    _out.rule(text, align="left")


def _close(settings: "Settings", first: date, last: date, seconds: float) -> None:
    """Print what landed, how long the phases took, and what to do next."""
    from payments_platform.commands.backfill import phase_times
    from payments_platform.commands.freshness import lines_of, table_of
    from payments_platform.local import statuses
    from payments_platform.local.home import Home

    _out.print(_landed(settings, first, last))
    _out.print(phase_times(settings, last))
    _out.print(table_of(lines_of(settings, datetime.now(UTC)), brief=True))
    urls = {it.name: it.address["url"] for it in statuses.status(Home(settings.home)) if "url" in it.address}
    lines = [
        f"Done in {seconds:.0f} s. The servers and the UI stay up.",
        "",
        f"  asset graph  {urls.get('webserver', 'off')}/asset-groups",
        f"  lake         {settings.lake_root}",
        f"  warehouse    {settings.warehouse_path}",
        '  ask          .venv/bin/payments query "SELECT * FROM aggregates.merchant_daily LIMIT 5"',
        "  addresses    .venv/bin/payments status --format json",
        "  stop         make down    (data stays; make reset deletes it)",
    ]
    for line in lines:
        _out.print(line, markup=False, soft_wrap=True)


def _landed(settings: "Settings", first: date, last: date) -> Table:
    """Rows and bytes by dataset: the lake by its manifests, the warehouse by its tables."""
    from payments_platform.contracts.catalogue import of_zone
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.vocabulary import DBT_ZONES
    from payments_platform.warehouse.duckdb import DuckDBWarehouse

    table = Table("where", "dataset", "rows", "size", title=f"What landed, {first} … {last}")
    lake = Lake(LocalStorage(settings.lake_root))
    for zone in ("raw", "clean", "quarantine", "curated"):
        for dataset in of_zone(zone):
            outputs = [it.outputs[dataset.name] for it in lake.manifests(dataset) if first <= it.day <= last]
            rows, size = sum(it.rows for it in outputs), sum(it.bytes for it in outputs)
            table.add_row("lake", dataset.name, f"{rows:,}", f"{size / 1e6:.1f} MB")
    warehouse = DuckDBWarehouse(settings.warehouse_path)
    for zone in ("landing", *DBT_ZONES):
        for dataset in of_zone(zone):
            count = warehouse.query(f"select count(*) from {zone}.{dataset.table}").item()  # noqa: S608 - contract names
            table.add_row("warehouse", f"{zone}.{dataset.table}", f"{count:,}", "")
    return table
