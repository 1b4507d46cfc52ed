"""``payments dlq …``: see what consumers refused, and decide about it.

Belongs here: arguments, what is printed, who is recorded. Does not: what a decision does (streaming/), which team mends
what (contracts/dead_letters.py). Values are masked; --reveal shows them and records who looked, and why.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from payments_platform.commands.deciding import Why, account, must_say
from payments_platform.commands.printing import Format, wide
from payments_platform.commands.saying import say

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.streaming.dead_letter_replay import Decision, Outcome

app = typer.Typer(
    help="Messages that a consumer refused: list them, show one, replay or discard them.", no_args_is_help=True
)

_Letters = Annotated[
    list[str] | None, typer.Argument(metavar="LETTER…", help="Letters, as `list` names them.", show_default=False)
]
_Topic = Annotated[str | None, typer.Option(help="Only letters of this topic: oltp.transactions, …")]
_Consumer = Annotated[str | None, typer.Option(help="Only letters of this worker: processor, sink-mongodb, …")]
_Class = Annotated[str | None, typer.Option("--class", help="Only letters of this class: not-json, type, …")]
_All = Annotated[bool, typer.Option("--all", help="Every letter that nobody has decided about.")]


@app.command("list")
def list_letters(
    *,
    topic: _Topic = None,
    consumer: _Consumer = None,
    fault: _Class = None,
    state: Annotated[str | None, typer.Option(help="Only letters in this state: open, parked, replayed, …")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Letters that the table shows at most; json gives all.")] = 50,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Every letter, by topic, class and state: how many, how old, whose to mend; then one by one."""
    rows = _chosen(_ledger(), topic=topic, consumer=consumer, fault=fault, state=state)
    if output is Format.JSON:
        typer.echo(json.dumps([_record(row) for row in rows.iter_rows(named=True)], indent=2))
        return
    console = wide()
    console.print(_counted(rows))
    console.print(_listed(rows.head(limit)))
    if rows.height > limit:
        say(f"{rows.height - limit:,} more letters; raise --limit, or narrow by --topic, --consumer, --class, --state.")
    if undecided := [row for row in rows.iter_rows(named=True) if row["state"] == "open"]:
        say(f"Next: payments dlq show {_name(undecided[0])}")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="The letter, as `list` names it.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the values as they are; is recorded.")] = False,
    why: Annotated[str, typer.Option("--why", help="With --reveal: why the values must be seen.")] = "",
) -> None:
    """One letter: why it was refused, what that means and what to do, its message (masked unless --reveal)."""
    from payments_platform.contracts.dead_letters import FAULTS, STATE_MEANINGS, Fault, LetterState
    from payments_platform.streaming.dead_letter_view import view

    row = _one(_ledger(), letter)
    if reveal:
        _record_reveal(row, why)
    kind, state = FAULTS[Fault(row["fault"])], LetterState(row["state"])
    say(f"{row['fault']}: {row['refusal']}. {kind.meaning}")
    say(f"{row['state']}: {STATE_MEANINGS[state]} Refused {row['attempts']} times, last {row['failed_at']:%F %T} UTC.")
    if row["ended_by"]:
        say(f"{row['ended_at']:%F %T} {row['ended_by']}: {row['end_reason']}")
    cells = Table("part", "field", "value", title=Text(letter))
    for part in ("key", "value"):
        for field, text in view(row["source_topic"], row[part], reveal=reveal):
            cells.add_row(part, Text(field), Text(text))
    wide().print(cells)
    say(f"To do ({kind.owner}): {kind.remedy}")
    say(f"Next: payments dlq replay {letter} --why '…' (or discard)")


@dataclass(frozen=True)
class _Choice:
    """Which letters a decision is about."""

    letters: list[str] | None
    narrowing: dict[str, str | None]

    def of(self, ledger: "pl.DataFrame") -> "pl.DataFrame":
        return _chosen(ledger, self.letters, **self.narrowing)


def _choice(
    letters: _Letters = None, *, topic: _Topic = None, consumer: _Consumer = None, fault: _Class = None,
    every: _All = False,
) -> _Choice:  # fmt: skip
    """Refuses a decision about everything that was not meant so."""
    narrowing = {"topic": topic, "consumer": consumer, "fault": fault}
    if not (letters or any(narrowing.values()) or every):
        raise typer.BadParameter("name letters, narrow by --topic, --consumer or --class, or say --all")
    return _Choice(letters, narrowing)


def _about_letters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ``_choice`` before its own, and what they chose as its first argument."""
    shared, (_, *own) = signature(_choice).parameters, signature(command).parameters.values()

    def run(**given: Any) -> None:  # noqa: ANN401 - what Typer parsed
        command(_choice(**{name: given.pop(name) for name in shared}), **given)

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    options = [it.replace(kind=it.KEYWORD_ONLY) for it in (*shared.values(), *own)]
    # Typer reads both; they are all that makes the options.
    run.__annotations__ = {it.name: it.annotation for it in options}
    vars(run)["__signature__"] = Signature(options)
    return run


@app.command()
@_about_letters
def replay(
    choice: _Choice,
    *,
    why: Why,
    value: Annotated[
        Path | None, typer.Option(help="One letter alone: a file with the value that is right; recorded as repaired.")
    ] = None,
) -> None:
    """Write messages to their topics again, once however often this runs. A key's letters go in their order."""
    from payments_platform.streaming.dead_letter_replay import DeadLetterOffice

    decision = _decision(why)
    with DeadLetterOffice(_servers()) as office:
        ledger, letters = _ledger(), choice.letters or []
        if value is None:
            outcome = office.replay(ledger, choice.of(ledger), decision)
        elif len(letters) == 1:
            outcome = office.repair(ledger, _one(ledger, letters[0]), value.read_bytes(), decision)
        else:
            raise typer.BadParameter("a value is right for one letter: name it", param_hint="--value")
    _tell(outcome)


@app.command()
@_about_letters
def discard(choice: _Choice, *, why: Why) -> None:
    """Give messages up, with the reason. What they would have changed stays as it is in the consumer's stores."""
    from payments_platform.contracts.dead_letters import LetterState
    from payments_platform.streaming.dead_letter_replay import DeadLetterOffice, Outcome, waiting

    decision = _decision(why)
    with DeadLetterOffice(_servers()) as office:
        rows = waiting(choice.of(_ledger())).rows(named=True)
        outcome = Outcome()
        outcome.count(LetterState.DISCARDED, office.end(rows, LetterState.DISCARDED, decision))
    _tell(outcome)


def _chosen(
    ledger: "pl.DataFrame",
    letters: list[str] | None = None,
    *,
    topic: str | None = None,
    consumer: str | None = None,
    fault: str | None = None,
    state: str | None = None,
) -> "pl.DataFrame":
    import polars as pl

    from payments_platform.contracts.dead_letters import LETTER_ID, Fault, LetterState

    for text, known, option in ((fault, Fault, "--class"), (state, LetterState, "--state")):
        if text is not None and text not in set(known):
            raise typer.BadParameter(f"{text!r} is none of: {', '.join(known)}", param_hint=option)
    wanted = {"source_topic": topic, "consumer": consumer, "fault": fault, "state": state}
    narrowing = [pl.col(name) == text for name, text in wanted.items() if text is not None]
    rows = ledger.filter(*narrowing) if narrowing else ledger
    if letters:
        named = pl.DataFrame([_one(ledger, letter) for letter in letters], schema=ledger.schema)
        rows = rows.join(named, on=LETTER_ID, how="semi", maintain_order="left")
    return rows


def _one(ledger: "pl.DataFrame", letter: str) -> dict[str, Any]:
    """Return the letter of a name. Raises LetterUnknown naming some that are there."""
    import polars as pl

    from payments_platform.streaming.dead_letter_view import LetterUnknown, parts_of

    found = ledger.filter(pl.col(column) == part for column, part in parts_of(letter).items())
    if found.is_empty():
        there = ", ".join(_name(row) for row in ledger.head(5).iter_rows(named=True))
        raise LetterUnknown(f"There is no letter {letter}; there {f'are: {there}' if there else 'is none at all'}.")
    # The last: of a topic that was made again, letters of both lives may bear one name.
    return found.row(-1, named=True)


def _decision(why: str) -> "Decision":
    """Who decides when and why."""
    from payments_platform.streaming.dead_letter_replay import Decision

    return Decision(account(), datetime.now(UTC), must_say(why))


def _record_reveal(row: dict[str, Any], why: str) -> None:
    from payments_platform.contracts.quarantine import REVEALS
    from payments_platform.lake import records
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.settings import load_settings
    from payments_platform.vocabulary import dead_letters

    decision = _decision(must_say(why, "say why the values must be seen; it is recorded"))
    record = {
        "table_name": dead_letters(row["source_topic"]),
        "partition_date": row["failed_at"].date(),
        "row_key": _name(row),
        "version": row["attempts"],
        "reason": decision.why,
        "recorded_by": decision.by,
        "recorded_at": decision.at,
    }
    records.append(LocalStorage(load_settings().lake_root), REVEALS, record)


def _tell(outcome: "Outcome") -> None:
    for state, letters in outcome.ended.items():
        say(f"{letters:,} {state}")
    if outcome.parked:
        say(f"{outcome.parked:,} stay parked behind older letters of their keys, which were not chosen")
    if outcome.incomplete:
        say(f"{outcome.incomplete:,} were too large to be kept: give the value (--value FILE), or discard them")
    if not (outcome.ended or outcome.parked or outcome.incomplete):
        say("Nothing was left to decide about these letters.")
    say("Next: payments dlq list --state open")


def _record(row: dict[str, Any]) -> dict[str, Any]:
    names = ("source_topic", "consumer", "fault", "refusal", "state", "attempts", "ended_by", "end_reason")
    return {"letter": _name(row), **{name: row[name] for name in names}, "age_seconds": int(_age(row).total_seconds())}


def _counted(rows: "pl.DataFrame") -> Table:
    from payments_platform.contracts.dead_letters import FAULTS, Fault

    table = Table("topic", "class", "owner", "state", "letters", "oldest", title=f"{rows.height:,} letters")
    for (topic, fault, state), group in sorted(rows.group_by("source_topic", "fault", "state")):
        oldest = _duration(_age(group.sort("failed_at").row(0, named=True)))
        table.add_row(str(topic), str(fault), FAULTS[Fault(fault)].owner, str(state), f"{group.height:,}", oldest)
    return table


def _listed(rows: "pl.DataFrame") -> Table:
    table = Table("letter", "class", "reason", "state", "attempts", "age")
    for row in rows.iter_rows(named=True):
        cells = (_name(row), row["fault"], row["refusal"])
        table.add_row(*map(Text, cells), row["state"], str(row["attempts"]), _duration(_age(row)))
    return table


def _age(row: dict[str, Any]) -> timedelta:
    failed_at: datetime = row["failed_at"]
    return datetime.now(UTC) - failed_at


def _duration(age: timedelta) -> str:
    hours, seconds = divmod(max(int(age.total_seconds()), 0), 3600)
    return f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours} h {seconds // 60} min"


def _name(row: dict[str, Any]) -> str:
    from payments_platform.streaming.dead_letter_view import name_of

    return name_of(row)


def _ledger() -> "pl.DataFrame":
    from payments_platform.streaming.dead_letter_ledger import read_ledger

    return read_ledger(_servers())


def _servers() -> str:
    from payments_platform.settings import load_settings

    return load_settings().kafka_servers()
