"""Events that would be larger than a message may be: refused one by one, before they cost a whole batch.

Belongs here: finding them. Does not: encoding (events.py), the topics' limits (streaming/topics.py).
"""

from typing import Final

import polars as pl

from payments_platform.contracts.dead_letters import Fault
from payments_platform.streaming.dead_letters import FAULT, KEPT_BYTES
from payments_platform.streaming.events import REFUSAL, encode

# Everything but the free text is short: only an event with this much of it is measured.
_SUSPECT_BYTES: Final = 100_000


def split(events: pl.DataFrame, messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events that fit into a message, and the messages of the others with ``fault`` and ``refusal``."""
    sizes = events.select(pl.sum_horizontal(pl.col("description", "metadata").str.len_bytes())).to_series()
    suspects = events.filter(sizes > _SUSPECT_BYTES)
    too_large = suspects.filter(encode(suspects).str.len_bytes() > KEPT_BYTES) if suspects.height else suspects
    if too_large.is_empty():
        return events, messages.clear().with_columns(pl.lit("").alias(FAULT), pl.lit("").alias(REFUSAL))
    place = ("partition", "offset")
    refused = messages.join(too_large, on=place, how="semi", maintain_order="left")
    words = pl.lit(f"the event would be larger than {KEPT_BYTES:,} bytes")
    return (
        events.join(too_large, on=place, how="anti", maintain_order="left"),
        refused.with_columns(pl.lit(Fault.OVERSIZE.value).alias(FAULT), words.alias(REFUSAL)),
    )
