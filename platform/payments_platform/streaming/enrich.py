"""A change of a payment to the event that stores read: cards masked, customer and merchant beside it.

Belongs here: the pure step from frame to frame. Does not: reading changes (envelope.py), what is known of customers and
merchants (dimensions.py), waiting (partials.py).
"""

from datetime import datetime

import polars as pl

from payments_platform.batch.masking import mask_frame
from payments_platform.contracts.columns import UTC_MICROS
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import EVENT_SCHEMA, FULL, PARTIAL
from payments_platform.streaming.dimensions import Dimension

# What stays beside the event until it is written: where it came from, and what routing asks.
OF_THE_MESSAGE = ("partition", "offset", "key", "is_new")


def mask(changes: pl.DataFrame) -> pl.DataFrame:
    """The changes without the card numbers in their free text, before the first write outside the source."""
    return mask_frame(changes, RAW_TRANSACTIONS)[0]


def enrich(masked: pl.DataFrame, customers: Dimension, merchants: Dimension, now: datetime) -> pl.DataFrame:
    """Events of masked changes, in their order, with the columns of ``OF_THE_MESSAGE`` beside the contract's."""
    events = masked.with_columns(
        pl.col("before_status").alias("previous_status"),
        (pl.col("op") == "c").alias("is_new"),
        # A row that a snapshot reads is the state at its version; which change made it is no longer known.
        pl.when(pl.col("op") == "r").then(pl.when(pl.col("version") == 1).then(pl.lit("c")).otherwise(pl.lit("u")))
        .otherwise("op").alias("op"),
    )  # fmt: skip
    return join(events, customers, merchants, now).select(*EVENT_SCHEMA, *OF_THE_MESSAGE)


def join(events: pl.DataFrame, customers: Dimension, merchants: Dimension, now: datetime) -> pl.DataFrame:
    """The events with what is known now of their customer and merchant; also of an event that had waited for it."""
    customer_rows, is_customer_known = customers.look_up(events["customer_id"])
    merchant_rows, is_merchant_known = merchants.look_up(events["merchant_id"])
    enrichment = pl.when(is_customer_known & is_merchant_known).then(FULL).otherwise(PARTIAL)
    return events.with_columns(
        *customer_rows.get_columns(),
        *merchant_rows.get_columns(),
        enrichment.cast(EVENT_SCHEMA["enrichment"]).alias("enrichment"),
        pl.lit(now, dtype=UTC_MICROS).alias("processed_at"),
    )
