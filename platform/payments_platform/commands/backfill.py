"""``payments backfill``: build a range of days, the lake half in ranges, then the warehouse models once.

Belongs here: the command's arguments and what it prints. Does not: how a job runs (clients/dagster.py).
"""

from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from rich.table import Table

    from payments_platform.clients.dagster import Tags
    from payments_platform.settings import Settings

app = typer.Typer()
# Dagster's own names of what a run covers.
RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
PARTITION: Final = "dagster/partition"


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
    if first > last:
        raise typer.BadParameter(f"{first}, the first day, is after {last}, the last", param_hint="--from")
    _check_day(first, settings.first_partition)
    _check_day(last, settings.first_partition)
    build(first, last, models=models)


@app.command("run-day")
def run_day(day: Annotated[date, typer.Argument(parser=_day, metavar="DATE", help="The day, UTC.")]) -> None:
    """Run the daily job for one day, source to star schema, with its phase times: what the schedule does at 02:00."""
    from payments_platform.settings import load_settings

    settings = load_settings()
    _check_day(day, settings.first_partition)
    run_daily(day)
    Console(highlight=False).print(phase_times(settings, day))


def newest_day() -> date:
    """The last day that is over, UTC: nothing younger can be built."""
    return datetime.now(UTC).date() - timedelta(days=1)


def _check_day(day: date, oldest: date) -> None:
    """Refuse a day without a partition here: Dagster would start a run and fail once per asset."""
    if day < oldest:
        raise typer.BadParameter(f"{day} is before the first day, {oldest} (PAYMENTS_FIRST_PARTITION)")
    if day > newest_day():
        raise typer.BadParameter(f"{day} is not over yet (UTC); the last day that can be built is {newest_day()}")


def build(first: date, last: date, *, models: bool) -> None:
    """Run the lake half in ranges, then the models once. Raises BackfillFailed naming what did not pass."""
    from payments_platform.clients.dagster import Tags
    from payments_platform.settings import load_settings

    settings = load_settings()
    runs: list[tuple[str, str, Tags]] = [
        (f"{start} … {end}", "lake_to_landing", {RANGE_START: str(start), RANGE_END: str(end)})
        for start, end in ranges(first, last, settings.days_per_run)
    ]
    _run_all([*runs, *([("models", "warehouse_models", {})] if models else [])])


def run_daily(day: date) -> None:
    """Run the daily job for one day, as its schedule does."""
    _run_all([(str(day), "daily_oltp_to_dwh", {PARTITION: str(day)})])


def phase_times(settings: "Settings", day: date) -> "Table":
    """What the phases of a day's last daily job took, beside their targets and limits."""
    from rich.table import Table

    from payments_platform.contracts.operations import PHASE_TIMES
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage

    table = Table("phase", "seconds", "target", "limit", title=f"The daily job for {day}")
    lake = Lake(LocalStorage(settings.lake_root))
    for row in lake.scan(PHASE_TIMES, day).collect().iter_rows(named=True):
        table.add_row(row["phase"], f"{row['seconds']:.1f}", f"{row['target_seconds']} s", f"{row['sla_seconds']} s")
    return table


def _run_all(runs: "list[tuple[str, str, Tags]]") -> None:
    from time import monotonic

    from payments_platform.clients.dagster import instance_of, run_job
    from payments_platform.clients.postgres import connect
    from payments_platform.definitions import defs
    from payments_platform.defs._platform.at_work import refuse_at_work
    from payments_platform.settings import load_settings

    console, problems = Console(stderr=True, highlight=False), list[str]()
    settings = load_settings()
    # A stopped stack is said in one sentence here; Dagster's own storage would answer with a traceback.
    connect(settings.postgres("platform", "dagster"), name="backfill").close()
    log = settings.home / "logs" / "jobs.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with instance_of(settings) as instance, log.open("a") as output, redirect_stdout(output):
        for label, job, tags in runs:
            refuse_at_work(instance, defs.get_repository_def(), job, tags)
            started = monotonic()
            with console.status(f"{label}: {job}"):
                outcome = run_job(defs, job, instance, tags)
            console.print(f"{label}: {'done' if outcome.is_success else 'failed'} in {monotonic() - started:.1f} s")
            for warning in outcome.warnings:
                console.print(f"warning: {warning}", markup=False, soft_wrap=True)
            problems += outcome.problems
            if not outcome.is_success and not outcome.problems:
                problems.append(f"{label}: {job} failed outside its steps; run {outcome.run_id} in the UI says why")
    if problems:
        text = "\n".join(problems[:20])
        raise BackfillFailed(f"{text}\nWhat the jobs printed: {log}. Mend the cause and run the same command again.")


def ranges(first: date, last: date, size: int) -> list[tuple[date, date]]:
    """Split ``[first, last]`` into ranges of at most ``size`` days, both ends included."""
    starts = [first + timedelta(days=offset) for offset in range(0, (last - first).days + 1, size)]
    return [(start, min(start + timedelta(days=size - 1), last)) for start in starts]
