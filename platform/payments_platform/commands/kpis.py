"""``payments kpis``: how the platform's jobs did in a week, and its service levels in a month.

Belongs here: options, tables. Does not: what a figure is (operations/figures), where its facts are (defs/_platform).
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from payments_platform.commands.printing import Format, wide

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.defs._platform.figure_facts import FigureFacts
    from payments_platform.operations.figures.periods import Span
    from payments_platform.settings import Settings

app = typer.Typer()
_COLOURS: Final = {True: "green", False: "red", None: ""}
_VERDICT_COLOURS: Final = {"met": "green", "breached": "red", "not measured": "yellow"}
_NOT_MEASURED: Final = "not measured"


@app.command()
def kpis(
    week: Annotated[str | None, typer.Option(help="ISO week, as 2026-W48; by default this week, UTC.")] = None,
    month: Annotated[str | None, typer.Option(help="Month, as 2026-11; by default this month, UTC.")] = None,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Show success, durations, retries and lags of a week, and the register of service levels of a month. Read-only.

    With --week or --month alone, only that. Empty runs are not counted; a retried run is one, with its retry.
    """
    from payments_platform.settings import load_settings

    now = datetime.now(UTC)
    weeks, months = _spans(week, month, now)
    with figure_facts(load_settings()) as facts:
        figures = [(span, facts.week(span, now)) for span in weeks]
        registers = [(span, facts.month(span, now)) for span in months]
    if output is Format.JSON:
        rows = {
            "weekly_figures": [record(row) for _, frame in figures for row in frame.iter_rows(named=True)],
            "service_levels": [record(row) for _, frame in registers for row in frame.iter_rows(named=True)],
        }
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    console = wide()
    for span, frame in figures:
        console.print(week_table(span, frame))
    for span, frame in registers:
        console.print(register_table(span, frame))


def _spans(week: str | None, month: str | None, now: datetime) -> "tuple[list[Span], list[Span]]":
    from payments_platform.operations.figures.periods import month_named, month_of, week_named, week_of

    try:
        weeks = [week_named(week)] if week else []
        months = [month_named(month)] if month else []
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return (weeks, months) if weeks or months else ([week_of(now.date())], [month_of(now.date())])


@contextmanager
def figure_facts(settings: "Settings") -> "Iterator[FigureFacts]":
    """The places that figures are read from. Raises SettingMissing before the first ``payments up``."""
    from payments_platform.clients.dagster import records_of
    from payments_platform.defs._platform.figure_facts import FigureFacts
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.warehouse.duckdb import DuckDBWarehouse

    lake, warehouse = Lake(LocalStorage(settings.lake_root)), DuckDBWarehouse(settings.warehouse_path)
    with records_of(settings) as instance:
        yield FigureFacts(instance, lake, warehouse)


def week_table(week: "Span", figures: "pl.DataFrame") -> Table:
    """One line a job, schedule, sensor or phase and figure; what misses its target is red."""
    from payments_platform.operations.figures.catalogue import BY_NAME

    title = f"Week {week.name} (from Monday, {week.first}, UTC)"
    table = Table("of", "figure", "value", "must be", "of how many", title=title)
    before = None
    for row in figures.iter_rows(named=True):
        bound = BY_NAME[row["figure"]].target
        wanted = bound.in_words() if bound else (f"< {row['target']:g}" if row["target"] is not None else "")
        value = Text(shown(row["value"], row["unit"]), style=_COLOURS[row["is_met"]])
        subject = row["subject"] if row["subject"] != before else ""
        table.add_row(subject, row["figure"], value, wanted, f"{row['sample_count']}")
        before = row["subject"]
    if figures.is_empty():
        table.add_row("", "no run ended, nothing was evaluated", "", "", "0")
    return table


def register_table(month: "Span", register: "pl.DataFrame") -> Table:
    """One line a service level, met or not measured, or breached with what follows."""
    from payments_platform.operations.figures.register import BY_NAME

    title = f"Service levels, {month.name} ({'final' if register['is_final'].all() else 'so far'})"
    table = Table("service level", "verdict", "value", "promised", "missed by", "found", "consequence", title=title)
    for row in register.iter_rows(named=True):
        missed = shown(row["missed_by"], row["unit"]) if row["verdict"] == "breached" else ""
        table.add_row(
            row["service_level"],
            Text(row["verdict"], style=_VERDICT_COLOURS[row["verdict"]]),
            shown(row["value"], row["unit"]),
            BY_NAME[row["service_level"]].promised.in_words(),
            missed,
            row["finding"],
            row["consequence"] or "",
        )
    return table


def shown(value: float | None, unit: str) -> str:
    """A figure as people read it; one that was not measured says so."""
    if value is None:
        return _NOT_MEASURED
    return {"ratio": f"{value:.3f}", "seconds": f"{value:,.1f} s", "count": f"{value:,.0f}"}[unit]


def record(row: dict[str, Any]) -> dict[str, Any]:
    """One row as JSON: times and days in ISO 8601."""
    return {name: it.isoformat().replace("+00:00", "Z") if hasattr(it, "isoformat") else it for name, it in row.items()}
