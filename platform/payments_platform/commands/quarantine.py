"""``payments quarantine …``: see the rows that broke a rule, and decide about them.

Belongs here: arguments, what is printed, who is recorded. Does not: what a decision does (batch/repairs.py), how it is
kept (lake/records.py). Values of a row are masked; --reveal shows them and records who looked, and why.
"""

import json
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from payments_platform.commands import quarantine_tables as shown
from payments_platform.commands import quarantined_rows as rows
from payments_platform.commands.deciding import Why, account, must_say
from payments_platform.commands.printing import Format, wide
from payments_platform.commands.saying import say

app = typer.Typer(
    help="Rows that broke a rule: list them, show one, repair, release or discard it.", no_args_is_help=True
)


class State(StrEnum):
    """Where a row stands."""

    OPEN = "open"
    REPAIRED = "repaired"
    RELEASED = "released"
    DISCARDED = "discarded"
    FAILED_AGAIN = "failed again"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as YYYY-MM-DD") from None


_Table = Annotated[str, typer.Argument(metavar="TABLE", help="Table, as in clean/<table>: transactions, merchants, …")]
_Day = Annotated[date, typer.Argument(parser=_day, metavar="DATE", help="The day that the row is quarantined on.")]
_Row = Annotated[str, typer.Argument(metavar="KEY/VERSION", help="The row, as `list` names it.")]


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
    lake = rows.open_lake()
    names = [table] if table else rows.tables()
    all_rows = [it for name in names for it in rows.states_of(lake, rows.contract_of(name), day)]
    chosen = [
        row for row in all_rows if (not rule or rule in row.reasons.split(",")) and (not state or row.state == state)
    ]
    if output is Format.JSON:
        typer.echo(json.dumps([shown.record(row) for row in chosen], indent=2))
        return
    console = wide()
    console.print(shown.counted(chosen))
    console.print(shown.listed(chosen[:limit]))
    if len(chosen) > limit:
        say(f"{len(chosen) - limit:,} more rows; raise --limit, or narrow by --table, --day, --rule, --state.")
    first = next((row for row in chosen if row.state in {"open", "failed again"}), None)
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

    lake, raw, (key, version) = rows.open_lake(), rows.contract_of(table), rows.parts(row)
    past = rows.decisions_about(lake, table, day, key, version)
    if past and rows.find(lake, raw, day, key, version) is None:
        say(f"{table} {day} {row} is in quarantine no more. What was decided about it:")
        _tell(past)
        return
    clean, values = dataset(f"clean/{table}"), rows.values_of(lake, raw, day, key, version)
    if reveal:
        must_say(why, "say why the values must be seen; it is recorded")
        records.append(lake.storage, REVEALS, _signed(table, day, key, version, why))
    reasons = {rule.id: rule.reason for rule in clean.row_rules}
    for broken in values["reasons"].split(","):
        say(f"{broken}: {reasons.get(broken, 'a rule that no longer exists')}")
    listed = {code for codes in clean.closed_lists.values() for code in codes} | {key}
    texts = {name: str(values[name]) for name in raw.names} if reveal else masked(raw, values, listed)
    cells = Table("column", "value", title=Text(f"{table} {day} {row}"))
    for name, value in texts.items():
        cells.add_row(name, Text(value))
    wide().print(cells)
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
    why: Why,
    *,
    sets: Annotated[list[str], typer.Option("--set", metavar="COLUMN=VALUE", help="A column's right value.")] = [],  # noqa: B006 - Typer copies it
    nulls: Annotated[list[str], typer.Option("--null", metavar="COLUMN", help="A column to empty.")] = [],  # noqa: B006 - Typer copies it
) -> None:
    """Record the right values of a row. The next run of its day judges it again, by every rule."""
    from payments_platform.batch.repairs import parsed

    raw, changes = rows.contract_of(table), dict[str, str | None]()
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
def release(table: _Table, day: _Day, row: _Row, why: Why) -> None:
    """Accept a row as it is. Rules about what is plausible are waived for it; the others it must satisfy."""
    from payments_platform.batch.repairs import refuse_release
    from payments_platform.contracts.catalogue import dataset

    lake, raw, (key, version) = rows.open_lake(), rows.contract_of(table), rows.parts(row)
    if not rows.is_decided(lake, table, day, key, version, "release", {}):
        refuse_release(dataset(f"clean/{table}"), rows.values_of(lake, raw, day, key, version)["reasons"])
    _decide(table, day, row, "release", {}, why)


@app.command()
def discard(table: _Table, day: _Day, row: _Row, why: Why) -> None:
    """Decide that a row stays out: it stays in quarantine while it breaks a rule, and is open no more."""
    _decide(table, day, row, "discard", {}, why)


def _decide(table: str, day: date, row: str, action: str, changes: dict[str, str | None], why: str) -> None:
    """Append the decision, unless it is the last one about the row already; say what to type next."""
    from payments_platform.contracts.quarantine import REPAIRS
    from payments_platform.lake import records

    lake, raw, (key, version) = rows.open_lake(), rows.contract_of(table), rows.parts(row)
    must_say(why)
    past = rows.decisions_about(lake, table, day, key, version)
    if rows.is_decided(lake, table, day, key, version, action, changes):
        say("That is what was decided about the row already; nothing was recorded.")
    else:
        if not past:
            rows.values_of(lake, raw, day, key, version)
        decision = {"action": action, "changes": json.dumps(changes, sort_keys=True)}
        records.append(lake.storage, REPAIRS, _signed(table, day, key, version, why) | decision)
        say(f"Recorded: {action} of {table} {day} {row}.")
    # A row that was never decided about is in quarantine already; one that came back must be taken out by a run.
    is_out = action == "discard" and all(earlier["action"] == "discard" for earlier in past)
    say("Next: payments quarantine list" if is_out else f"Next: payments backfill --from {day} --to {day}")


def _signed(table: str, day: date, key: str, version: int, why: str) -> dict[str, Any]:
    """The row, and who decides when and why."""
    return {
        "table_name": table,
        "partition_date": day,
        "row_key": key,
        "version": version,
        "reason": why.strip(),
        "recorded_by": account(),
        "recorded_at": datetime.now(UTC),
    }
