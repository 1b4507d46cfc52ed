"""``payments demo``: a week of payments from PostgreSQL to the star schema, and a table of what landed where.

Belongs here: the order of the steps and the closing tables. Does not: the steps (the commands of the same names).
"""

from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from payments_platform.settings import Settings

app = typer.Typer()
_out = Console(highlight=False)


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=2, max=60, help="Days of payments, ending yesterday.")] = 7,
    per_day: Annotated[int, typer.Option(min=1, help="Payments a day.")] = 20_000,
) -> None:
    """Start the stack, simulate a week, build it, and show what landed where. The stack and the UI stay up."""
    from payments_platform.commands import backfill, source, stack
    from payments_platform.settings import load_settings

    started = monotonic()
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=days - 1)
    _step("1/4 start the servers and the UI")
    stack.up(ui=True)
    _step(f"2/4 simulate {days} days of {per_day:,} payments in PostgreSQL")
    source.simulate(days=days, per_day=per_day, until=last)
    _step(f"3/4 backfill {first} … {last - timedelta(days=1)}")
    backfill.build(first, last - timedelta(days=1), models=False)
    _step(f"4/4 the daily job for {last}")
    backfill.run_daily(last)
    _close(load_settings(), first, last, monotonic() - started)


def _step(text: str) -> None:
    _out.rule(text, align="left")


def _close(settings: "Settings", first: date, last: date, seconds: float) -> None:
    """Print what landed, how long the phases took, and what to do next."""
    from payments_platform.commands.backfill import phase_times
    from payments_platform.local import stack
    from payments_platform.local.home import Home

    _out.print(_landed(settings, first, last))
    _out.print(phase_times(settings, last))
    urls = {it.name: it.address["url"] for it in stack.status(Home(settings.home)) if "url" in it.address}
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
