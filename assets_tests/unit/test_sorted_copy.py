"""The copy that verification asks: the rows about payments, however they came, and no other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from assets_tests.fakes.events import event, frame, messages
from assets_tests.fakes.storage import MemoryStorage
from assets_tests.fakes.topic import HeldTopic
from payments_platform.lake import segments
from payments_platform.streaming import sorted_copy
from payments_platform.streaming.owed import LakeRows
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.streaming.sinks.lake_files import rows_of
from payments_platform.streaming.sinks.protocol import Span, Wanted
from payments_platform.streaming.sorted_copy import SortedCopy
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

IDS = [f"txn_{number}" for number in range(40)]
ASKED: list[Wanted] = [
    Span(), Span(None, "txn_2"), Span("txn_2", "txn_31"), Span("txn_31", None), Span("txn_9", "txn_8"),
    ["txn_7"], ["txn_39", "txn_0", "nobody's"], [],
]  # fmt: skip


@pytest.mark.row("O9")
@pytest.mark.parametrize("wanted", ASKED, ids=str)
def test_a_copy_gives_each_asked_row_once_whichever_file_it_came_to(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorted_copy, "FILE_ROWS", 12)
    monkeypatch.setattr(sorted_copy, "_GROUP_ROWS", 3)
    rows = rows_of(frame([event(it) for it in (*IDS[1::2], *IDS[::2])]))
    copy = SortedCopy(tmp_path, rows.schema)
    for part in rows.iter_slices(5):
        copy.add(part)
    expected = rows.filter(wanted.holds() if isinstance(wanted, Span) else pl.col("transaction_id").is_in(list(wanted)))
    assert sorted(copy.rows(wanted)["transaction_id"]) == sorted(expected["transaction_id"])
    copy.clear()
    assert copy.rows(Span()).is_empty()
    assert not list(tmp_path.iterdir())
    copy.add(rows.head(2))
    assert copy.rows(Span()).height == 2


@pytest.mark.row("O9")
def test_the_lake_is_asked_anew_by_id_for_what_came_and_for_what_went(tmp_path: Path) -> None:
    """A segment that a rebuild has replaced must not be seen beside the new one."""
    storage = MemoryStorage()
    lake = LakeRows(storage, tmp_path, HeldTopic(tmp_path / "topic"), timedelta())
    assert lake.rows(Span()).is_empty()
    worker = LakeHandler(storage, lambda _: None, lambda _: (0, 1_000), Flush(1))
    worker.start([(ANALYTICS_TRANSACTIONS, 0)])
    worker.handle(messages([event("txn_1"), event("txn_2")]))
    assert lake.rows(Span()).is_empty()
    assert lake.rows(["txn_1"])["transaction_id"].to_list() == ["txn_1"]
    assert lake.rows(Span()).height == 2
    (segment,) = segments.segments(storage, ANALYTICS_TRANSACTIONS)
    storage.remove(segment.path)
    assert lake.rows(["txn_1"]).is_empty()
    assert lake.rows(Span()).is_empty()


@pytest.mark.row("O9")
@pytest.mark.parametrize("wanted", [Span(), ["txn_1", "txn_2", "txn_3"]], ids=["range", "by id"])
def test_what_the_lakes_worker_may_still_hold_counts_as_there_and_nothing_older(wanted: Wanted, tmp_path: Path) -> None:
    """A message that should long be in the lake, and is in the topic alone, is missing."""
    storage, now = MemoryStorage(), datetime.now(UTC)
    worker = LakeHandler(storage, lambda _: None, lambda _: (0, 1_000), Flush(1))
    worker.start([(ANALYTICS_TRANSACTIONS, 0)])
    worker.handle(messages([event("txn_1")]))
    old, young = (now - timedelta(seconds=age) for age in (400, 300))
    known = [
        messages([event(f"txn_{number}")], number - 1, at=at) for number, at in enumerate((now, old, young), start=1)
    ]
    topic = HeldTopic(tmp_path / "topic", known)
    lake = LakeRows(storage, tmp_path, topic, timedelta(seconds=300))
    assert sorted(lake.rows(wanted)["transaction_id"]) == ["txn_1", "txn_3"]
