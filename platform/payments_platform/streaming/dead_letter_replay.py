"""Ending dead letters: written to their topic again, repaired, discarded or expired, each once.

Belongs here: the Kafka transactions in which a letter comes to its end. Does not: reading the ledger
(dead_letter_ledger.py), who may decide (commands/dlq.py).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl

from payments_platform.clients import kafka
from payments_platform.contracts.dead_letters import LETTER_ID, LetterState
from payments_platform.contracts.streams import DEAD_LETTER_RETENTION
from payments_platform.errors import ExplainedError
from payments_platform.streaming.dead_letter_ledger import STATE, end_key, end_value
from payments_platform.streaming.dead_letters import REPLAY_OF
from payments_platform.streaming.reading import compacted, read_range
from payments_platform.vocabulary import STATE_DEAD_LETTERS

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

# The client allows one holder of this name: a second command takes over, and what the first had begun is undone.
TRANSACTIONAL_ID: Final = "dead-letters"
_SECONDS: Final = 30.0
# Written in far less than the time that a transaction may take.
_AT_ONCE: Final = 500
# The sweep ends a letter this long before its topic may remove it.
EXPIRY_MARGIN: Final = timedelta(days=1)

Row = dict[str, Any]


class OfficeTaken(ExplainedError):
    """Another command took over, or the broker ended the transaction; what was not committed has not happened."""


@dataclass(frozen=True)
class Decision:
    """Who ends letters, when and why."""

    by: str
    at: datetime
    why: str


@dataclass
class Outcome:
    """How many letters came to which end, and how many were left: parked behind others, or without their value."""

    ended: dict[LetterState, int] = field(default_factory=dict)
    parked: int = 0
    incomplete: int = 0

    def count(self, state: LetterState, letters: int) -> None:
        """Add letters to an end."""
        if letters:
            self.ended[state] = self.ended.get(state, 0) + letters


class DeadLetterOffice:
    """Where letters come to their ends. One at a time over the whole platform.

    Opening it takes the office from whoever has it and undoes what that one had not committed. So a ledger that is read
    inside the block holds every end there is, and an end written by it is the only one: a replay has one effect
    however often it is asked for, killed or raced.
    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer = kafka.producer(servers, transactional_id=TRANSACTIONAL_ID)

    def __enter__(self) -> Self:
        self._producer.init_transactions(_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from confluent_kafka import KafkaException

        if error is None:
            return
        with suppress(KafkaException):  # no transaction is open, or the office was taken: the broker has undone it
            self._producer.abort_transaction(_SECONDS)
        # The client sets its fatal error while it calls us back, and Python then reports the call back as broken.
        reason = error.__cause__ if isinstance(error, SystemError) else error
        if isinstance(reason, KafkaException):
            raise OfficeTaken(
                f"Kafka did not commit ({reason.args[0].str()}): the last letters stand as they did. Type it again."
            ) from None

    def replay(self, ledger: pl.DataFrame, chosen: pl.DataFrame, decision: Decision) -> Outcome:
        """Write open letters to their topics again, in the order they had, and end them; each in one transaction.

        A letter stays parked while an older open one of its key is not chosen as well. One whose key has a newer
        message in a compacted topic ends as superseded: written again it would be the last, and compaction would keep
        the old for the new.
        """
        outcome = Outcome()
        whole = chosen.filter(pl.col("value").is_not_null() | (pl.col("left_out_bytes") == 0))
        outcome.incomplete = waiting(chosen).height - waiting(whole).height
        going, outcome.parked = _in_order(ledger, whole)
        for first in range(0, len(going), _AT_ONCE):
            rows = going[first : first + _AT_ONCE]
            while stale := self._write_again(rows, LetterState.REPLAYED, decision):
                outcome.count(LetterState.SUPERSEDED, self.end(stale, LetterState.SUPERSEDED, decision))
                rows = [row for row in rows if row not in stale]
            outcome.count(LetterState.REPLAYED, len(rows))
        return outcome

    def repair(self, ledger: pl.DataFrame, letter: Row, value: bytes, decision: Decision) -> Outcome:
        """Write one open letter's message again with another value, and end it as repaired; as ``replay`` does."""
        outcome = Outcome()
        going, outcome.parked = _in_order(ledger, pl.DataFrame([letter], schema=ledger.schema))
        rows = [{**row, "value": value} for row in going]
        if stale := self._write_again(rows, LetterState.REPAIRED, decision):
            outcome.count(LetterState.SUPERSEDED, self.end(stale, LetterState.SUPERSEDED, decision))
        else:
            outcome.count(LetterState.REPAIRED, len(rows))
        return outcome

    def end(self, rows: Sequence[Row], state: LetterState, decision: Decision) -> int:
        """Record the end of open letters that nothing is written for; return how many."""
        for first in range(0, len(rows), _AT_ONCE):
            self._producer.begin_transaction()
            for row in rows[first : first + _AT_ONCE]:
                self._record(row, state, decision, None)
            self._producer.commit_transaction(_SECONDS)
        return len(rows)

    def expire(self, ledger: pl.DataFrame, decision: Decision) -> Outcome:
        """End the letters that their topics will remove within a day, so that none goes uncounted."""
        due = due_to_expire(ledger, decision.at)
        outcome = Outcome()
        outcome.count(LetterState.EXPIRED, self.end(due.rows(named=True), LetterState.EXPIRED, decision))
        return outcome

    def _write_again(self, rows: Sequence[Row], state: LetterState, decision: Decision) -> list[Row]:
        """Write messages and ends in one transaction; or nothing, returning the rows that newer messages supersede."""
        if not rows:
            return []
        self._producer.begin_transaction()
        placed: dict[int, int] = {}
        for number, row in enumerate(rows):
            self._produce(row, number, placed)
        self._producer.flush(_SECONDS)
        if len(placed) < len(rows):
            raise OfficeTaken("The broker did not take the messages; nothing was replayed. See: payments status")
        if stale := self._superseded(rows, placed):
            self._producer.abort_transaction(_SECONDS)
            return stale
        for number, row in enumerate(rows):
            self._record(row, state, decision, placed[number])
        self._producer.commit_transaction(_SECONDS)
        return []

    def _produce(self, row: Row, number: int, placed: dict[int, int]) -> None:
        """Write to the partition that the message had: its key's order lives there."""

        def delivered(error: "KafkaError | None", message: "Message") -> None:
            offset = message.offset()
            if error is None and offset is not None:
                placed[number] = offset

        self._producer.produce(
            row["source_topic"],
            key=row["key"],
            value=row["value"],
            partition=row["source_partition"],
            headers={REPLAY_OF: f"{row['letter_topic']}/{row['letter_partition']}/{row['letter_offset']}".encode()},
            on_delivery=delivered,
        )

    def _superseded(self, rows: Sequence[Row], placed: dict[int, int]) -> list[Row]:
        """The rows with a newer message of their key before the place that they were just given.

        That place is fixed, so whatever comes after it is newer than ours and wins. Uncommitted messages count: one
        whose transaction fails is sent again by its writer. Replays do not: a key's letters are replayed in order.
        """
        keeping_last = compacted(self._servers, {row["source_topic"] for row in rows})
        stale = []
        for place, numbers in _by_partition(rows).items():
            if place[0] not in keeping_last:
                continue
            first = min(rows[number]["source_offset"] for number in numbers) + 1
            last: dict[bytes | None, int] = {}
            for message in read_range(self._servers, place, first, max(placed[number] for number in numbers)):
                if REPLAY_OF not in dict(message.headers() or []):
                    last[message.key()] = message.offset() or 0
            stale += [rows[n] for n in numbers if rows[n]["source_offset"] < last.get(rows[n]["key"], -1) < placed[n]]
        return stale

    def _record(self, row: Row, state: LetterState, decision: Decision, offset: int | None) -> None:
        end = {
            **row,
            STATE: state.value,
            "ended_at": decision.at,
            "ended_by": decision.by,
            "end_reason": decision.why,
            "new_partition": None if offset is None else row["source_partition"],
            "new_offset": offset,
        }
        self._producer.produce(STATE_DEAD_LETTERS, key=end_key(row), value=end_value(end))


def due_to_expire(ledger: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The letters without an end that their topics may remove within a day."""
    return waiting(ledger).filter(pl.col("failed_at") < now - DEAD_LETTER_RETENTION + EXPIRY_MARGIN)


def waiting(ledger: pl.DataFrame) -> pl.DataFrame:
    """The letters without an end."""
    return ledger.filter(pl.col(STATE).is_in([LetterState.OPEN.value, LetterState.PARKED.value]))


def _in_order(ledger: pl.DataFrame, chosen: pl.DataFrame) -> tuple[list[Row], int]:
    """The chosen letters that may be replayed, in the order that their messages had; and how many stay parked."""
    of_key = ("consumer", "source_topic", "source_partition", "key")
    is_chosen = chosen.select(LETTER_ID).with_columns(is_chosen=pl.lit(value=True))
    rows = waiting(ledger).join(is_chosen, on=LETTER_ID, how="left").sort(*of_key[:3], "root_offset")
    left = pl.when(pl.col("is_chosen").is_null()).then("root_offset").min().over(of_key)
    is_parked = pl.col("key").is_not_null() & (left < pl.col("root_offset")).fill_null(value=False)
    marked = rows.with_columns(is_parked=is_parked).filter("is_chosen")
    going = marked.filter(~pl.col("is_parked"))
    return going.rows(named=True), marked.height - going.height


def _by_partition(rows: Sequence[Row]) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for number, row in enumerate(rows):
        found.setdefault((row["source_topic"], row["source_partition"]), []).append(number)
    return found
