"""The life of a partition: written, judged, read, replaced, damaged, swept."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.dataset import Column
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.sample import sample
from payments_platform.lake.errors import (
    ConcurrentCommit,
    PartitionCorrupt,
    PartitionMissing,
    PartitionNotPassed,
    PartitionOutdated,
    SchemaMismatch,
)
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import keeper, manifest_path
from payments_platform.lake.storage import ANY, Expected, LocalStorage, Storage

DAY = date(2025, 1, 2)
NOW = datetime(2025, 1, 3, 2, tzinfo=UTC)
ROWS = sample(RAW_TRANSACTIONS, 5)


@pytest.fixture(params=["directory", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    storage: Storage = LocalStorage(tmp_path) if request.param == "directory" else MemoryStorage(NOW)
    return Lake(storage)


@pytest.fixture
def directory(tmp_path: Path) -> Lake:
    return Lake(LocalStorage(tmp_path))


def write(lake: Lake, frame: pl.DataFrame | pl.LazyFrame | Iterator[pl.DataFrame] = ROWS, day: date = DAY) -> Manifest:
    return lake.write(day, {RAW_TRANSACTIONS: frame}, code_version="1", now=NOW)


def files(lake: Lake) -> list[str]:
    return [file.path for file in lake.storage.list("raw")]


@pytest.mark.row("B8")
def test_what_was_written_is_read_once_it_has_passed(lake: Lake) -> None:
    manifest = write(lake)
    with pytest.raises(PartitionNotPassed, match="2025-01-02 is pending"):
        lake.scan(RAW_TRANSACTIONS, DAY)
    assert lake.scan(RAW_TRANSACTIONS, DAY, allow_pending=True).collect().height == 5
    lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    assert lake.scan(RAW_TRANSACTIONS, DAY).collect().equals(ROWS)
    assert manifest.rows == 5
    assert dict(manifest.main.sums) == {"EUR": 5 * 1250}
    assert manifest.main.files[0].path.startswith("raw/transactions/year=2025/month=01/day=02/part-")
    lake.set_verdict(RAW_TRANSACTIONS, DAY, "failed", notes=["P-bad-ratio"])
    with pytest.raises(PartitionNotPassed, match="failed"):
        lake.scan(RAW_TRANSACTIONS, DAY)


def test_a_day_never_committed_is_missing_and_not_empty(lake: Lake) -> None:
    with pytest.raises(PartitionMissing, match=r"raw/transactions has no partition 2025-01-02.*payments backfill"):
        lake.scan(RAW_TRANSACTIONS, DAY)
    with pytest.raises(PartitionMissing):
        lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    assert lake.manifest(RAW_TRANSACTIONS, DAY) is None


@pytest.mark.parametrize("shape", ["frame", "lazy", "iterator", "no frame at all"])
def test_a_day_without_rows_is_a_partition(lake: Lake, shape: str) -> None:
    empty = ROWS.clear()
    shapes: dict[str, pl.DataFrame | pl.LazyFrame | Iterator[pl.DataFrame]] = {
        "frame": empty,
        "lazy": empty.lazy(),
        "iterator": iter([empty]),
        "no frame at all": iter([]),
    }
    frames = shapes[shape]
    manifest = write(lake, frames)
    lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    scanned = lake.scan(RAW_TRANSACTIONS, DAY)
    assert scanned.collect_schema() == RAW_TRANSACTIONS.schema
    assert (scanned.collect().height, manifest.rows, dict(manifest.main.sums)) == (0, 0, {})
    assert lake.days(RAW_TRANSACTIONS) == {DAY: "passed"}


def test_the_digest_ignores_order_and_chunks_and_sees_any_change(lake: Lake) -> None:
    digests = {
        write(lake, ROWS).digest,
        write(lake, ROWS.reverse().lazy()).digest,
        write(lake, iter([ROWS[3:], ROWS[:3]])).digest,
        write(lake, ROWS.select(reversed(ROWS.columns))).digest,
    }
    assert len(digests) == 1
    changed = ROWS.with_columns(description=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("description"))
    assert write(lake, changed).digest not in digests
    assert write(lake, pl.concat([ROWS, ROWS[:1]])).digest not in digests


@pytest.mark.row("Y3")
def test_a_rewritten_day_replaces_the_old_and_leaves_no_old_file(lake: Lake) -> None:
    write(lake)
    write(lake, ROWS[:2])
    assert lake.scan(RAW_TRANSACTIONS, DAY, allow_pending=True).collect().height == 2
    assert len(files(lake)) == 2


def test_sums_are_exact_beyond_64_bits_and_name_the_null_currency(lake: Lake) -> None:
    huge = ROWS.with_columns(
        amount_minor=pl.lit(2**63 - 1, dtype=pl.Int64),
        currency=pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("currency"),
    )
    assert dict(write(lake, huge).main.sums) == {"": 2 * (2**63 - 1), "EUR": 3 * (2**63 - 1)}


@pytest.mark.parametrize(
    "frame, named",
    [
        (ROWS.drop("currency"), "column currency is missing"),
        (ROWS.with_columns(extra=1), "column extra is not in the contract"),
        (ROWS.cast({"amount_minor": pl.Float64}), "column amount_minor is Float64, not Int64"),
    ],
)
def test_a_frame_outside_its_contract_is_refused_and_leaves_nothing(
    lake: Lake, frame: pl.DataFrame, named: str
) -> None:
    for frames in (frame, frame.lazy(), iter([ROWS, frame])):
        with pytest.raises(SchemaMismatch, match=named):
            write(lake, frames)
    assert files(lake) == []


def test_a_writer_that_fails_midway_leaves_the_old_partition(lake: Lake) -> None:
    before = write(lake)

    def frames() -> Iterator[pl.DataFrame]:
        yield ROWS
        raise ConnectionError("the source went away")

    with pytest.raises(ConnectionError):
        write(lake, frames())
    assert lake.manifest(RAW_TRANSACTIONS, DAY) == before
    assert len(files(lake)) == 2


def test_of_two_writers_of_one_day_the_second_to_commit_is_refused(lake: Lake) -> None:
    """A silent overwrite would leave a manifest whose files the other writer has removed."""
    winner: list[Manifest] = []

    def interrupted() -> Iterator[pl.DataFrame]:
        yield ROWS
        winner.append(write(lake, ROWS[:1]))

    with pytest.raises(ConcurrentCommit, match="2025-01-02"):
        write(lake, interrupted())
    assert lake.manifest(RAW_TRANSACTIONS, DAY) == winner[0]
    assert len(files(lake)) == 2
    lake.verify(RAW_TRANSACTIONS, DAY)


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


class DyingStorage(LocalStorage):
    """Dies at the n-th change of the directory; from then on nothing works, as for a process that is gone."""

    def __init__(self, root: Path, dies_at: int) -> None:
        super().__init__(root)
        self.steps, self.dies_at = 0, dies_at

    def _step(self) -> None:
        self.steps += 1
        if self.steps >= self.dies_at:
            raise Killed

    def replace(self, path: str, data: bytes, *, expected: Expected) -> None:
        self._step()
        super().replace(path, data, expected=expected)

    def remove(self, path: str) -> None:
        self._step()
        super().remove(path)


@pytest.mark.row("Y3")
@pytest.mark.parametrize("dies_at", range(1, 5))
def test_a_kill_at_any_point_leaves_the_old_partition_or_the_new(tmp_path: Path, dies_at: int) -> None:
    old = write(Lake(LocalStorage(tmp_path)))
    dying = Lake(DyingStorage(tmp_path, dies_at))
    with suppress(Killed):
        write(dying, iter([ROWS[:2], ROWS[:1]]))
    survivor = Lake(LocalStorage(tmp_path))
    found = survivor.verify(RAW_TRANSACTIONS, DAY)
    assert found == old or found.rows == 3
    later = datetime.now(UTC) + timedelta(days=2)
    survivor.sweep(older_than=timedelta(days=1), now=later)
    assert len(files(survivor)) == 1 + len(found.main.files)
    assert write(survivor).digest == old.digest


def test_clean_and_quarantine_are_one_commit_kept_by_clean(lake: Lake) -> None:
    bad = sample(QUARANTINE_TRANSACTIONS, 1)
    good = sample(CLEAN_TRANSACTIONS, 3)
    counts = pl.LazyFrame({"superseded": [4], "rule:R-amount-sign": [1]})
    outputs = {CLEAN_TRANSACTIONS: good.lazy(), QUARANTINE_TRANSACTIONS: bad.lazy()}
    written = lake.write(DAY, outputs, counts=counts, inputs={"raw/transactions": "ab"}, code_version="7", now=NOW)
    assert keeper(QUARANTINE_TRANSACTIONS) == CLEAN_TRANSACTIONS
    assert lake.manifest(QUARANTINE_TRANSACTIONS, DAY) == lake.manifest(CLEAN_TRANSACTIONS, DAY) == written
    assert dict(written.counts) == {"superseded": 4, "rule:R-amount-sign": 1}
    assert lake.scan(QUARANTINE_TRANSACTIONS, DAY, allow_pending=True).collect().equals(bad)
    assert next(iter(lake.storage.list("quarantine"))).path.startswith("quarantine/transactions/year=2025/")
    assert lake.bytes_by_zone()["quarantine"] > 0
    later = NOW + timedelta(days=900)
    assert lake.sweep(older_than=timedelta(days=1), now=later) == []


def test_counts_and_source_digests_may_be_known_only_after_the_frames(lake: Lake) -> None:
    passed: dict[str, int] = {}

    def frames() -> Iterator[pl.DataFrame]:
        for frame in (ROWS[:2], ROWS[2:]):
            passed["rows"] = passed.get("rows", 0) + frame.height
            yield frame

    manifest = lake.write(
        DAY,
        {RAW_TRANSACTIONS: frames()},
        counts=lambda: passed,
        source_digests=lambda: {"": str(passed["rows"])},
        code_version="1",
        now=NOW,
    )
    assert dict(manifest.counts) == {"rows": 5}
    assert dict(manifest.source_digests) == {"": "5"}


def test_a_manifest_from_before_first_landings_were_kept_is_read_and_passes_its_landing_on(lake: Lake) -> None:
    """A lake that exists must not lose its delays, nor its days, on the day the platform is updated."""
    write(lake)
    lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    path = manifest_path(RAW_TRANSACTIONS, DAY)
    record = json.loads(lake.storage.read(path) or b"")
    del record["first_landed_at"], record["replaces_passed"]
    lake.storage.replace(path, json.dumps(record).encode(), expected=ANY)
    lake.write(DAY, {RAW_TRANSACTIONS: ROWS}, code_version="1", now=NOW + timedelta(days=9))
    again = lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    assert (again.landed_at, again.written_at) == (NOW, NOW + timedelta(days=9))


@pytest.mark.row("E5")
@pytest.mark.faults
@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped"])
def test_a_damaged_file_is_named_with_the_command_that_heals_it(directory: Lake, tmp_path: Path, damage: str) -> None:
    manifest = write(directory)
    directory.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    file = tmp_path / manifest.main.files[0].path
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:-100])
    else:
        file.write_bytes(content[:200] + bytes(byte ^ 0xFF for byte in content[200:260]) + content[260:])
    with pytest.raises(PartitionCorrupt, match=rf"{file.name}.*payments backfill --from 2025-01-02"):
        directory.verify(RAW_TRANSACTIONS, DAY)
    if damage != "flipped":
        with pytest.raises(PartitionCorrupt, match=file.name):
            directory.scan(RAW_TRANSACTIONS, DAY)
    write(directory)
    assert directory.verify(RAW_TRANSACTIONS, DAY).digest == manifest.digest


def test_days_are_listed_in_order_with_their_verdicts(lake: Lake) -> None:
    for offset in (3, 0, 1):
        write(lake, day=DAY + timedelta(days=offset))
    lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    assert lake.days(RAW_TRANSACTIONS) == {
        DAY: "passed",
        DAY + timedelta(days=1): "pending",
        DAY + timedelta(days=3): "pending",
    }


def test_the_sweeper_takes_only_old_files_that_no_manifest_names(directory: Lake) -> None:
    write(directory)
    with directory.storage.writing("raw/transactions/year=2025/month=01/day=02/part-dead.parquet") as target:
        ROWS.write_parquet(target)
    now = datetime.now(UTC)
    assert directory.sweep(older_than=timedelta(hours=1), now=now) == []
    swept = directory.sweep(older_than=timedelta(hours=1), now=now + timedelta(hours=2))
    assert [path.rsplit("/", 1)[1] for path in swept] == ["part-dead.parquet"]
    directory.verify(RAW_TRANSACTIONS, DAY)


def test_a_verdict_on_a_day_that_changed_meanwhile_is_refused(directory: Lake) -> None:
    """The checks of the old rows say nothing about the new ones."""
    old = write(directory)

    class ChangesAfterRead(LocalStorage):
        def read(self, path: str) -> bytes | None:
            data = super().read(path)
            if data == old.to_json():
                newer = replace(old, code_version="2").to_json()
                super().replace(path, newer, expected=ANY)
            return data

    assert isinstance(directory.storage, LocalStorage)
    with pytest.raises(ConcurrentCommit):
        Lake(ChangesAfterRead(directory.storage.root)).set_verdict(RAW_TRANSACTIONS, DAY, "passed")
    assert directory.days(RAW_TRANSACTIONS) == {DAY: "pending"}
    assert manifest_path(RAW_TRANSACTIONS, DAY).endswith("_manifest.json")


def test_a_verdict_is_refused_for_rows_that_nobody_judged(lake: Lake) -> None:
    """Two runs of one day: the checks of the first must not pass the rows that the second wrote meanwhile."""
    write(lake)
    judged = lake.manifest(RAW_TRANSACTIONS, DAY)
    write(lake, ROWS.head(4))
    with pytest.raises(ConcurrentCommit):
        lake.set_verdict(RAW_TRANSACTIONS, DAY, "passed", judged=judged)


def test_a_day_of_an_earlier_contract_is_made_again_and_not_read(directory: Lake) -> None:
    """Read as it is, a column that is new would be taken for empty."""
    write(directory)
    later = replace(RAW_TRANSACTIONS, columns=(*RAW_TRANSACTIONS.columns, Column("is_new", pl.Boolean(), "New.")))
    with pytest.raises(PartitionOutdated, match=r"before its contract changed columns.*payments backfill --from"):
        directory.scan(later, DAY, allow_pending=True)
    with pytest.raises(PartitionOutdated):
        directory.verify(later, DAY)
