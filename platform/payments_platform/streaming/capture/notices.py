"""What capture says about itself on its small topics: the latest heartbeat, the progress of snapshots.

Belongs here: reading those topics whole. Does not: the topics of changes (phantoms.py), judging.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from payments_platform.clients.kafka import consumer
from payments_platform.contracts.streams import CAPTURE_HEARTBEATS
from payments_platform.streaming.capture.facts import Heartbeat, Pulse
from payments_platform.vocabulary import OPS_CAPTURE

if TYPE_CHECKING:
    from confluent_kafka import Consumer

_SECONDS: Final = 10.0
# Compaction and the markers of transactions leave holes: this many offsets back there is a heartbeat, or one reads all.
_TAIL: Final = 200


@dataclass(frozen=True)
class Progress:
    """One notice about an incremental snapshot."""

    snapshot_id: str
    kind: str
    table: str = ""
    rows: int = 0
    status: str = ""


def pulse(servers: str) -> Pulse | None:
    """The heartbeats of the last minute or so, None when none was ever delivered or the topic is missing.

    Messages this young are never compacted away: a missing number was not delivered.
    """
    from confluent_kafka import KafkaException, TopicPartition

    reader = _reader(servers)
    try:
        first, end = reader.get_watermark_offsets(TopicPartition(CAPTURE_HEARTBEATS, 0), timeout=_SECONDS)
        for start in (max(first, end - _TAIL), first):
            found = [beat for beat in (_beat(value, at) for value, at in _read(reader, start, end)) if beat]
            if found:
                return Pulse(found[-1], _gaps(found))
    except KafkaException:
        # The topic is made by apply; before that there is nothing to know.
        if CAPTURE_HEARTBEATS in reader.list_topics(timeout=_SECONDS).topics:
            raise
    finally:
        reader.close()
    return None


def _gaps(beats: Sequence[Heartbeat]) -> tuple[tuple[Heartbeat, Heartbeat], ...]:
    """The last heartbeat of anybody before each missing number of one who beats, and the one that came instead."""
    gaps = []
    numbers: dict[int, int] = {}
    for place, beat in enumerate(beats):
        before = numbers.get(beat.beat_by)
        if before is not None and beat.number > before + 1:
            gaps.append((beats[place - 1], beat))
        numbers[beat.beat_by] = max(beat.number, before or 0)
    return tuple(gaps)


def _read(reader: "Consumer", start: int, end: int, topic: str = CAPTURE_HEARTBEATS) -> Iterator[tuple[bytes, int]]:
    """Values and timestamps of the only partition in ``[start, end)``."""
    from confluent_kafka import TopicPartition

    if start >= end:
        return
    reader.assign([TopicPartition(topic, 0, start)])
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        for message in reader.consume(500, timeout=0.2):
            if message.error() is None and message.value() is not None:
                yield bytes(message.value() or b""), message.timestamp()[1]
        position = reader.position([TopicPartition(topic, 0)])[0].offset
        if position >= end:
            return


def _beat(value: bytes, at: int) -> Heartbeat | None:
    content = json.loads(value)
    row = content.get("after")
    if row is None:
        return None
    made = datetime.fromisoformat(row["beat_at"])
    arrived = datetime.fromtimestamp(at / 1000, UTC)
    epoch = int(content.get("epoch", 1))
    return Heartbeat(int(row["heartbeat_id"]), int(row["number"]), made, arrived, str(row["seen"]), epoch)


def follow_snapshot(servers: str, snapshot_id: str, seconds: float) -> Iterator[Progress]:
    """The notices of one snapshot from its beginning, as they come, until it is complete or ``seconds`` without news.

    Notices are delivered in the transactions of the rows they speak of: after COMPLETED, every row is readable.
    """
    from confluent_kafka import TopicPartition

    reader = _reader(servers)
    try:
        reader.assign([TopicPartition(OPS_CAPTURE, 0, 0)])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in reader.consume(100, timeout=0.2):
                notice = None if message.error() else _progress(json.loads(message.value() or b"{}"))
                if notice is not None and notice.snapshot_id == snapshot_id:
                    deadline = time.monotonic() + seconds
                    yield notice
                    if notice.kind in {"COMPLETED", "ABORTED"}:
                        return
    finally:
        reader.close()


def _progress(content: dict[str, Any]) -> Progress | None:
    if content.get("aggregate_type") != "Incremental Snapshot":
        return None
    more = content.get("additional_data") or {}
    table = str(more.get("scanned_collection") or more.get("current_collection_in_progress") or "")
    rows, status = int(more.get("total_rows_scanned", 0)), str(more.get("status", ""))
    return Progress(str(content["id"]), str(content["type"]), table.removeprefix("oltp."), rows, status)


def _reader(servers: str) -> "Consumer":
    return consumer(servers, "capture-notices")
