"""`payments simulate | load`: fill the source system.

Belongs here: options, progress bars and sentences. Does not: what is written (oltp/).
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from payments_platform.commands.live import show_live
from payments_platform.commands.saying import say

if TYPE_CHECKING:
    from payments_platform.oltp.simulator.run import Written

app = typer.Typer()
# The source makes no partitions for days before.
_FIRST_DAY = date(2010, 1, 1)
_err = Console(stderr=True, highlight=False)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_err,
        transient=True,
    )


def _yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write YYYY-MM-DD") from None


@app.command()
def simulate(
    days: Annotated[int, typer.Option(min=1, max=4000, help="Days of payments, the last one being --until.")] = 7,
    per_day: Annotated[
        int, typer.Option(min=1, max=5_000_000, help="Payments a day, on average over a week.")
    ] = 50_000,
    until: Annotated[
        date | None, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Last day, UTC.", show_default="yesterday")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, size, share of defects and days: same data.")] = 42,
    defects: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of payments planted with one defect.")
    ] = 0.002,
    live: Annotated[
        bool, typer.Option("--live", help="Make payments now, at a steady rate, instead of writing past days.")
    ] = False,
    tps: Annotated[
        float, typer.Option(min=0.1, max=100_000, help="With --live: transactions a second.", show_default=True)
    ] = 200.0,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="With --live: how long.", show_default="until Ctrl-C")
    ] = None,
) -> None:
    """Write invented payments with all their versions into the source, as if they had happened day by day.

    Days that an earlier run wrote are skipped or continued, never repeated. With --live, the application makes small
    transactions (payments, captures, refunds, disputes, changed profiles) at the present moment instead: --days,
    --per-day, --until and --defects do not apply.
    """
    if live:
        show_live(seed, tps, seconds)
    else:
        _write_days(days, per_day, until or _yesterday(), seed, defects)


def _write_days(days: int, per_day: int, last: date, seed: int, defects: float) -> None:
    from payments_platform.oltp.simulator.run import Target, simulate
    from payments_platform.oltp.simulator.world import World
    from payments_platform.settings import load_settings

    settings = load_settings()
    first = last - timedelta(days=days - 1)
    if last > _yesterday() + timedelta(days=1):
        raise typer.BadParameter(f"{last} lies in the future; payments cannot be simulated before their day")
    if first < _FIRST_DAY:
        raise typer.BadParameter(f"the days begin on {first}, before the source's first, {_FIRST_DAY}")
    address = settings.postgres("primary", "loader")
    started = datetime.now(UTC)
    with _progress() as bar:
        task = bar.add_task("days", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        target = Target(address, settings.token_key(), last, advance, settings.home / "simulator")
        written = simulate(World(seed, per_day, defects), first, target)
    seconds = (datetime.now(UTC) - started).total_seconds()
    _say_written(written, seconds, f"{first} to {last}")
    say(f"Next: payments backfill --from {first} --to {last}")


def _say_written(written: "Written", seconds: float, asked: str) -> None:
    if not written.tables:
        say(f"Nothing to do: {asked} with this seed, size and share of defects are there already.")
    else:
        say(
            f"{written.transactions:,} transactions, {written.versions:,} versions on {written.days} days in"
            f" {seconds:.1f} s ({written.transactions / seconds:,.0f} transactions/s);"
            f" {written.skipped_days} days were there already.",
        )
        table = Table("table", "versions")
        for name, count in sorted(written.tables.items()):
            table.add_row(name, f"{count:,}")
        _err.print(table)
    say(f"Planted defects: {written.defects:,}, listed in {written.truth}")
    say(f"Payments nobody consented to: {written.frauds:,}, listed in {written.fraud_truth}; disputes tell days later.")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="Transactions as .parquet, .csv or .csv.gz.", metavar="FILE")],
    merchant_country: Annotated[
        str, typer.Option(metavar="XX", help="Country of new merchants that the file names none for.")
    ] = "US",
    dispute_delay_days: Annotated[
        float, typer.Option(min=0, max=365, help="Days from a payment with is_fraud to its dispute.")
    ] = 7.0,
) -> None:
    """Load your own transactions: all good rows of FILE in one transaction, or none.

    Required columns: transaction_id, created_at, customer_id, merchant_id, currency, and amount (decimal, major units)
    or amount_minor (integer). Optional: status (default succeeded), updated_at (default created_at),
    payment_method_id, device_id, country, mcc, description, is_fraud. Times without a zone are UTC.

    Customers and merchants that FILE names are created. A payment with is_fraud true is disputed as fraudulent some
    days later; the flag itself is stored nowhere. Exchange rates of days that have none are invented. Repeating a load
    writes nothing twice, and opens the disputes whose time has come since.
    """
    from payments_platform.money import COUNTRIES
    from payments_platform.oltp.loading.run import Source, load
    from payments_platform.settings import load_settings

    if merchant_country not in COUNTRIES:
        raise typer.BadParameter(f"{merchant_country!r} is no ISO 3166-1 alpha-2 code", param_hint="--merchant-country")
    settings = load_settings()
    now = datetime.now(UTC)
    address, key = settings.postgres("primary", "loader"), settings.token_key()
    with _progress() as bar:
        task = bar.add_task(f"reading {file.name}", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, description="rows", completed=done, total=total)

        delay = timedelta(days=dispute_delay_days)
        report = load(file, Source(address, key, now, merchant_country, settings.home / "loads", delay), advance)
    seconds = (datetime.now(UTC) - now).total_seconds()
    say(
        f"{report.rows:,} rows read in {seconds:.1f} s: {report.inserted:,} loaded, {report.skipped:,} there already,"
        f" {report.rejected:,} rejected; {report.customers:,} customers and {report.merchants:,} merchants created.",
    )
    if report.disputes or report.disputes_to_come:
        say(f"Fraudulent payments: {report.disputes:,} disputes opened, {report.disputes_to_come:,} not due yet.")
    if report.ignored_columns:
        say(f"Ignored columns: {', '.join(report.ignored_columns)}")
    if report.rejects is not None:
        say(f"Rejected rows, with line and reason: {report.rejects}")
    if report.first_day is not None and report.last_day is not None:
        _say_next(report.first_day, report.last_day, settings.first_partition)
    if report.rows == report.rejected:
        say("Nothing was loaded.")
        raise typer.Exit(1)


def _say_next(first: date, last: date, oldest: date) -> None:
    """Print the backfill that can be run, and name the days of the file that it must leave out."""
    if first < oldest:
        say(f"Days before {oldest} (PAYMENTS_FIRST_PARTITION) are in the source and have no partition in the lake.")
    if last > _yesterday():
        say("Payments of today can be built once the day is over (UTC).")
    start, end = max(first, oldest), min(last, _yesterday())
    if start <= end:
        say(f"Next: payments backfill --from {start} --to {end}")
