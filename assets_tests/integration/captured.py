"""What the source committed and what the change topics hold, to be compared.

Belongs here: reading both whole, from a moment on. Does not: the tests.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicPartition

from payments_platform.clients.kafka import consumer
from payments_platform.clients.postgres import connect
from payments_platform.contracts.streams import CAPTURED_TABLES
from payments_platform.settings import Settings
from payments_platform.streaming.capture.history import key_column
from payments_platform.streaming.capture.notices import pulse
from payments_platform.vocabulary import topic


@dataclass(frozen=True)
class Record:
    """One message of a change topic; ``value`` None is the mark after a delete."""

    table: str
    key: str
    value: dict[str, Any] | None

    @property
    def is_streamed(self) -> bool:
        """Whether it was read from the log, not from a snapshot or a history."""
        return self.value is not None and self.value["source"]["snapshot"] == "false"

    @property
    def position(self) -> tuple[str, int, bool]:
        """Key, version, whether deleted."""
        assert self.value is not None
        if self.value["op"] == "d":
            return self.key, int(self.value["before"]["version"]) + 1, True
        return self.key, int(self.value["after"]["version"]), False


Places = dict[tuple[str, int], int]


def ends(settings: Settings, tables: Sequence[str] = CAPTURED_TABLES) -> Places:
    """Where each partition of the change topics ends now."""
    reader = consumer(settings.kafka_servers(), "tests-captured")
    found: Places = {}
    try:
        known = reader.list_topics(timeout=10).topics
        for name in map(topic, tables):
            for number in known[name].partitions if name in known else {}:
                found[name, number] = reader.get_watermark_offsets(TopicPartition(name, number), timeout=10)[1]
    finally:
        reader.close()
    return found


def records(settings: Settings, since: Places, tables: Sequence[str] = CAPTURED_TABLES) -> list[Record]:
    """Committed messages of the change topics from ``since`` to their ends, in order within a partition."""
    return list(_records(settings, since, tables))


def _records(settings: Settings, since: Places, tables: Sequence[str]) -> Iterator[Record]:
    until = ends(settings, tables)
    wanted = [
        TopicPartition(name, number, since.get((name, number), 0))
        for (name, number), end in until.items()
        if end > since.get((name, number), 0)
    ]
    if not wanted:
        return
    reader = consumer(settings.kafka_servers(), "tests-captured")
    try:
        reader.assign(wanted)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for message in reader.consume(2000, timeout=0.3):
                assert message.error() is None, message.error()
                table = str(message.topic()).removeprefix("oltp.")
                key = json.loads(message.key() or b"{}")
                assert len(key) == 1, key
                value = message.value()
                yield Record(table, str(next(iter(key.values()))), None if value is None else json.loads(value))
            places = reader.position([TopicPartition(place.topic, place.partition) for place in wanted])
            if all(place.offset >= until[place.topic, place.partition] for place in places):
                return
        raise AssertionError("the change topics could not be read to their ends")
    finally:
        reader.close()


def committed(settings: Settings, table: str, since_xid: int = 0) -> Counter[tuple[str, int, bool]]:
    """Every version and delete that the source's history has, written by transactions from a number on."""
    with connect(settings.postgres("primary", "extract"), name="tests") as session:
        rows = session.execute(
            f"SELECT {key_column(session, table)}, version, op = 'd' FROM oltp.{table}_history"
            " WHERE age(xmin) <= age((%s::text::xid8)::xid)",
            (str(since_xid or 3),),
        ).fetchall()
    return Counter((str(key), int(str(version)), bool(gone)) for key, version, gone in rows)


def next_xid(settings: Settings) -> int:
    """The number of the next transaction at the source."""
    with connect(settings.postgres("primary", "extract"), name="tests") as session:
        row = session.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(str(row[0]))


def await_captured(settings: Settings, xid: int, seconds: float = 90) -> None:
    """Wait until a heartbeat that saw every transaction below ``xid`` as ended has been captured."""
    deadline = time.monotonic() + seconds
    seen = ""
    while time.monotonic() < deadline:
        beats = pulse(settings.kafka_servers())
        seen = beats.latest.seen if beats else ""
        if seen and int(seen.split(":", 1)[0]) >= xid:
            return
        time.sleep(0.2)
    raise AssertionError(f"capture has not come as far as transaction {xid}: last heartbeat saw {seen}")
