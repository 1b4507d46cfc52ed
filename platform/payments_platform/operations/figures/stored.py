"""What the lake keeps of the figures' facts: records by day, phase times, rows that came in and out.

Belongs here: reading these days. Does not: what Dagster holds of days that nobody kept yet (defs/), any figure.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.operations import PHASE_TIMES, QUALITY_REPORT, STREAM_RECONCILIATION, WHOLE_TABLE
from payments_platform.lake.errors import ManifestUnreadable
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import Span, midnight


def is_kept(lake: Lake, dataset: Dataset, day: date) -> bool:
    """Whether the day of a dataset is there, passed its checks, and was written when the day was over.

    What was written in the middle of a day lacks its evening; it must not pass for the day.
    """
    try:
        manifest = lake.manifest(dataset, day)
    except ManifestUnreadable:
        return False
    if manifest is None or manifest.verdict != "passed":
        return False
    return manifest.written_at >= midnight(day + timedelta(days=1))


def kept(lake: Lake, dataset: Dataset, days: Iterable[date]) -> tuple[pl.DataFrame, list[date]]:
    """The rows of the days that are kept, and the days that are not."""
    missing: list[date] = []
    frames: list[pl.DataFrame] = []
    for day in days:
        if is_kept(lake, dataset, day):
            frames.append(lake.scan(dataset, day).collect())
        else:
            missing.append(day)
    return pl.concat([pl.DataFrame(schema=dataset.schema), *frames]), missing


def phase_times(lake: Lake, span: Span) -> pl.DataFrame:
    """The phase times that were measured in a span, whichever days were built then."""
    found = [it.day for it in lake.manifests(PHASE_TIMES) if _is_of(it, span.starts_at, span.ends_at)]
    return kept(lake, PHASE_TIMES, found)[0]


def _is_of(manifest: Manifest, begins: datetime, ends: datetime) -> bool:
    return manifest.verdict == "passed" and begins <= manifest.written_at < ends


def lost_rows(lake: Lake, days: Sequence[date]) -> dict[date, int]:
    """By day, rows that the zones took in and did not give out again, and rows that the stream lacks.

    Days without a quality report are left out: nothing was counted.
    """
    found = {}
    for day in days:
        if is_kept(lake, QUALITY_REPORT, day):
            whole = lake.scan(QUALITY_REPORT, day).filter(pl.col("rule_id") == WHOLE_TABLE).collect()
            given = sum(whole[name].fill_null(0) for name in ("clean_count", "quarantined_count", "superseded_count"))
            found[day] = int((whole["judged_count"] - given).abs().sum()) + _not_in_stream(lake, day)
    return found


def _not_in_stream(lake: Lake, day: date) -> int:
    """Differences fail the check of their day, so its verdict is not asked."""
    if lake.manifest(STREAM_RECONCILIATION, day) is None:
        return 0
    rows = lake.scan(STREAM_RECONCILIATION, day, allow_pending=True).filter(pl.col("kind") == "missing").collect()
    return rows.height
