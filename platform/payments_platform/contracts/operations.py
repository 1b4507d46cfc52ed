"""Contracts of what the platform records about itself: counts and times, never a payment or a person."""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.due import NotDue
from payments_platform.contracts.rules import one_of

# The report counts a whole table in a row of its own, beside the rows of its rules.
WHOLE_TABLE: Final = ""

QUALITY_REPORT = Dataset(
    key=("operations", "quality_report"),
    grain="One row per table and rule judged on the day, warnings included, and one per table (rule_id empty) of what"
    " became of it.",
    domain="platform",
    columns=(
        c.PARTITION_DATE,
        Column("table_name", pl.String(), "Table judged, by its name in the clean zone.", "transactions"),
        Column("rule_id", pl.String(), "Rule judged; empty for the table as a whole.", "R-amount-sign"),
        Column("severity", pl.String(), "row, partition or warn; null for the table.", "row", nullable=True),
        Column("row_count", pl.Int64(), "Rows that broke the rule; for the table, rows quarantined.", 1),
        Column("judged_count", pl.Int64(), "Rows judged: all versions that the day brought.", 100),
        Column("bad_ratio", pl.Float64(), "row_count divided by judged_count; 0 for a day without rows.", 0.01),
        Column("clean_count", pl.Int64(), "Rows that became clean; for the table only.", None, nullable=True),
        Column("quarantined_count", pl.Int64(), "Rows put in quarantine; for the table only.", None, nullable=True),
        Column(
            "superseded_count",
            pl.Int64(),
            "Good versions that a later one of the same day replaced; for the table only.",
            None,
            nullable=True,
        ),
        Column(
            "verdict",
            pl.String(),
            "For the table: passed, failed or pending. For a warning about the day: quiet, fired, or unknown while the"
            " days before are too few.",
            "passed",
            nullable=True,
        ),
        Column(
            "findings",
            pl.String(),
            "What the day as a whole broke, by rule id, or what a warning about it compared, joined by '; '.",
            None,
            nullable=True,
        ),
    ),
    primary_key=("partition_date", "table_name", "rule_id"),
)
PHASE_TIMES = Dataset(
    key=("operations", "phase_times"),
    grain="One row per phase of the run that built the day, the whole run included.",
    domain="platform",
    columns=(
        Column("run_id", pl.String(), "Identifier of the run measured.", "run_sample"),
        Column("phase", pl.String(), "extract, validate, transform, load, aggregates or total.", "extract"),
        Column(
            "seconds",
            pl.Float64(),
            "Busy time of the phase's steps, which may overlap other phases; for total, wall-clock time.",
            12.5,
            unit="seconds",
        ),
        Column("target_seconds", pl.Int64(), "Time the phase should take.", 2700, unit="seconds"),
        Column("sla_seconds", pl.Int64(), "Time the phase must stay below.", 3600, unit="seconds"),
        Column("is_within_sla", pl.Boolean(), "seconds lies below sla_seconds.", True),
        Column(
            "row_count",
            pl.Int64(),
            "Rows written to the lake or to landing; null where unknown, as of models.",
            None,
            nullable=True,
        ),
        Column("measured_at", c.UTC_MICROS, "When the times were taken, UTC.", datetime(2025, 1, 2, 3, tzinfo=UTC)),
    ),
    primary_key=("run_id", "phase"),
    due=NotDue("it measures a run of the daily job; a day that was built by a backfill has none"),
)
STREAM_RECONCILIATION = Dataset(
    key=("operations", "stream_reconciliation"),
    grain="One row per version of a payment of the day in which the stream and the extraction differ.",
    domain="platform",
    columns=(
        c.PARTITION_DATE,
        c.TRANSACTION_ID,
        c.EPOCH,
        c.VERSION,
        Column("kind", pl.String(), "missing or phantom in the stream, changed, or duplicate.", "missing"),
        Column("what", pl.String(), "Columns that differ; empty unless changed.", "amount_minor"),
        Column("currency", pl.String(), "Currency of the version, where one side knows it.", "EUR", nullable=True),
        Column(
            "amount_minor",
            pl.Int64(),
            "Amount at the source; of a phantom, in the stream.",
            1250,
            nullable=True,
            unit="minor",
        ),
    ),
    primary_key=("partition_date", "transaction_id", "epoch", "version", "kind"),
    rules=(one_of("R-difference-known", "kind", ("missing", "changed", "duplicate", "phantom")),),
)


def _seconds(name: str, description: str) -> Column:
    return Column(name, pl.Int64(), f"{description}; null when nothing landed.", 12_600, nullable=True, unit="seconds")


def _time(name: str, description: str) -> Column:
    return Column(name, c.UTC_MICROS, description, datetime(2025, 1, 2, 3, 30, tzinfo=UTC))


DATA_LOAD_TIMES = Dataset(
    key=("operations", "data_load_times"),
    grain="One row per dataset built by the day: when the day landed, up to when its data go, and the usual delay.",
    domain="platform",
    columns=(
        c.PARTITION_DATE,
        Column("dataset_name", pl.String(), "Dataset, as zone/name.", "clean/transactions"),
        _time("landed_at", "When the day could first be read, UTC; null while it is not there.").loose(),
        _time("data_as_of", "Time up to which the source was read for it, UTC; null while it is not there.").loose(),
        _time("due_at", "When the day had to be there, UTC."),
        _time("next_due_at", "When the day after it has to be there, UTC."),
        _seconds("delay_seconds", "From the end of the day to landed_at"),
        Column("is_on_time", pl.Boolean(), "landed_at is not after due_at; null while not there.", True, nullable=True),
        Column("landed_count", pl.Int64(), "Days that the percentiles are of: the last 30 that landed.", 30),
        _seconds("p50_delay_seconds", "Half of these days took at most this long"),
        _seconds("p90_delay_seconds", "Nine of ten of these days took at most this long"),
        _seconds("longest_delay_seconds", "The longest of these delays"),
    ),
    primary_key=("partition_date", "dataset_name"),
    due=NotDue("the daily job writes it; landings of backfilled days stand in the warehouse's own record"),
)

DATASETS: Final = (QUALITY_REPORT, PHASE_TIMES, STREAM_RECONCILIATION, DATA_LOAD_TIMES)
