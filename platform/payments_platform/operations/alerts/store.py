"""Where alerts are remembered: one row of state and a box of messages, in the platform's own PostgreSQL.

Belongs here: the two tables, and that state and messages change together. Does not: what they mean. Dagster's records
live in the same database: without it no sensor is evaluated either, so this adds nothing that can be away.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from payments_platform.operations.alerts.messages import Line, Message
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.state import Memory, from_json, to_json

if TYPE_CHECKING:
    import psycopg

# Long enough to answer what was told in the last quarter.
KEPT: Final = timedelta(days=90)
_LOCK: Final = 0x616C6572  # "aler"
_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS alerts;
CREATE TABLE IF NOT EXISTS alerts.memory (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    content jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS alerts.messages (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number text NOT NULL UNIQUE,
    message jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    next_try_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    outcome text NOT NULL DEFAULT 'waiting',
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    is_refused boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS messages_waiting ON alerts.messages (place) WHERE outcome = 'waiting';
"""
_FIELDS: Final = "message, created_at, next_try_at, attempts, outcome, ended_at, error, is_refused"


class Store(Protocol):
    """State and messages of the alerts."""

    def alone(self) -> AbstractContextManager[bool]:
        """Hold what only one may do at a time; False when somebody else does."""

    def memory(self) -> Memory:
        """What is remembered; an empty memory at the very first look."""

    def keep(self, memory: Memory, messages: Sequence[Message], now: datetime) -> None:
        """Keep the memory and put the messages into the box, both or neither; a message already there stays."""

    def waiting(self) -> Sequence[Entry]:
        """The entries that wait, in the order they were put in."""

    def tried(self, entry: Entry) -> None:
        """Keep what became of an entry."""

    def recent(self, since: datetime) -> Sequence[Entry]:
        """The entries put in since then, in order."""


class PostgresStore:
    """The store of every environment. The connection is in autocommit."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._connection = connection
        if connection.execute("SELECT to_regclass('alerts.messages_waiting') IS NULL").fetchone() == (True,):
            with connection.transaction():
                # Two that come first at once would both create it.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK + 1,))
                connection.execute(_TABLES)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        locked = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() == (True,)
        try:
            yield locked
        finally:
            if locked and not self._connection.closed:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def memory(self) -> Memory:
        row = self._connection.execute("SELECT content::text FROM alerts.memory").fetchone()
        return from_json(str(row[0])) if row else Memory()

    def keep(self, memory: Memory, messages: Sequence[Message], now: datetime) -> None:
        with self._connection.transaction():
            self._connection.execute(
                "INSERT INTO alerts.memory (content) VALUES (%s::jsonb)"
                " ON CONFLICT (only_row) DO UPDATE SET content = excluded.content",
                (to_json(memory),),
            )
            for message in messages:
                self._connection.execute(
                    "INSERT INTO alerts.messages (number, message, created_at, next_try_at)"
                    " VALUES (%s, %s::jsonb, %s, %s) ON CONFLICT (number) DO NOTHING",
                    (message.number, json.dumps(asdict(message)), now, now),
                )
            if messages:
                self._connection.execute(
                    "DELETE FROM alerts.messages WHERE outcome <> 'waiting' AND ended_at < %s", (now - KEPT,)
                )

    def waiting(self) -> Sequence[Entry]:
        return self._entries("outcome = 'waiting'")

    def tried(self, entry: Entry) -> None:
        self._connection.execute(
            "UPDATE alerts.messages SET next_try_at = %s, attempts = %s, outcome = %s, ended_at = %s, error = %s,"
            " is_refused = %s WHERE number = %s",
            (entry.next_try_at, entry.attempts, entry.outcome, entry.ended_at, entry.error, entry.is_refused,
             entry.message.number),
        )  # fmt: skip

    def recent(self, since: datetime) -> Sequence[Entry]:
        return self._entries("created_at >= %s", since)

    def _entries(self, condition: str, *values: object) -> list[Entry]:
        query = f"SELECT {_FIELDS} FROM alerts.messages WHERE {condition} ORDER BY place"  # noqa: S608 - ours alone
        return [_entry(row) for row in self._connection.execute(query, values).fetchall()]


def _entry(row: Sequence[Any]) -> Entry:
    content: dict[str, Any] = row[0]
    message = Message(**{**content, "lines": tuple(Line(**line) for line in content["lines"])})
    return Entry(message, *row[1:])
