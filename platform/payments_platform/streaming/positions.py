"""Where a worker stands in its topics: the next offset to read of each partition.

Belongs here: the names of a partition and a position, and what a frame of messages says of them. Does not: asking or
telling a broker (source.py).
"""

from collections.abc import Collection
from typing import TypeAlias

import polars as pl

Partition: TypeAlias = tuple[str, int]
"""Topic and number."""
Positions: TypeAlias = dict[Partition, int]
"""For each partition the offset of the first message that is not in effect yet: what is committed."""


def ends(messages: pl.DataFrame) -> Positions:
    """The positions after these messages."""
    last = messages.group_by("topic", "partition").agg(pl.col("offset").max())
    return {(topic, partition): offset + 1 for topic, partition, offset in last.iter_rows()}


def without(messages: pl.DataFrame, partitions: Collection[Partition]) -> pl.DataFrame:
    """The messages of all other partitions, in order."""
    gone = pl.DataFrame(
        list(partitions), schema={name: messages.schema[name] for name in ("topic", "partition")}, orient="row"
    )
    return messages.join(gone, on=("topic", "partition"), how="anti", maintain_order="left")
