"""``payments quarantine …``: see the rows that broke a rule, and decide about them.

Belongs here: arguments, what is printed, who is recorded. Does not: what a decision does (batch/repairs.py), how it is
kept (lake/records.py). Values of a row are masked; --reveal shows them and records who looked, and why.
"""

import json
import os
import pwd
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payments_platform.commands.saying import say
from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.batch.repairs import RowState
    from payments_platform.contracts.dataset import Dataset
    from payments_platform.lake.partitions import Lake

app = typer.Typer(
    help="Rows that broke a rule: list them, show one, repair, release or discard it.", no_args_is_help=True
)


class RowUnknown(ExplainedError):
    """There is no such table, day or row in quarantine; the text names what there is."""


class State(StrEnum):
    """Where a row stands."""

    OPEN = "open"
    REPAIRED = "repaired"
    RELEASED = "released"
    DISCARDED = "discarded"
    FAILED_AGAIN = "failed again"


class Format(StrEnum):
    """How the list is printed."""

    TABLE = "table"
    JSON = "json"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as YYYY-MM-DD") from None


_Table = Annotated[str, typer.Argument(metavar="TABLE", help="Table, as in clean/<table>: transactions, merchants, …")]
_Day = Annotated[date, typer.Argument(parser=_day, metavar="DATE", help="The day that the row is quarantined on.")]
_Row = Annotated[str, typer.Argument(metavar="KEY/VERSION", help="The row, as `list` names it.")]
_Why = Annotated[str, typer.Option("--why", help="The reason, kept with the decision for ever.")]


@app.command("list")
def list_rows(
    *,
    table: Annotated[str | None, typer.Option(help="Only this table.")] = None,
    day: Annotated[date | None, typer.Option(parser=_day, metavar="DATE", help="Only this day.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    state: Annotated[State | None, typer.Option(help="Only rows in this state.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows that the table shows at most; json gives all.")] = 50,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Every row in quarantine or decided about: its rules, its state, its age; and how many there are of each."""
    lake = _lake()
    names = [table] if table else _tables()
    rows = [found for name in names for found in _states(lake, _raw(name), day)]
    rows = [row for row in rows if (not rule or rule in row.reasons.split(",")) and (not state or row.state == state)]
    if output is Format.JSON:
        typer.echo(json.dumps([_record(row) for row in rows], indent=2))
        return
    console = Console(highlight=False, width=None if Console().is_terminal else 200)
    console.print(_counted(rows))
    console.print(_listed(rows[:limit]))
    if len(rows) > limit:
        say(f"{len(rows) - limit:,} more rows; raise --limit, or narrow by --table, --day, --rule, --state.")
    first = next((row for row in rows if row.state in {"open", "failed again"}), None)
    if first:
        say(f"Next: payments quarantine show {first.table} {first.day} {first.key}/{first.version}")


@app.command()
def show(
    table: _Table,
    day: _Day,
    row: _Row,
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the values as they are; is recorded.")] = False,
    why: Annotated[str, typer.Option("--why", help="With --reveal: why the values must be seen.")] = "",
) -> None:
    """One row: what it broke and why that matters, its values (masked unless --reveal), what was decided before."""
    from payments_platform.batch.repairs import masked
    from payments_platform.contracts.catalogue import dataset
    from payments_platform.contracts.quarantine import REVEALS
    from payments_platform.lake import records

    lake, raw, (key, version) = _lake(), _raw(table), _parts(row)
    past = _decisions(lake, table, day, key, version)
    if past and _found(lake, raw, day, key, version) is None:
        say(f"{table} {day} {row} is in quarantine no more. What was decided about it:")
        _tell(past)
        return
    clean, values = dataset(f"clean/{table}"), _values(lake, raw, day, key, version)
    if reveal:
        if not why.strip():
            raise typer.BadParameter("say why the values must be seen; it is recorded", param_hint="--why")
        records.append(lake.storage, REVEALS, _signed(table, day, key, version, why))
    reasons = {rule.id: rule.reason for rule in clean.row_rules}
    for broken in values["reasons"].split(","):
        say(f"{broken}: {reasons.get(broken, 'a rule that no longer exists')}")
    listed = {code for codes in clean.closed_lists.values() for code in codes} | {key}
    shown = {name: str(values[name]) for name in raw.names} if reveal else masked(raw, values, listed)
    cells = Table("column", "value", title=Text(f"{table} {day} {row}"))
    for name, value in shown.items():
        cells.add_row(name, Text(value))
    Console(highlight=False, width=None if Console().is_terminal else 200).print(cells)
    _tell(past)
    say(f"Next: payments quarantine repair {table} {day} {row} --set COLUMN=VALUE --why '…' (or release, discard)")


def _tell(decisions: list[dict[str, Any]]) -> None:
    for it in decisions:
        say(f"{it['recorded_at']:%Y-%m-%d %H:%M} {it['recorded_by']}: {it['action']} {it['changes']}: {it['reason']}")


@app.command()
def repair(
    table: _Table,
    day: _Day,
    row: _Row,
    why: _Why,
    *,
    sets: Annotated[list[str], typer.Option("--set", metavar="COLUMN=VALUE", help="A column's right value.")] = [],  # noqa: B006 - Typer copies it
    nulls: Annotated[list[str], typer.Option("--null", metavar="COLUMN", help="A column to empty.")] = [],  # noqa: B006 - Typer copies it
) -> None:
    """Record the right values of a row. The next run of its day judges it again, by every rule."""
    from payments_platform.batch.repairs import parsed

    raw, changes = _raw(table), dict[str, str | None]()
    for item in sets:
        name, separator, value = item.partition("=")
        if not separator:
            raise typer.BadParameter(f"{item!r} is no COLUMN=VALUE", param_hint="--set")
        changes[name] = value
    changes |= dict.fromkeys(nulls)
    if not changes:
        raise typer.BadParameter("say what is right: --set COLUMN=VALUE or --null COLUMN", param_hint="--set")
    for name, text in changes.items():
        parsed(raw, name, text)
    _decide(table, day, row, "repair", changes, why)


@app.command()
def release(table: _Table, day: _Day, row: _Row, why: _Why) -> None:
    """Accept a row as it is. Rules about what is plausible are waived for it; the others it must satisfy."""
    from payments_platform.batch.repairs import refuse_release
    from payments_platform.contracts.catalogue import dataset

    lake, raw, (key, version) = _lake(), _raw(table), _parts(row)
    if not _is_decided(lake, table, day, key, version, "release", {}):
        refuse_release(dataset(f"clean/{table}"), _values(lake, raw, day, key, version)["reasons"])
    _decide(table, day, row, "release", {}, why)


@app.command()
def discard(table: _Table, day: _Day, row: _Row, why: _Why) -> None:
    """Decide that a row stays out: it stays in quarantine while it breaks a rule, and is open no more."""
    _decide(table, day, row, "discard", {}, why)


def _decide(table: str, day: date, row: str, action: str, changes: dict[str, str | None], why: str) -> None:
    """Append the decision, unless it is the last one about the row already; say what to type next."""
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    lake, raw, (key, version) = _lake(), _raw(table), _parts(row)
    if not why.strip():
        raise typer.BadParameter("a decision needs its reason", param_hint="--why")
    past = _decisions(lake, table, day, key, version)
    if _is_decided(lake, table, day, key, version, action, changes):
        say("That is what was decided about the row already; nothing was recorded.")
    else:
        if not past:
            _values(lake, raw, day, key, version)
        decision = {"action": action, "changes": json.dumps(changes, sort_keys=True)}
        records.append(lake.storage, REPAIRS, _signed(table, day, key, version, why) | decision)
        say(f"Recorded: {action} of {table} {day} {row}.")
    # A row that was never decided about is in quarantine already; one that came back must be taken out by a run.
    is_out = action == "discard" and all(earlier["action"] == "discard" for earlier in past)
    say("Next: payments quarantine list" if is_out else f"Next: payments backfill --from {day} --to {day}")


def _is_decided(
    lake: "Lake", table: str, day: date, key: str, version: int, action: str, changes: dict[str, str | None]
) -> bool:
    past = _decisions(lake, table, day, key, version)
    return bool(past) and (past[-1]["action"], json.loads(past[-1]["changes"])) == (action, changes)


def _signed(table: str, day: date, key: str, version: int, why: str) -> dict[str, Any]:
    """The row, and who decides when: the account that runs the command, which nobody can type."""
    return {
        "table_name": table,
        "partition_date": day,
        "row_key": key,
        "version": version,
        "reason": why.strip(),
        "recorded_by": pwd.getpwuid(os.getuid()).pw_name,
        "recorded_at": datetime.now(UTC),
    }


def _lake() -> "Lake":
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.settings import load_settings

    return Lake(LocalStorage(load_settings().lake_root))


def _tables() -> list[str]:
    from payments_platform.contracts.catalogue import of_zone

    return [clean.table for clean in of_zone("clean") if clean.identity]


def _raw(table: str) -> "Dataset":
    from payments_platform.contracts.catalogue import dataset

    if table not in _tables():
        raise RowUnknown(f"{table!r} has no quarantine that can be decided about; tables: {', '.join(_tables())}")
    return dataset(f"raw/{table}")


def _parts(row: str) -> tuple[str, int]:
    key, _, version = row.rpartition("/")
    if not key or not version.isdigit():
        raise typer.BadParameter(f"{row!r} names no row; write KEY/VERSION, as `payments quarantine list` does")
    return key, int(version)


def _quarantined(lake: "Lake", raw: "Dataset", day: date) -> "pl.LazyFrame":
    """The quarantine of a day, also of one whose checks failed: that is when it must be looked at."""
    from payments_platform.contracts.catalogue import dataset

    return lake.scan(dataset(f"quarantine/{raw.table}"), day, allow_pending=True)


def _values(lake: "Lake", raw: "Dataset", day: date, key: str, version: int) -> dict[str, Any]:
    """One quarantined row. Raises RowUnknown naming some that are there."""
    found = _found(lake, raw, day, key, version)
    if found is None:
        rows = _quarantined(lake, raw, day).select(raw.primary_key).head(5).collect()
        there = [f"{known}/{number}" for known, number in rows.iter_rows()]
        known = f"; there are: {', '.join(there)}" if there else "; that day has none"
        raise RowUnknown(f"{raw.table} {day} has no row {key}/{version} in quarantine{known}.")
    return found


def _found(lake: "Lake", raw: "Dataset", day: date, key: str, version: int) -> dict[str, Any] | None:
    import polars as pl

    rows, (key_name, version_name) = _quarantined(lake, raw, day), raw.primary_key
    found = rows.filter((pl.col(key_name) == key) & (pl.col(version_name) == version)).collect()
    return None if found.is_empty() else found.row(0, named=True)


def _decisions(lake: "Lake", table: str, day: date, key: str, version: int) -> list[dict[str, Any]]:
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    found = records.read(lake.storage, REPAIRS, table, day)
    return [row for row in found.iter_rows(named=True) if (row["row_key"], row["version"]) == (key, version)]


def _states(lake: "Lake", raw: "Dataset", day: date | None) -> "list[RowState]":
    from payments_platform.batch.repairs import APPLIED, states
    from payments_platform.contracts.catalogue import dataset
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    found: list[RowState] = []
    for manifest in lake.manifests(dataset(f"clean/{raw.table}")):
        if day not in {None, manifest.day}:
            continue
        decisions = records.read(lake.storage, REPAIRS, raw.table, manifest.day)
        if manifest.outputs[f"quarantine/{raw.table}"].rows == 0 and decisions.is_empty():
            continue
        rows = _quarantined(lake, raw, manifest.day).select(*raw.primary_key, "reasons").collect()
        applied, today = manifest.counts.get(APPLIED, 0), datetime.now(UTC).date()
        found += states(rows, raw, decisions, day=manifest.day, applied=applied, today=today)
    return found


def _record(row: "RowState") -> dict[str, Any]:
    return {
        "table": row.table,
        "day": str(row.day),
        "row": f"{row.key}/{row.version}",
        "rules": [rule for rule in row.reasons.split(",") if rule],
        "state": row.state,
        "is_applied": row.is_applied,
        "age_days": row.age_days,
    }


def _counted(rows: "list[RowState]") -> Table:
    """How many rows broke each rule, by state, and the age of the oldest."""
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        for rule in row.reasons.split(","):
            counts.setdefault((row.table, rule, row.state), []).append(row.age_days)
    table = Table("table", "rule", "state", "rows", "oldest, days", title=f"{len(rows):,} rows")
    for (name, rule, state), ages in sorted(counts.items()):
        table.add_row(name, rule or "none any more", state, f"{len(ages):,}", f"{max(ages)}")
    return table


def _listed(rows: "list[RowState]") -> Table:
    table = Table("table", "day", "row", "rules", "state", "age, days")
    for row in rows:
        # A discarded row without a broken rule came back by an earlier decision, and is out again with the next run.
        is_effective = row.state in {"repaired", "released"} or (row.state == "discarded" and not row.reasons)
        waits = is_effective and not row.is_applied
        state = f"{row.state}, from the next run" if waits else row.state
        table.add_row(row.table, str(row.day), Text(f"{row.key}/{row.version}"), row.reasons, state, f"{row.age_days}")
    return table
