"""The stream as Dagster sees it: windows told of once, wherever a tick is killed; hours that read the same again.

Belongs here: the sensor, the asset and its checks on a lake in memory and an instance that forgets. Does not: grouping
(unit/test_windows), real servers (integration).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import dagster as dg
import polars as pl
import pytest

from assets_tests.fakes.segments import NOON, segment
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.definitions import defs
from payments_platform.defs._platform.partitions import WINDOWS_TAG
from payments_platform.defs._platform.streams import Position
from payments_platform.defs._platform.window_events import DIGEST, KEY, WINDOW
from payments_platform.defs.raw.transactions_stream import transactions_stream, transactions_stream_checks
from payments_platform.defs.stream_sensors import CHECK_EVERY, stream_windows
from payments_platform.lake import segments
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import Storage
from payments_platform.streaming.windows import following, path_of, window_of, windows
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

HOUR = "2025-01-01-12:00"


class Tick(Protocol):
    """What a tick of a sensor gives to the daemon."""

    @property
    def asset_events(self) -> Sequence[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation]: ...
    @property
    def run_requests(self) -> Sequence[dg.RunRequest] | None: ...
    @property
    def skip_message(self) -> str | None: ...
    @property
    def cursor(self) -> str | None: ...


@dataclass
class FakeStreams:
    """A broker whose topic ends at 1000 in every partition, or that is away."""

    is_away: bool = False
    letters: pl.DataFrame = field(default_factory=pl.DataFrame)
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def ends(self, topic: str) -> Mapping[str, int]:
        if self.is_away:
            raise ConnectionError("no broker")
        return {f"{topic}-{partition}": 1000 for partition in range(4)}

    def consumed(self, group: str) -> Position:
        return Position({f"{ANALYTICS_TRANSACTIONS}-0": 990}, 10, 9)

    def documents(self) -> int:
        return 5

    def searchable(self) -> int:
        return 4


class Daemon:
    """A sensor daemon that can be killed at each point of a tick; what it stored survives it."""

    def __init__(self, instance: dg.DagsterInstance, storage: MemoryStorage) -> None:
        self.instance, self.storage = instance, storage
        self.cursor: str | None = None
        self.streams = FakeStreams()

    def evaluate(self) -> Tick:
        """What the sensor answers; nothing of it is stored yet."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"lake": Lake(self.storage), "streams": self.streams},
            repository_def=defs.get_repository_def(),
        )
        return stream_windows.evaluate_tick(context)

    def tick(self, *, killed_after: int | None = None) -> Tick:
        """One tick: answer, then its events one by one, then the cursor; killed after so many of these steps."""
        result = self.evaluate()
        for step, event in enumerate(result.asset_events):
            if step == killed_after:
                return result
            self.instance.report_runless_asset_event(event)
        if killed_after is None:
            self.cursor = result.cursor
        return result

    def told(self) -> list[tuple[str, str, str]]:
        """Hour, window and digest of every materialization on record, in order."""
        found = self.instance.fetch_materializations(KEY, limit=1000, ascending=True).records
        events = [record.asset_materialization for record in found]
        return [(e.partition or "", e.tags[WINDOW], e.tags[DIGEST]) for e in events if e and e.tags]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with an instance of its own, and a lake with segments of three partitions in two hours."""
    storage = MemoryStorage()
    for partition in range(3):
        segment(storage, partition, 0, 2)
    segment(storage, 0, 2, 3, NOON + timedelta(hours=1))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance, storage)


def expected(storage: Storage) -> list[tuple[str, str, str]]:
    """What must have been told: each hour of each window on record, once."""
    return [(part.hour, str(window.number), part.digest) for window in windows(storage) for part in window.slices]


@pytest.mark.row("C6")
def test_a_window_is_told_of_by_the_hour_with_offsets_rows_sums_and_lag(daemon: Daemon) -> None:
    result = daemon.tick()
    first = next(event for event in result.asset_events if isinstance(event, dg.AssetMaterialization))
    assert first.partition == HOUR
    assert first.metadata["offsets"].value == {f"analytics.transactions-{n}": [0, 2] for n in range(3)}
    assert first.metadata["dagster/partition_row_count"].value == 6
    assert first.metadata["sums_minor"].value == {"EUR": "7500"}
    assert first.metadata["lag"].value == {f"analytics.transactions-{n}": 997 if n == 0 else 998 for n in range(3)}
    assert daemon.told() == expected(daemon.storage)
    assert set(daemon.instance.get_materialized_partitions(KEY)) == {HOUR, "2025-01-01-13:00"}


@pytest.mark.row("C6")
@pytest.mark.parametrize("point", ["before the record", "before the answer", 0, 1, 2, 3])
def test_a_daemon_killed_anywhere_in_a_tick_leaves_no_gap_and_no_overlap(daemon: Daemon, point: str | int) -> None:
    """Before the window is on record; after that, before the answer; before each event; before the cursor.

    More segments come while it is down: they belong to the next window, or no record could be told of twice.
    """
    if point == "before the answer":
        daemon.evaluate()
    elif isinstance(point, int):
        assert len(daemon.tick(killed_after=point).asset_events) == 3
    segment(daemon.storage, 1, 2, 4)
    for _ in range(3):
        daemon.tick()
    assert daemon.told() == expected(daemon.storage)
    held = [path for window in windows(daemon.storage) for part in window.slices for path in part.segments]
    assert sorted(held) == sorted(it.path for it in segments.segments(daemon.storage, ANALYTICS_TRANSACTIONS))
    assert [window.breaks for window in windows(daemon.storage)] == [()] * (1 if point == "before the record" else 2)


@pytest.mark.row("C6")
def test_a_cursor_that_was_lost_tells_of_nothing_twice(daemon: Daemon) -> None:
    """A person resets the sensor: the same digests again are the same materializations."""
    daemon.tick()
    daemon.cursor = None
    daemon.tick()
    assert daemon.told() == expected(daemon.storage)


@pytest.mark.row("C6")
def test_a_broker_that_is_away_is_a_skip_with_its_reason_and_no_window(daemon: Daemon) -> None:
    """An empty success would read as a stream without payments."""
    daemon.streams.is_away = True
    skipped = daemon.tick()
    assert "no broker" in str(skipped.skip_message)
    assert window_of(daemon.storage, 1) is None


@pytest.mark.row("C6", "X3")
def test_a_hole_in_the_offsets_fails_the_check_of_its_window(daemon: Daemon) -> None:
    """The broker removed messages before the lake had them: rows that are nowhere must be somebody's alarm."""
    daemon.tick()
    segment(daemon.storage, 1, 7, 8)
    result = daemon.tick()
    verdict = next(event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation))
    assert not verdict.passed
    assert "analytics.transactions-1: a hole of offsets [2, 7)" in str(verdict.description)


@pytest.mark.row("C6")
def test_runs_of_checks_are_few_and_leave_no_window_out(daemon: Daemon) -> None:
    asked = []
    for n in range(5):
        result = daemon.tick()
        asked += [request.tags[WINDOWS_TAG] for request in result.run_requests or ()]
        segment(daemon.storage, 2, 2 + n, 3 + n)
    assert asked == ["1-1"]
    cursor = json.loads(daemon.cursor or "{}")
    cursor["asked_at"] = (datetime.now(UTC) - CHECK_EVERY).isoformat()
    daemon.cursor = json.dumps(cursor)
    result = daemon.tick()
    assert [request.tags[WINDOWS_TAG] for request in result.run_requests or ()] == ["2-6"]


def run(assets: list[Any], lake: Lake, tags: dict[str, str], **more: object) -> dg.ExecuteInProcessResult:
    """Materialize, or check alone."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets,
            resources={"lake": lake},
            tags=tags,
            raise_on_error=False,
            instance=instance,
            **more,  # type: ignore[arg-type]
        )


@pytest.mark.row("C6", "C5", "X3")
def test_an_hour_that_is_materialized_again_reads_the_rows_that_were_committed(daemon: Daemon) -> None:
    following(daemon.storage, 0, NOON)
    lake = Lake(daemon.storage)
    digests = []
    for _ in range(2):
        result = run([transactions_stream, transactions_stream_checks], lake, {}, partition_key=HOUR)
        assert result.success
        (made,) = result.asset_materializations_for_node("raw_transactions_stream")
        digests.append(made.metadata["digest"].value)
        assert [check.passed for check in result.get_asset_check_evaluations()] == [True, True]
    window = window_of(daemon.storage, 1)
    assert window
    assert digests == [window.slices[0].digest] * 2


@pytest.mark.row("C6", "C5", "X3")
@pytest.mark.faults
def test_a_changed_file_fails_its_hour_and_the_check_of_its_window(daemon: Daemon) -> None:
    following(daemon.storage, 0, NOON)
    one, other = (segments.read(daemon.storage, ANALYTICS_TRANSACTIONS, n, 0).file for n in (0, 1))
    daemon.storage.files[one] = daemon.storage.files[other]
    lake = Lake(daemon.storage)
    assert not run([transactions_stream], lake, {}, partition_key=HOUR).success
    checked = run(
        [transactions_stream, transactions_stream_checks], lake, {WINDOWS_TAG: "1-1"},
        selection=dg.AssetSelection.checks_for_assets(KEY),
    )  # fmt: skip
    found = {check.check_name: check for check in checked.get_asset_check_evaluations()}
    assert not found["contract"].passed
    assert path_of(1) in str(found["contract"].description)
    assert found["contiguous"].passed
