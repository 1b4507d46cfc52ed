"""`payments simulate | load`: fill the source system.

Belongs here: options, progress bars and sentences. Does not: what is written (oltp/).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

app = typer.Typer()
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
    per_day: Annotated[int, typer.Option(min=1, max=5_000_000, help="Payments a day, on average over a week.")] = 50_000,
    until: Annotated[
        date | None, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Last day, UTC.", show_default="yesterday")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, size, share of defects and days: same data.")] = 42,
    defects: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of payments planted with one defect.")] = 0.002,
) -> None:
    """Write invented payments with all their versions into the source, as if they had happened day by day.

    Days that an earlier run wrote are skipped or continued, never repeated.
    """
    from payments_platform.oltp.simulator.run import Target, simulate
    from payments_platform.oltp.simulator.world import World
    from payments_platform.settings import load_settings

    settings = load_settings()
    last = until or _yesterday()
    first = last - timedelta(days=days - 1)
    address = settings.postgres("primary", "loader")
    started = datetime.now(UTC)
    with _progress() as bar:
        task = bar.add_task("days", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        target = Target(address, settings.token_key(), last, advance, settings.home / "simulator")
        written = simulate(World(seed, per_day, defects), first, target)
    seconds = (datetime.now(UTC) - started).total_seconds()
    if not written.transactions and not written.versions:
        _err.print(f"Nothing to do: {first} to {last} with this seed and size are there already.")
        return
    _err.print(
        f"{written.transactions:,} transactions, {written.versions:,} versions on {written.days} days in {seconds:.1f} s"
        f" ({written.transactions / seconds:,.0f} transactions/s); {written.skipped_days} days were there already."
    )
    if written.truth is not None:
        _err.print(f"{written.defects:,} planted defects: {written.truth}")
    _err.print(f"Next: payments backfill --from {first} --to {last}")
