"""Building a store again from what the stream left: the lake's segments, then the rest of the topic.

Belongs here: clearing and replaying a store of four verbs. Does not: the stores (sinks/), the lake's segments
(rebuild_lake.py), questions to a person and progress bars (commands/rebuild.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.segments import Segment
from payments_platform.lake.storage import Storage
from payments_platform.streaming.events import decode
from payments_platform.streaming.reading import frames
from payments_platform.streaming.sinks.protocol import Sink
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

Origin = Literal["lake", "kafka"]
Progress = Callable[[int], None]
_TOPIC: Final = ANALYTICS_TRANSACTIONS
_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Replayed:
    """What a rebuild did: events written, and those that the store or the reader refused, as at the first time."""

    events: int
    refused: int


def rebuild_store(sink: Sink, storage: Storage, servers: str, origin: Origin, progress: Progress) -> Replayed:
    """Clear a store and write again all that the stream brought. Safe to repeat; a running worker may go on.

    From the lake, which keeps as long as the stores, and then from the topic what no segment holds yet; or from the
    topic alone, which keeps a week. What a worker writes meanwhile is merged with it, as always. What is refused is
    counted alone: it has its dead letter already.
    """
    sink.clear()
    total = refused = 0
    for part, unreadable in _events(storage, servers, origin):
        refused += unreadable + sink.write(part).height
        total += part.height
        progress(part.height)
    return Replayed(total, refused)


def _events(storage: Storage, servers: str, origin: Origin) -> Iterator[tuple[pl.DataFrame, int]]:
    """Events in frames that a sink takes at once, each with the number of messages beside it that are none."""
    ends: dict[int, int] = {}
    if origin == "lake":
        for segment in segments.segments(storage, _TOPIC):
            yield from ((part, 0) for part in _of_segment(storage, segment).iter_slices(_AT_ONCE))
            # Not asked anew at the end: what a running worker commits meanwhile was not replayed from its segment.
            ends[segment.partition] = segment.end
    for messages in frames(servers, _TOPIC, ends):
        for part in messages.iter_slices(_AT_ONCE):
            events, unreadable = decode(part)
            yield events, unreadable.height


def _of_segment(storage: Storage, segment: Segment) -> pl.DataFrame:
    """Its rows, beside the columns of the messages they were."""
    rows = storage.scan([segment.file], RAW_TRANSACTIONS_STREAM.schema).collect()
    return rows.rename(
        {"topic_partition": "partition", "topic_offset": "offset", "appended_at": "timestamp"}
    ).with_columns(pl.lit(segment.topic).alias("topic"))
