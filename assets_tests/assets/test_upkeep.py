"""Upkeep as a job: what it does is shown, and rows that found no partition make it fail with advice."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets_tests.fakes.events import event, messages
from payments_platform.contracts.merchants import RAW_MERCHANTS
from payments_platform.contracts.sample import sample
from payments_platform.defs._platform.resources import LAKE, SOURCE_UPKEEP
from payments_platform.defs.operations.upkeep import daily_upkeep
from payments_platform.lake import segments
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.oltp.upkeep import SourceUpkeep
from payments_platform.streaming.sinks.lake import Flush, LakeHandler
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

DAY = date(2025, 1, 1)


class OwnedSource:
    """A source whose upkeep finds what it is told to find."""

    def __init__(self, default_rows: dict[str, int]) -> None:
        self.default_rows = default_rows

    def upkeep(self, *, today: date) -> SourceUpkeep:
        """Say that one partition was made and one detached."""
        assert today == datetime.now(UTC).date()
        return SourceUpkeep(1, ("merchants_history_p20240101",), self.default_rows)


def kept(folder: Path, default_rows: dict[str, int]) -> dg.ExecuteInProcessResult:
    resources = {SOURCE_UPKEEP: OwnedSource(default_rows), LAKE: Lake(LocalStorage(folder))}
    return daily_upkeep.execute_in_process(resources=resources, raise_on_error=False)


@pytest.mark.row("P1")
def test_leftovers_go_and_what_a_manifest_names_stays(tmp_path: Path) -> None:
    lake = Lake(LocalStorage(tmp_path))
    now = datetime.now(UTC)
    manifest = lake.write(DAY, {RAW_MERCHANTS: sample(RAW_MERCHANTS, 3)}, code_version="1", now=now)
    written = tmp_path / manifest.main.files[0].path
    leftover = written.with_name("left-by-a-killed-writer.parquet")
    leftover.write_bytes(b"half")
    young = written.with_name("being-written.parquet")
    young.write_bytes(b"half")
    old = (now - timedelta(days=2)).timestamp()
    for file in (written, leftover):
        os.utime(file, (old, old))
    assert kept(tmp_path, {}).success
    assert (written.exists(), leftover.exists(), young.exists()) == (True, False, True)


@pytest.mark.row("P1")
def test_rows_without_a_partition_fail_the_job_and_the_lake_is_swept_all_the_same(tmp_path: Path) -> None:
    result = kept(tmp_path, {"transactions": 2})
    assert not result.success
    failed = {event.step_key: event for event in result.all_events if event.is_step_failure}
    assert list(failed) == ["keep_source_partitions"]
    data = failed["keep_source_partitions"].step_failure_data
    assert data.user_failure_data is not None
    assert "transactions 2" in str(data.user_failure_data.description)
    assert result.is_node_success("sweep_lake")


@pytest.mark.row("G5")
def test_segments_of_the_stream_go_after_their_days(tmp_path: Path) -> None:
    """The last of a partition stays, however old: its worker starts there."""
    storage, place = LocalStorage(tmp_path), (ANALYTICS_TRANSACTIONS, 0)
    worker = LakeHandler(storage, lambda _: None, lambda _: (0, 1_000), Flush(1))
    worker.start([place])
    now = datetime.now(UTC)
    for offset, age in enumerate((100, 91, 1, 0)):
        worker.handle(messages([event(f"txn_{offset}")], offset, at=now - timedelta(days=age)))
    assert kept(tmp_path, {}).success
    assert segments.starts(storage, ANALYTICS_TRANSACTIONS) == {0: [2, 3]}
