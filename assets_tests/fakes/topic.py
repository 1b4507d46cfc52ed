"""The topic beside the lake, without a broker."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.streaming.events import decode
from payments_platform.streaming.owed import TopicRows
from payments_platform.streaming.sinks.lake_files import rows_of


class HeldTopic(TopicRows):
    """A topic whose messages are known."""

    def __init__(self, folder: Path, frames: Sequence[pl.DataFrame]) -> None:
        folder.mkdir()
        super().__init__("no broker is asked", folder)
        for messages in frames:
            self._copy.add(rows_of(decode(messages)[0]))

    def refresh(self) -> None:
        """Nothing comes."""


class SilentTopic(TopicRows):
    """A topic whose every message has reached the lake."""

    def __init__(self) -> None:
        """It has no copy."""

    def beyond(self, *_: object) -> pl.DataFrame:
        """No message."""
        return pl.DataFrame(schema=RAW_TRANSACTIONS_STREAM.schema)
