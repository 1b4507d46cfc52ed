"""Change messages that the platform writes itself, in the connector's form: repairs and compensations.

Belongs here: the form, the transactional producer. Does not: which changes (history.py, phantoms.py).
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from payments_platform.clients.kafka import producer
from payments_platform.vocabulary import topic

if TYPE_CHECKING:
    from confluent_kafka import Producer

_TRANSACTIONAL_ID: Final = "payments-capture-repair"
_AT_ONCE: Final = 5000
_SECONDS: Final = 30.0
# As much as a broker takes in a request.
_AS_THE_TOPIC_ALLOWS: Final = {"message.max.bytes": 100 * 2**20}


@dataclass(frozen=True)
class Change:
    """One change of one row; ``before`` and ``after`` are JSON objects as text, ``key`` the value of ``key_column``."""

    table: str
    key_column: str
    key: str
    op: Literal["r", "d"]
    before: str | None
    after: str | None


def republish(servers: str, changes: Iterable[Change], epoch: int) -> int:
    """Write changes to their topics in transactions; return how many. Repeating it repeats no effect.

    Each carries the position it always had (epoch and version), so a consumer that knows it changes nothing. A delete
    is followed by the mark that lets a compacted topic forget the row, as the connector writes it.
    """
    writer = producer(servers, transactional_id=_TRANSACTIONAL_ID, more=_AS_THE_TOPIC_ALLOWS)
    writer.init_transactions(_SECONDS)
    written, waiting = 0, 0
    try:
        for change in changes:
            if waiting == 0:
                writer.begin_transaction()
            _write(writer, change, epoch)
            written, waiting = written + 1, waiting + 1
            if waiting == _AT_ONCE:
                writer.commit_transaction(_SECONDS)
                waiting = 0
        if waiting:
            writer.commit_transaction(_SECONDS)
            waiting = 0
    finally:
        if waiting:
            # What reading the changes met is raised; readers need not wait for the transaction's time to run out.
            writer.abort_transaction(_SECONDS)
    return written


def _write(writer: "Producer", change: Change, epoch: int) -> None:
    key = json.dumps({change.key_column: change.key}, separators=(",", ":"), ensure_ascii=False).encode()
    writer.produce(topic(change.table), value=message(change, epoch, time.time_ns()), key=key)
    if change.op == "d":
        writer.produce(topic(change.table), value=None, key=key)
    writer.poll(0)


def message(change: Change, epoch: int, now: int) -> bytes:
    """The value: the connector's envelope. It has no position in the log, like a row of an incremental snapshot."""
    times = {"ts_ms": now // 1_000_000, "ts_us": now // 1000, "ts_ns": now}
    source = {
        "version": "payments", "connector": "postgresql", "name": "oltp", **times, "snapshot": "incremental",
        "db": "payments", "sequence": None, "schema": "oltp", "table": change.table, "txId": None, "lsn": None,
        "xmin": None,
    }  # fmt: skip
    rest = {"source": source, "transaction": None, "op": change.op, **times, "epoch": str(epoch)}
    row = f'{{"before":{change.before or "null"},"after":{change.after or "null"},'
    return (row + json.dumps(rest, separators=(",", ":"))[1:]).encode()
