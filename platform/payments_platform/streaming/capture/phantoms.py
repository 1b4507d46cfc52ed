"""Rows that were captured and that the source does not have.

A promoted replica lacks the last changes of the lost primary, which Kafka may have already.

Belongs here: finding them on the change topics, the deletes that take them back. Does not: rows that lost only their
last versions; the new epoch's snapshot shows those as they are.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from payments_platform.clients.kafka import consumer
from payments_platform.streaming.capture.history import key_column
from payments_platform.streaming.capture.republish import Change
from payments_platform.vocabulary import topic

if TYPE_CHECKING:
    import psycopg
    from confluent_kafka import Consumer

_SECONDS: Final = 30.0
# A delete counts as one version after the row that it removed. This one must come after all of the lives before and
# before the first version of this one: a payment that is made again under its lost id is version 1 once more.
_BEFORE_THE_FIRST: Final = -1
_AT_ONCE: Final = 20_000


def phantoms(
    session: "psycopg.Connection[tuple[object, ...]]", servers: str, tables: Sequence[str], since: datetime
) -> Iterator[Change]:
    """A delete for each row that was captured since a moment and that the source neither has nor ever deleted.

    Its version is 0, which the source gives to none: readers can tell it from a delete that was committed.
    ``since`` must lie before the first change that was lost: an hour before the last heartbeat is the default of the
    command, replicas that are further behind are not promoted without a look.
    """
    reader = consumer(servers, "capture-phantoms")
    try:
        for table in tables:
            name = key_column(session, table)
            captured = _last_rows(reader, table, since)
            keys = sorted(captured)
            for first in range(0, len(keys), _AT_ONCE):
                for key in _unknown(session, table, name, keys[first : first + _AT_ONCE]):
                    yield Change(table, name, key, "d", captured[key], None)
    finally:
        reader.close()


def _last_rows(reader: "Consumer", table: str, since: datetime) -> dict[str, str]:
    """The last row that was captured for each key since a moment, as JSON."""
    from confluent_kafka import TopicPartition

    name = topic(table)
    partitions = reader.list_topics(name, timeout=_SECONDS).topics[name].partitions
    asked = [TopicPartition(name, number, int(since.timestamp() * 1000)) for number in partitions]
    starts = reader.offsets_for_times(asked, timeout=_SECONDS)
    ends = {
        place.partition: reader.get_watermark_offsets(TopicPartition(name, place.partition), timeout=_SECONDS)[1]
        for place in starts
    }
    # Where no message is that young, the answer is the end.
    open_ones = [place for place in starts if 0 <= place.offset < ends[place.partition]]
    if not open_ones:
        return {}
    reader.assign(open_ones)
    rows: dict[str, str] = {}
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        for message in reader.consume(2000, timeout=0.5):
            deadline = time.monotonic() + _SECONDS
            if message.error() is None and message.value() is not None:
                _keep(rows, json.loads(message.key() or b"{}"), json.loads(message.value() or b"{}"))
        places = reader.position([TopicPartition(name, place.partition) for place in open_ones])
        if all(place.offset >= ends[place.partition] for place in places):
            return rows
    raise TimeoutError(f"topic {name} could not be read to its end in {_SECONDS:.0f} s")


def _keep(rows: dict[str, str], key: dict[str, Any], value: dict[str, Any]) -> None:
    row = value.get("after") or value.get("before")
    if row is not None and len(key) == 1:
        row["version"] = _BEFORE_THE_FIRST
        rows[str(next(iter(key.values())))] = json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def _unknown(session: "psycopg.Connection[tuple[object, ...]]", table: str, key: str, keys: Sequence[str]) -> list[str]:
    """The keys that the source never had: neither a row nor the mark that each deleted or created key leaves."""
    used = (
        "SELECT transaction_id FROM oltp.transaction_keys"
        if table == "transactions"
        else f"SELECT key FROM oltp.retired_keys WHERE table_name = '{table}'"  # noqa: S608  # a captured table's name
    )
    query = (
        f"SELECT k FROM unnest(%s::text[]) k WHERE NOT EXISTS (SELECT FROM oltp.{table} t WHERE t.{key} = k)"  # noqa: S608  # names of the catalogue
        f" AND k NOT IN ({used})"
    )
    return [str(name) for (name,) in session.execute(query, (list(keys),))]
