"""What is there: the facts that freshness is judged by, from the lake's manifests and the warehouse's landing times.

Belongs here: turning manifests and landing times into ``Watched`` values, from which day on anything is owed. Does not:
the judgement (freshness.py), opening the warehouse: its record is given as a frame.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import Final, TypeVar, assert_never

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import Deadline, Due, MaxAge
from payments_platform.lake.errors import ManifestUnreadable
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import keeper
from payments_platform.operations.freshness import LOOKBACK, Landed, Watched
from payments_platform.settings import Environment
from payments_platform.vocabulary import LAKE_ZONES, TEAM_OF_ZONE, days_between

Length = TypeVar("Length", timedelta, float)
# Fewer say nothing of what is usual.
_OBSERVATIONS: Final = 5
_DAY: Final = timedelta(days=1)
# What the daily job may take for a whole day: a day that was there and is built again is not missed for so long.
_BUILT_AGAIN: Final = timedelta(hours=2)
_LANDINGS: Final = pl.Schema(
    {
        "dataset": pl.String(),
        "partition_date": pl.Date(),
        "row_count": pl.Int64(),
        "digest": pl.String(),
        "data_as_of": pl.Datetime("us", "UTC"),
        "landed_at": pl.Datetime("us", "UTC"),
    }
)


def days_looked_at(now: datetime, deadlines: Iterable[Deadline] = (), lookback: timedelta = LOOKBACK) -> list[date]:
    """The days that may decide: from the start of the oldest partition due within the lookback of any deadline on.

    A month that was due 34 days ago began 66 days ago. Today is there too, which may be there early.
    """
    today = now.astimezone(UTC).date()
    starts = [it.partition_at(now - lookback - it.after).start.date() for it in deadlines if isinstance(it, Due)]
    return days_between(min([today - lookback - 2 * _DAY, *starts]), today + _DAY)


def facts(
    datasets: Iterable[Dataset],
    reads: Mapping[str, Sequence[str]],
    lake: Lake,
    load_times: pl.DataFrame,
    days: Sequence[date],
    *,
    newest: Mapping[str, datetime | None] | None = None,
    now: datetime | None = None,
    owed_from: Mapping[str, date] | None = None,
) -> list[Watched]:
    """What is known of each dataset that can be late, for the days given (in order).

    ``reads`` says by name what each is made from; ``load_times`` is the warehouse's record (``Warehouse.load_times``);
    ``newest`` the time of the newest data of each stream that runs here (None: of one that never brought any). The
    others, and what is made from them, are left out: where no stream runs nobody waits for it.
    A day counts when its manifest passed, or in the warehouse when its latest load passed its checks. With ``now``
    a day of the lake that was there counts for two hours more while it is built again and nobody has judged it; who
    would read it leaves ``now`` out. ``owed_from`` is the first day of datasets that began later than the others.
    """
    in_warehouse = _warehouse_days(load_times, days)
    in_lake: dict[str, dict[datetime, Landed]] = {}
    streams, found = newest or {}, []
    datasets = tuple(datasets)
    absent = {it.name for it in datasets if isinstance(it.deadline, MaxAge) and it.name not in streams}
    for dataset in datasets:
        if dataset.name in absent or absent & set(reads.get(dataset.name, ())):
            continue
        plain = Watched(
            dataset.name, TEAM_OF_ZONE[dataset.key[0]], dataset.deadline, tuple(reads.get(dataset.name, ())),
            owed_from=(owed_from or {}).get(dataset.name),
        )  # fmt: skip
        if isinstance(dataset.deadline, MaxAge):
            found.append(replace(plain, newest=streams[dataset.name]))
        elif isinstance(dataset.deadline, Due) and dataset.deadline.period == "hour":
            # Landings are kept by date: that a day is there does not say it of its first hour.
            found.append(plain)
        elif isinstance(dataset.deadline, Due) and dataset.zone in LAKE_ZONES:
            kept = keeper(dataset)
            if kept.name not in in_lake:
                in_lake[kept.name] = dict(_lake_days(lake, kept, days, now))
            found.append(replace(plain, landed=in_lake[kept.name]))
        elif isinstance(dataset.deadline, Due):
            found.append(replace(plain, landed=in_warehouse.get(dataset.name, {})))
    by_name = {it.dataset: it for it in found}
    return [replace(it, usual=_usual(it, by_name)) for it in found]


def lake_landings(datasets: Iterable[Dataset], lake: Lake, days: Sequence[date]) -> pl.DataFrame:
    """What landed in the lake on these days, as the warehouse keeps it: a row for each dataset and passed day."""
    rows = []
    for dataset in datasets:
        for manifest in _there(lake, keeper(dataset), days):
            output = manifest.outputs.get(dataset.name)
            if output is not None:
                end = _midnight(manifest.day) + _DAY
                as_of = min(manifest.written_at, end)
                rows.append((dataset.name, manifest.day, output.rows, output.digest, as_of, manifest.written_at))
    return pl.DataFrame(rows, schema=_LANDINGS, orient="row")


def first_owed(environment: Environment, first_partition: date, lake: Lake, raw: Iterable[Dataset]) -> date | None:
    """The first day that must be there; None when none must.

    Where the daily job runs by itself, the first partition of the settings: a platform that never built anything owes
    all of it. On a laptop and in tests, where a person builds the days they want to see, the first day ever built;
    none as long as nothing is.
    """
    match environment:
        case "staging" | "production":
            return first_partition
        case "local" | "test":
            return min((day for it in raw if (day := lake.first_day(it))), default=None)
        case _:
            assert_never(environment)


def _there(lake: Lake, dataset: Dataset, days: Sequence[date], now: datetime | None = None) -> Iterator[Manifest]:
    """The days that are there. One that cannot be read is not: whoever reads the day would fail on it."""
    for day in days:
        try:
            manifest = lake.manifest(dataset, day)
        except ManifestUnreadable:
            continue
        if manifest is not None and (manifest.verdict == "passed" or _is_built_again(manifest, now)):
            yield manifest


def _is_built_again(manifest: Manifest, now: datetime | None) -> bool:
    is_pending = manifest.verdict == "pending" and manifest.replaces_passed
    return is_pending and now is not None and now - manifest.written_at <= _BUILT_AGAIN


def _lake_days(
    lake: Lake, dataset: Dataset, days: Sequence[date], now: datetime | None
) -> Iterator[tuple[datetime, Landed]]:
    for manifest in _there(lake, dataset, days, now):
        start = _midnight(manifest.day)
        yield start, Landed(manifest.landed_at, min(manifest.written_at, start + _DAY))


def _warehouse_days(load_times: pl.DataFrame, days: Sequence[date]) -> dict[str, dict[datetime, Landed]]:
    found: dict[str, dict[datetime, Landed]] = {}
    if days:
        chosen = load_times.filter(pl.col("is_passed"), pl.col("partition_date").is_between(days[0], days[-1]))
        rows = chosen.select("dataset", "partition_date", "first_landed_at", "data_as_of").iter_rows()
        for name, day, landed_at, data_as_of in rows:
            found.setdefault(name, {})[_midnight(day)] = Landed(landed_at, data_as_of)
    return found


def _usual(it: Watched, by_name: Mapping[str, Watched]) -> timedelta | None:
    """The time that nine of ten partitions take after the last thing they read; None when too few are known."""
    if not isinstance(it.deadline, Due):
        return None
    parents = [by_name[name] for name in it.reads if name in by_name]
    # Of another period, which partition was read is another question.
    parents = [parent for parent in parents if getattr(parent.deadline, "period", None) == it.deadline.period]
    took = []
    for start, landed in it.landed.items():
        before = [parent.landed[start].landed_at for parent in parents if start in parent.landed]
        # What was built again after it tells nothing of how long it took.
        if before and len(before) == len(parents) and max(before) <= landed.landed_at:
            took.append(landed.landed_at - max(before))
    return nearest_rank(took, 0.9) if len(took) >= _OBSERVATIONS else None


def nearest_rank(values: Sequence[Length], share: float) -> Length:
    """The smallest value that at least a share of the values does not exceed: one that was measured, never a mean."""
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
