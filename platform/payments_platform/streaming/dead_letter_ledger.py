"""The ledger of dead letters: each letter once, how often it was tried, where it stands, which key waits for which.

Belongs here: letters and their ends as one frame. Does not: writing letters (dead_letters.py), ending them
(dead_letter_replay.py), judging whether too many wait (dead_letter_watch.py).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
import polars as pl

from payments_platform.contracts.dead_letters import DEAD_LETTERS, FAULTS, LETTER_ID, LetterState
from payments_platform.contracts.streams import DEAD_LETTER_TOPICS
from payments_platform.streaming.dead_letters import LETTERS, letters
from payments_platform.streaming.reading import read_whole
from payments_platform.vocabulary import STATE_DEAD_LETTERS

if TYPE_CHECKING:
    from confluent_kafka import Message

STATE: Final = "state"
# Ends are messages of a compacted topic: the key names the letter, the value says how it ended. They hold what the
# letter said of itself, so that it stays known after its topic has removed it, and never its key or value.
_TOLD: Final = ("fault", "refusal", "failed_at")
ENDS: Final = pl.Schema(
    {
        **{name: LETTERS[name] for name in LETTER_ID},
        STATE: pl.String(),
        "ended_at": pl.Datetime("us", "UTC"),
        "ended_by": pl.String(),
        "end_reason": pl.String(),
        "attempts": pl.Int32(),
        # Where a replayed message was written to: how a second refusal is known to be of the same message.
        "new_partition": pl.Int32(),
        "new_offset": pl.Int64(),
        **{name: LETTERS[name] for name in _TOLD},
    }
)
_TIMES: Final = tuple(name for name, dtype in ENDS.items() if isinstance(dtype, pl.Datetime))


def read_ledger(servers: str, topics: Sequence[str] = tuple(spec.name for spec in DEAD_LETTER_TOPICS)) -> pl.DataFrame:
    """The ledger as the broker has it now. Raises BrokerAway."""
    return ledger(letters(read_whole(servers, topics)), ends(read_whole(servers, [STATE_DEAD_LETTERS])))


def ledger(found: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """One row per letter, oldest refusal first: the columns of a letter, and state, attempts, root_offset, its end.

    A letter that was written twice is there once. ``root_offset`` is where the message stood before any replay: the
    order of a key's letters. ``attempts`` counts all refusals of the message by the consumer. A letter that its topic
    has removed is there by its end, without key and value.
    """
    once = found.unique(LETTER_ID, keep="first", maintain_order=True)
    known = ended.select(*LETTER_ID, STATE, "ended_at", "ended_by", "end_reason")
    rows = once.join(known, on=LETTER_ID, how="left", maintain_order="left")
    gone = ended.join(once, on=LETTER_ID, how="anti").drop("attempts", "new_partition", "new_offset")
    return (
        pl.concat([rows, gone], how="diagonal")
        .with_columns(pl.col(STATE).fill_null(LetterState.OPEN.value))
        .join(_origins(once, ended), on=LETTER_ID, how="left", maintain_order="left")
        .with_columns(_state().alias(STATE))
        .sort("failed_at", *LETTER_ID)
    )


def _state() -> pl.Expr:
    """An open letter behind an older open one of its key is parked: replayed first, it would be overtaken."""
    is_open = pl.col(STATE) == LetterState.OPEN.value
    of_key = ("consumer", "source_topic", "source_partition", "key")
    oldest = pl.when(is_open).then("root_offset").min().over(of_key)
    is_behind = is_open & pl.col("key").is_not_null() & (pl.col("root_offset") > oldest)
    return pl.when(is_behind).then(pl.lit(LetterState.PARKED.value)).otherwise(STATE)


def _origins(once: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """Attempts and root offset by letter, following each replay back: a replay's offset is above its origin's."""
    replays = {
        (row["consumer"], row["source_topic"], row["new_partition"], row["new_offset"]): row
        for row in ended.iter_rows(named=True)
        if row["new_offset"] is not None
    }
    traced: dict[tuple[Any, ...], tuple[int, int]] = {
        tuple(row[name] for name in LETTER_ID): (row["attempts"], row["source_offset"])
        for row in ended.join(once, on=LETTER_ID, how="anti").iter_rows(named=True)
    }
    for row in once.sort("source_offset").select(*LETTER_ID, "attempt").iter_rows(named=True):
        name = tuple(row[part] for part in LETTER_ID)
        origin = replays.get(name[:4])
        before, root = (0, row["source_offset"])
        if origin is not None:
            before, root = traced.get(tuple(origin[part] for part in LETTER_ID), (origin["attempts"], root))
        traced[name] = (before + row["attempt"], root)
    columns = {part: [name[n] for name in traced] for n, part in enumerate(LETTER_ID)}
    numbers = {"attempts": [a for a, _ in traced.values()], "root_offset": [r for _, r in traced.values()]}
    types = {**{part: LETTERS[part] for part in LETTER_ID}, "attempts": pl.Int32(), "root_offset": pl.Int64()}
    return pl.DataFrame({**columns, **numbers}, schema=types)


def published(rows: pl.DataFrame) -> pl.DataFrame:
    """The ledger by its contract: without keys and values, with the owner of each."""
    owners = {fault.value: kind.owner for fault, kind in FAULTS.items()}
    owner = pl.col("fault").replace_strict(owners, return_dtype=pl.String).alias("owner")
    return rows.with_columns(owner).select(DEAD_LETTERS.names).cast(DEAD_LETTERS.schema)


def end_key(row: dict[str, Any]) -> bytes:
    """The key of a letter's end."""
    return orjson.dumps({name: row[name] for name in LETTER_ID})


def end_value(row: dict[str, Any]) -> bytes:
    """The value of a letter's end: a row with the columns of ``ENDS``."""
    return orjson.dumps({name: row[name] for name in ENDS if name not in LETTER_ID})


def ends(messages: "Sequence[Message]") -> pl.DataFrame:
    """The last end of each letter. Raises ValueError for a message that is none: nobody else writes to that topic."""
    last: dict[bytes, bytes | None] = {message.key() or b"": message.value() for message in messages}
    rows = [{**orjson.loads(key), **orjson.loads(value)} for key, value in last.items() if value is not None]
    for row in rows:
        row.update({name: datetime.fromisoformat(row[name]) for name in _TIMES})
    return pl.DataFrame(rows, schema=ENDS)
