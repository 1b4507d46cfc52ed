"""``payments backfill``: build a range of days, the lake half in ranges, then the warehouse models once.

Belongs here: the command's arguments and what it prints. Does not: how a job runs (clients/dagster.py).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from payments_platform.errors import ExplainedError

app = typer.Typer()


class BackfillFailed(ExplainedError):
    """At least one day did not reach the warehouse."""


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as YYYY-MM-DD") from None


@app.command()
def backfill(
    first: Annotated[date, typer.Option("--from", parser=_day, metavar="DATE", help="First day, UTC.")],
    last: Annotated[date, typer.Option("--to", parser=_day, metavar="DATE", help="Last day, included.")],
    *,
    models: Annotated[bool, typer.Option(help="Build the dbt models once the days have landed.")] = True,
) -> None:
    """Build the days FROM … TO: extract, validate, conform, land, then build the star schema.

    A day built before is built again and gives the same content; a day that fails leaves the others alone, and is
    named at the end (exit code 1).
    """
    from payments_platform.settings import load_settings

    settings = load_settings()
    newest = datetime.now(UTC).date() - timedelta(days=1)
    if not settings.first_partition <= first <= last <= newest:
        raise typer.BadParameter(
            f"days must lie between {settings.first_partition} (PAYMENTS_FIRST_PARTITION) and yesterday, {newest},"
            " and --from must not be after --to"
        )
    _run(first, last, models=models)


def _run(first: date, last: date, *, models: bool) -> None:
    from time import monotonic

    from payments_platform.clients.dagster import instance_of, run_job
    from payments_platform.definitions import defs
    from payments_platform.settings import load_settings

    console, settings = Console(stderr=True), load_settings()
    problems: list[str] = []
    with instance_of(settings) as instance:
        for start, end in ranges(first, last, settings.days_per_run):
            started = monotonic()
            tags = {"dagster/asset_partition_range_start": str(start), "dagster/asset_partition_range_end": str(end)}
            outcome = run_job(defs, "lake_to_landing", instance, tags)
            problems += outcome.problems
            console.print(
                f"{start} … {end}: {'landed' if outcome.is_success else 'failed'} in {monotonic() - started:.1f} s"
            )
        if models:
            started = monotonic()
            outcome = run_job(defs, "warehouse_models", instance)
            problems += outcome.problems
            console.print(f"models: {'built' if outcome.is_success else 'failed'} in {monotonic() - started:.1f} s")
    if problems:
        raise BackfillFailed("\n".join(problems[:20]) + "\nMend the cause and run the same command again.")


def ranges(first: date, last: date, size: int) -> list[tuple[date, date]]:
    """Split ``[first, last]`` into ranges of at most ``size`` days, both ends included."""
    starts = [first + timedelta(days=offset) for offset in range(0, (last - first).days + 1, size)]
    return [(start, min(start + timedelta(days=size - 1), last)) for start in starts]
