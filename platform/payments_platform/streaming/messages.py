"""A batch of Kafka messages as a frame: what a worker polls, and what its pure function gets.

Belongs here: the columns of a message. Does not: polling (worker.py), what a value says (envelope.py, events.py).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from confluent_kafka import Message

# A message is named by (topic, partition, offset). ``value`` null is a tombstone. ``timestamp`` is Kafka's.
MESSAGES: Final = pl.Schema(
    {
        "topic": pl.String(),
        "partition": pl.Int32(),
        "offset": pl.Int64(),
        "timestamp": pl.Datetime("ms", "UTC"),
        "key": pl.Binary(),
        "value": pl.Binary(),
    }
)


def frame_of(messages: "Sequence[Message]") -> pl.DataFrame:
    """The messages as one frame with the columns of ``MESSAGES``, in the order given."""
    columns = {
        "topic": [message.topic() for message in messages],
        "partition": [message.partition() for message in messages],
        "offset": [message.offset() for message in messages],
        "timestamp": pl.Series([message.timestamp()[1] for message in messages], dtype=pl.Int64).cast(
            MESSAGES["timestamp"]
        ),
        "key": [message.key() for message in messages],
        "value": [message.value() for message in messages],
    }
    return pl.DataFrame(columns, schema=MESSAGES)
