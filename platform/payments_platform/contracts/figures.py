"""Contracts of the platform's figures of itself: runs and ticks by the day, figures by the week, levels by the month.

Belongs here: their columns. Does not: what a figure is and must be (operations/figures).
"""

from datetime import UTC, date, datetime
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.due import NotDue
from payments_platform.contracts.rules import one_of

# A run has a row of its own, beside the rows of its tasks.
WHOLE_RUN: Final = ""
OUTCOMES: Final = ("succeeded", "failed", "cancelled")
VERDICTS: Final = ("met", "breached", "not measured")
_NEVER_LATE: Final = NotDue("figures of the platform itself: nobody's numbers wait for them")
_AT: Final = datetime(2025, 1, 1, 2, tzinfo=UTC)


def _ratio(name: str, description: str) -> Column:
    return Column(name, pl.Float64(), description, 1.0, nullable=True)


RUN_RECORDS = Dataset(
    key=("operations", "run_records"),
    grain="One row per run that ended on the day, and one per task of it.",
    domain="platform",
    columns=(
        c.PARTITION_DATE,
        Column("run_id", pl.String(), "Identifier of the run.", "run_sample"),
        Column("task", pl.String(), "Step of the run; empty for the run as a whole.", WHOLE_RUN),
        Column("job_name", pl.String(), "Job that ran.", "daily_oltp_to_dwh"),
        Column("outcome", pl.String(), "succeeded, failed or cancelled.", "succeeded"),
        Column("is_final", pl.Boolean(), "False while the run starts again by itself: the next attempt counts.", True),
        Column("attempts", pl.Int64(), "Tries up to this one: of the run, or of the task within it.", 1),
        Column("task_count", pl.Int64(), "Tasks that the run executed; null for a task.", 12, nullable=True),
        Column(
            "due_at", c.UTC_MICROS, "When its schedule was due, UTC; null for what no schedule started.", _AT
        ).loose(),
        Column("created_at", c.UTC_MICROS, "When the run was asked for, UTC; null for a task.", _AT).loose(),
        Column("started_at", c.UTC_MICROS, "When it began to work, UTC; null if it never did.", _AT).loose(),
        Column("ended_at", c.UTC_MICROS, "When it ended, UTC.", datetime(2025, 1, 1, 3, tzinfo=UTC)),
    ),
    primary_key=("run_id", "task"),
    rules=(one_of("R-outcome-known", "outcome", OUTCOMES),),
    due=_NEVER_LATE,
)
TICK_RECORDS = Dataset(
    key=("operations", "tick_records"),
    grain="One row per schedule or sensor that was evaluated on the day, and per sensor that should have been.",
    domain="platform",
    columns=(
        c.PARTITION_DATE,
        Column("automation_name", pl.String(), "Schedule or sensor.", "freshness"),
        Column("automation_kind", pl.String(), "schedule or sensor.", "sensor"),
        Column("tick_count", pl.Int64(), "Evaluations of the day.", 2880),
        Column("failed_count", pl.Int64(), "Evaluations that failed.", 0),
        Column(
            "measured_count", pl.Int64(), "Evaluations whose lag is known, with one that had not come by the end of the"
            " day; of old days those of sensors are not known.", 2879
        ),
        Column("p95_lag_seconds", pl.Float64(), "95 of 100 began at most so long after they were due; null if unknown.",
               2.5, nullable=True, unit="seconds"),
        Column("longest_lag_seconds", pl.Float64(), "The longest of these lags; null if unknown.", 4.0, nullable=True,
               unit="seconds"),
    ),
    primary_key=("partition_date", "automation_name"),
    rules=(one_of("R-automation-known", "automation_kind", ("schedule", "sensor")),),
    due=_NEVER_LATE,
)  # fmt: skip
WEEKLY_FIGURES = Dataset(
    key=("operations", "weekly_figures"),
    grain="One row per figure and job, schedule, sensor or phase: the ISO week of the day, up to the day's end.",
    domain="platform",
    columns=(
        Column("week_date", pl.Date(), "Monday of the ISO week, UTC.", date(2024, 12, 30)),
        Column("figure", pl.String(), "What is measured, by its name in operations/figures.", "job_success_ratio"),
        Column("subject", pl.String(), "Job, schedule, sensor or phase.", "daily_oltp_to_dwh"),
        Column("value", pl.Float64(), "The figure; null when it was not measured.", 1.0, nullable=True),
        Column("unit", pl.String(), "ratio, seconds or count.", "ratio"),
        _ratio("target", "What the figure must stay above or below; null for a figure without a target."),
        Column("is_met", pl.Boolean(), "The target is met; null when not measured or without a target.", True,
               nullable=True),
        Column("sample_count", pl.Int64(), "Runs, tasks or ticks that the figure is of.", 7),
    ),
    primary_key=("week_date", "figure", "subject"),
    due=_NEVER_LATE,
)  # fmt: skip
SERVICE_LEVELS = Dataset(
    key=("operations", "service_levels"),
    grain="One row per service level: the calendar month of the day, up to when it was measured.",
    domain="platform",
    columns=(
        Column("month_date", pl.Date(), "First day of the month, UTC.", date(2025, 1, 1)),
        Column("service_level", pl.String(), "The level, by its name in operations/figures.", "pipeline_success"),
        Column("verdict", pl.String(), "met, breached or not measured.", "met"),
        Column("value", pl.Float64(), "What was measured; null when nothing was.", 1.0, nullable=True),
        Column("promised", pl.Float64(), "What is promised.", 0.95),
        Column("unit", pl.String(), "ratio, seconds or count.", "ratio"),
        Column("missed_by", pl.Float64(), "Distance from the promise; 0 when it is met, and when a day that is missing"
               " was due this moment; null when not measured.", 0.0, nullable=True),
        Column("sample_count", pl.Int64(), "Runs, days or rows that the value is of.", 310),
        Column("breach_count", pl.Int64(), "How many of them missed.", 0),
        Column("consequence", pl.String(), "What follows from the breach; null unless breached.", None, nullable=True),
        Column("finding", pl.String(), "What was found, or why nothing was measured.", "310 of 310 runs succeeded"),
        Column("is_final", pl.Boolean(), "The month and its last deadline are over.", False),
        Column("measured_at", c.UTC_MICROS, "When this was measured, UTC.", datetime(2025, 1, 2, 6, 30, tzinfo=UTC)),
    ),
    primary_key=("month_date", "service_level"),
    rules=(one_of("R-verdict-known", "verdict", VERDICTS),),
    due=_NEVER_LATE,
)  # fmt: skip

DATASETS: Final = (RUN_RECORDS, TICK_RECORDS, WEEKLY_FIGURES, SERVICE_LEVELS)
