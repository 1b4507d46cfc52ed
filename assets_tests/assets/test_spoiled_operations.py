"""What the platform records about itself is held to its contract like any other table.

Belongs here: wrong frames from the functions behind the quality report and the phase times. Does not: what those
functions compute (unit/test_quality, unit/test_phases).
"""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from assets_tests.assets.conftest import failures_of, materialize
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.operations import PHASE_TIMES, QUALITY_REPORT
from payments_platform.contracts.sample import sample
from payments_platform.defs.operations import phase_times, quality_report
from payments_platform.lake.partitions import Lake
from payments_platform.operations.phases import phase_table


def renamed(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.rename({key: "not_in_the_contract"})


def retyped(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(1, dtype=pl.Int64()).alias(key))


def keyless(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, dtype=rows.schema[key]).alias(key))


Spoil = Callable[[pl.DataFrame, str], pl.DataFrame]
every_spoiling = pytest.mark.parametrize("spoil", [renamed, retyped, keyless])


@every_spoiling
@pytest.mark.row("C4", "B3")
def test_a_spoiled_quality_report_is_not_kept_as_good(
    spoil: Spoil, full_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of the wrong shape would be read as a day without findings."""
    before = full_lake.manifest(QUALITY_REPORT, SAMPLE_DAY)
    rows = spoil(sample(QUALITY_REPORT), "table_name")
    monkeypatch.setattr(quality_report, "quality_report", lambda *_: rows)
    result = materialize([quality_report.report, quality_report.quality_report_checks], full_lake)
    assert not result.success
    after = full_lake.manifest(QUALITY_REPORT, SAMPLE_DAY)
    assert after == before or (after is not None and after.verdict != "passed")


def other_column() -> Dataset:
    first, *rest = PHASE_TIMES.columns
    return replace(PHASE_TIMES, columns=(replace(first, name="not_in_the_contract"), *rest), primary_key=("phase",))


def other_type() -> Dataset:
    columns = [replace(it, dtype=pl.String()) if it.name == "row_count" else it for it in PHASE_TIMES.columns]
    return replace(PHASE_TIMES, columns=tuple(columns))


@pytest.mark.row("C4", "B3")
@pytest.mark.parametrize("other", [other_column, other_type])
def test_phase_times_of_another_shape_are_refused(
    other: Callable[[], Dataset], full_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times in the wrong column would show a limit kept that was missed."""
    before = full_lake.manifest(PHASE_TIMES, SAMPLE_DAY)
    monkeypatch.setattr(phase_times, "PHASE_TIMES", other())
    result = materialize([phase_times.phase_times, phase_times.phase_times_checks], full_lake)
    (failure,) = failures_of(result)
    assert "phase_times" in failure
    assert full_lake.manifest(PHASE_TIMES, SAMPLE_DAY) == before


@pytest.mark.row("C4", "B3")
def test_a_time_of_no_phase_is_refused(full_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row without its key is found by no report."""
    nameless = [replace(it, phase=None) for it in phase_table([])]  # type: ignore[arg-type]
    monkeypatch.setattr(phase_times, "phase_table", lambda *_, **__: tuple(nameless))
    result = materialize([phase_times.phase_times, phase_times.phase_times_checks], full_lake)
    assert not result.success
    kept = full_lake.manifest(PHASE_TIMES, SAMPLE_DAY)
    assert kept is not None
    assert kept.verdict != "passed"
