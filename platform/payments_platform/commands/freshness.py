"""``payments freshness``: which datasets are late, since when and why; and how long each usually takes.

Belongs here: options, the table and the exit code. Does not: what is late (operations/freshness.py), how delays are
measured (operations/load_times.py).
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from payments_platform.commands.printing import Format, wide
from payments_platform.commands.saying import say

if TYPE_CHECKING:
    from payments_platform.operations.freshness import Freshness
    from payments_platform.operations.load_times import Measured
    from payments_platform.settings import Settings

app = typer.Typer()
_COLUMNS: Final = (
    "dataset",
    "state",
    "oldest missing",
    "due",
    "newest there",
    "landed",
    "delay",
    "P50",
    "P90",
    "max",
    "cause",
)
_BRIEF: Final = {"dataset", "state", "oldest missing", "newest there"}
_COLOURS: Final = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


@dataclass(frozen=True)
class Line:
    """One dataset: its state, and what is measured of the newest partition that is there."""

    state: "Freshness"
    measured: "Measured | None"


@app.command()
def freshness(
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"], help="Judge at this time, UTC; by default now."),
    ] = None,
) -> None:
    """Say of each dataset whether it is on time. Ends with 1 when one is late. Reads; changes nothing."""
    from payments_platform.settings import load_settings

    lines = lines_of(load_settings(), at.replace(tzinfo=UTC) if at else datetime.now(UTC))
    match output:
        case Format.TABLE:
            wide().print(table_of(lines))
        case Format.JSON:
            sys.stdout.write(json.dumps([record_of(line) for line in lines], indent=2) + "\n")
    if any(line.state.state == "FAIL" for line in lines):
        raise typer.Exit(1)


def lines_of(settings: "Settings", now: datetime) -> "list[Line]":
    """Every watched dataset at a time, in the order the data walks. Waits for no load.

    How old the streams' data are is known to Dagster's records alone: without the stack, streams are left out.
    """
    from payments_platform.definitions import defs
    from payments_platform.defs.operations.on_time import freshness_of, watched_of
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.operations.load_times import measured
    from payments_platform.warehouse.duckdb import DuckDBWarehouse

    lake, warehouse = Lake(LocalStorage(settings.lake_root)), DuckDBWarehouse(settings.warehouse_path)
    newest = _newest(settings)
    watched = watched_of(defs.get_repository_def(), lake, warehouse, now, newest=newest)
    known = {it.dataset: it for it in watched}
    return [Line(it, measured(known[it.dataset], now)) for it in freshness_of(watched, lake, now)]


def _newest(settings: "Settings") -> "dict[str, datetime | None]":
    from payments_platform.clients.dagster import RecordsAway, records_of
    from payments_platform.defs.operations.on_time import newest_of
    from payments_platform.settings import SettingMissing

    try:
        with records_of(settings) as instance:
            return newest_of(instance)
    except (SettingMissing, RecordsAway):
        say("The stack is not running, so nothing is said of streams.")
        return {}


def table_of(lines: Sequence[Line], *, brief: bool = False) -> Table:
    """The states as a table; the late ones first, then what is about to be. ``brief`` fits a terminal of 80 columns."""
    names = [name for name in _COLUMNS if not brief or name in _BRIEF]
    table = Table(title="Freshness: what is due and what is there (UTC; delays from the end of the day)")
    for name in names:
        table.add_column(name, no_wrap=name in {"dataset", "state"})
    order = list(_COLOURS)[::-1]
    for line in sorted(lines, key=lambda it: order.index(it.state.state)):
        cells = _cells(line)
        table.add_row(*(cells[name] for name in names))
    return table


def _cells(line: Line) -> dict[str, str | Text]:
    """What each column of the table says of a dataset."""
    state, found = line.state, line.measured
    cells: dict[str, str | Text] = {
        "dataset": state.dataset,
        "state": Text(state.state, style=_COLOURS[state.state]),
        "oldest missing": (state.missing or "")
        + (f" and {state.missing_count - 1} more" if state.missing_count > 1 else ""),
        "due": _moment(state.due_at),
        "cause": ", ".join(state.causes),
    }
    measured = {
        "newest there": found.partition.key if found else "",
        "landed": _moment(found.landed.landed_at) if found else "",
    }
    durations = ("delay", "P50", "P90", "max")
    taken = (found.delay, found.delays.p50, found.delays.p90, found.delays.longest) if found else ()
    return cells | measured | dict.fromkeys(durations, "") | dict(zip(durations, map(_duration, taken), strict=False))


def record_of(line: Line) -> dict[str, Any]:
    """One dataset as JSON: times in ISO 8601, durations in seconds."""
    state, found = line.state, line.measured
    return {
        "dataset": state.dataset,
        "state": state.state,
        "owner": state.owner,
        "reason": state.reason,
        "since": _iso(state.since),
        "missing": state.missing,
        "missing_count": state.missing_count,
        "due_at": _iso(state.due_at),
        "next_due_at": _iso(state.next_due),
        "causes": list(state.causes),
        "newest_partition": found.partition.key if found else None,
        "landed_at": _iso(found.landed.landed_at) if found else None,
        "data_as_of": _iso(found.landed.data_as_of) if found else None,
        "delay_seconds": round(found.delay.total_seconds()) if found else None,
        "p50_delay_seconds": round(found.delays.p50.total_seconds()) if found else None,
        "p90_delay_seconds": round(found.delays.p90.total_seconds()) if found else None,
        "longest_delay_seconds": round(found.delays.longest.total_seconds()) if found else None,
        "landed_count": found.delays.count if found else 0,
    }


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else ""


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _duration(it: timedelta) -> str:
    """Hours and minutes, of days many: 3 h 05 min, 12 d 4 h."""
    minutes = round(it.total_seconds()) // 60
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60:02} min"
