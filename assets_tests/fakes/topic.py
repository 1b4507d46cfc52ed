"""A topic whose every message has reached the lake."""

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.streaming.owed import TopicRows


class SilentTopic(TopicRows):
    """The lake's worker holds nothing of it."""

    def __init__(self) -> None:
        """It has no copy."""

    def beyond(self, *_: object) -> pl.DataFrame:
        """No message."""
        return pl.DataFrame(schema=RAW_TRANSACTIONS_STREAM.schema)
