"""What the lake keeps for the figures: days that are whole, rows that are nowhere.

Belongs here: reading these. Does not: what follows from them (unit/test_service_levels).
"""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.figures import RUN_RECORDS
from payments_platform.contracts.operations import PHASE_TIMES, QUALITY_REPORT, STREAM_RECONCILIATION, WHOLE_TABLE
from payments_platform.contracts.sample import sample
from payments_platform.lake.manifest import Verdict
from payments_platform.lake.partitions import Lake
from payments_platform.operations.figures.periods import week_of
from payments_platform.operations.figures.stored import kept, lost_rows, phase_times

DAY, NEXT = date(2028, 2, 29), date(2028, 3, 1)
LATER = datetime(2028, 3, 2, 6, 30, tzinfo=UTC)


def keep(
    lake: Lake, of: Dataset, day: date, rows: pl.DataFrame, *, at: datetime = LATER, verdict: Verdict = "passed"
) -> None:
    lake.write(day, {of: rows}, code_version="test", now=at)
    lake.set_verdict(of, day, verdict)


def report(**counts: int) -> pl.DataFrame:
    """A table as a whole, and a row of one of its rules, which counts nothing a second time."""
    row = sample(QUALITY_REPORT, 1).with_columns(**{name: pl.lit(value, pl.Int64) for name, value in counts.items()})
    return pl.concat([row.with_columns(rule_id=pl.lit(WHOLE_TABLE)), row.with_columns(rule_id=pl.lit("R-some-rule"))])


@pytest.mark.row("R6")
def test_a_day_that_was_written_before_it_was_over_is_not_the_day() -> None:
    """Its evening would be missing from every figure, for good."""
    lake, rows = Lake(MemoryStorage()), sample(RUN_RECORDS, 1)
    keep(lake, RUN_RECORDS, DAY, rows, at=datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC))
    keep(lake, RUN_RECORDS, NEXT, rows, at=datetime(2028, 3, 2, tzinfo=UTC))
    found, missing = kept(lake, RUN_RECORDS, [DAY, NEXT])
    assert (found.height, missing) == (rows.height, [DAY])


def test_a_day_that_did_not_pass_its_checks_is_asked_for_again() -> None:
    lake = Lake(MemoryStorage())
    keep(lake, RUN_RECORDS, DAY, sample(RUN_RECORDS, 1), verdict="failed")
    found, missing = kept(lake, RUN_RECORDS, [DAY, NEXT])
    assert (found.is_empty(), found.schema, missing) == (True, RUN_RECORDS.schema, [DAY, NEXT])


@pytest.mark.row("O9", "O12")
def test_rows_that_came_in_and_did_not_go_anywhere_are_lost() -> None:
    lake = Lake(MemoryStorage())
    whole = {"judged_count": 100, "clean_count": 90, "quarantined_count": 7, "superseded_count": 3}
    keep(lake, QUALITY_REPORT, DAY, report(**whole))
    keep(lake, QUALITY_REPORT, NEXT, report(**{**whole, "superseded_count": 1}))
    assert lost_rows(lake, [DAY, NEXT, date(2028, 3, 2)]) == {DAY: 0, NEXT: 2}


@pytest.mark.row("O9", "O12")
def test_one_table_that_gained_rows_does_not_make_good_another_that_lost_them() -> None:
    lake = Lake(MemoryStorage())
    lost = report(judged_count=100, clean_count=98, quarantined_count=0, superseded_count=0)
    won = report(judged_count=100, clean_count=102, quarantined_count=0, superseded_count=0)
    both = pl.concat([lost, won.with_columns(table_name=pl.lit("refunds"))])
    keep(lake, QUALITY_REPORT, DAY, both)
    assert lost_rows(lake, [DAY]) == {DAY: 4}


@pytest.mark.row("O9", "O12")
def test_a_version_that_the_stream_lacks_is_lost_and_one_that_differs_is_not() -> None:
    lake = Lake(MemoryStorage())
    keep(lake, QUALITY_REPORT, DAY, report(judged_count=1, clean_count=1, quarantined_count=0, superseded_count=0))
    rows = sample(STREAM_RECONCILIATION, 1)
    kinds = ["missing", "missing", "changed", "phantom"]
    found = pl.concat(
        [rows.head(1).with_columns(kind=pl.lit(kind), version=pl.lit(n, pl.Int32)) for n, kind in enumerate(kinds)]
    )
    keep(lake, STREAM_RECONCILIATION, DAY, found.cast(STREAM_RECONCILIATION.schema), verdict="failed")
    assert lost_rows(lake, [DAY]) == {DAY: 2}


@pytest.mark.row("B7", "R6")
def test_phase_times_belong_to_the_week_in_which_they_were_measured() -> None:
    """A day of last year that is built today took its time today."""
    lake, rows = Lake(MemoryStorage()), sample(PHASE_TIMES, 1)
    keep(lake, PHASE_TIMES, date(2027, 1, 1), rows, at=datetime(2028, 3, 1, 3, tzinfo=UTC))
    keep(lake, PHASE_TIMES, DAY, rows, at=datetime(2028, 3, 6, 3, tzinfo=UTC))
    assert phase_times(lake, week_of(DAY)).height == rows.height
    assert phase_times(lake, week_of(date(2027, 1, 1))).is_empty()
