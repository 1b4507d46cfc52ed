"""What befalls the speed layer and is no kill: a full disk. It waits, says for what, and nothing is lost."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from assets_tests.fakes.events import NOW, event, messages
from assets_tests.faults.test_misfortunes import disk_of, resize
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake import segments
from payments_platform.lake.storage import LocalStorage
from payments_platform.operations.errors import classify
from payments_platform.streaming.positions import ends
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.lake_files import LakeFull
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

pytestmark = [pytest.mark.faults]
PART: Final = (ANALYTICS_TRANSACTIONS, 0)


def batch(first: int, count: int) -> pl.DataFrame:
    return messages([event(f"txn_{number}") for number in range(first, first + count)], first, at=NOW)


def fill(lake: LakeHandler) -> tuple[LakeFull, int]:
    """Hand over batches until one is refused; return the refusal and the batch's number."""
    for number in range(100):
        try:
            lake.handle(batch(number * 50, 50))
        except LakeFull as full:
            return full, number
    pytest.fail("the disk was never full")


@pytest.mark.row("O9", "E1", "S7")
@pytest.mark.parametrize("kilobytes", [8, 48, 100])
def test_a_full_lake_pauses_leaves_nothing_half_written_and_goes_on_where_it_was(
    tmp_path: Path, kilobytes: int
) -> None:
    """A worker that dies of a full disk is restarted into it for ever, and each try would fill the disk more."""
    root = tmp_path / "lake"
    with disk_of(root, kilobytes):
        storage = LocalStorage(root)
        lake = LakeHandler(storage, lambda _: None, lambda _: (0, 1_000), Flush(50, timedelta(hours=1)), lambda: NOW)
        lake.start([PART])
        full, number = fill(lake)
        assert classify(full) == "transient"
        waiting = batch(number * 50, 50)
        with pytest.raises(LakeFull, match="Make room"):
            lake.handle(waiting)
        committed = list(segments.segments(storage, ANALYTICS_TRANSACTIONS))
        assert sum(segment.rows for segment in committed) == number * 50
        files = {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}
        assert files == {segment.file for segment in committed}
        resize(root, 10_000)
        assert lake.handle(waiting) == ends(waiting)
        found = [segment.file for segment in segments.segments(storage, ANALYTICS_TRANSACTIONS)]
        offsets = storage.scan(found, RAW_TRANSACTIONS_STREAM.schema).collect()["topic_offset"]
        assert offsets.to_list() == list(range(number * 50 + 50))
