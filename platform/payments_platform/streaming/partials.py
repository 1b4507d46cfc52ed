"""Events that wait for their customer or merchant: kept until they can be told whole.

Belongs here: which wait, which are ready, the form of the state topic. Does not: joining (enrich.py).
"""

from collections.abc import Collection
from typing import Final

import polars as pl

from payments_platform.contracts.streams import EVENT_SCHEMA, PARTIAL
from payments_platform.streaming.events import encode
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.vocabulary import STATE_PARTIALS

_KEY: Final = ("transaction_id", "version")
HELD: Final = pl.Schema({**EVENT_SCHEMA, "partition": pl.Int32(), "key": pl.Binary()})
"""A waiting event with the partition it lives in and the key of its messages."""


def waiting(events: pl.DataFrame) -> pl.DataFrame:
    """The partial events that something can come for. One that names no customer or no merchant waits for nothing."""
    named = pl.col("customer_id").is_not_null() & pl.col("merchant_id").is_not_null()
    return events.filter((pl.col("enrichment") == PARTIAL) & named).select(HELD.names())


def ready(held: pl.DataFrame, customers: Collection[str], merchants: Collection[str]) -> pl.DataFrame:
    """Those of the waiting that one of these keys, which have just come, may complete."""
    return held.filter(pl.col("customer_id").is_in(list(customers)) | pl.col("merchant_id").is_in(list(merchants)))


def without(held: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The waiting, less these versions."""
    return held if events.is_empty() else held.join(events, on=_KEY, how="anti", maintain_order="left")


def kept(events: pl.DataFrame) -> list[Outgoing]:
    """Messages that keep these events in the state topic."""
    return [
        Outgoing(STATE_PARTIALS, part["partition"][0], _keys(part), encode(part).to_list())
        for part in events.partition_by("partition")
    ]


def deleted(events: pl.DataFrame) -> list[Outgoing]:
    """Messages that take these events out of the state topic."""
    return [
        Outgoing(STATE_PARTIALS, part["partition"][0], _keys(part), [None] * part.height)
        for part in events.partition_by("partition")
    ]


def _keys(events: pl.DataFrame) -> list[str]:
    return events.select(pl.struct(_KEY).struct.json_encode()).to_series().to_list()
