"""The topic beside the lake, without a broker."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from payments_platform.streaming.events import decode
from payments_platform.streaming.owed import TopicRows
from payments_platform.streaming.sinks.lake_files import rows_of


class HeldTopic(TopicRows):
    """A topic whose messages are known."""

    def __init__(self, folder: Path, frames: Sequence[pl.DataFrame] = ()) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__("no broker is asked", folder)
        for messages in frames:
            self._copy.add(rows_of(decode(messages)[0]))

    def refresh(self) -> None:
        """Nothing comes."""
