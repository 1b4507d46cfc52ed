"""The jobs: which assets run together.

Belongs here: their selections and tags. Does not: what they do, when they run (job_schedules.py), the terms of the five
that were promised (operations/job_terms.py).
"""

from typing import Any, Final

import dagster as dg

from payments_platform.contracts.catalogue import WATCHED
from payments_platform.operations.job_terms import (
    AUTOMATIC,
    COMPLIANCE,
    CUSTOMER_360,
    DAILY,
    FEATURES,
    TRAINING,
    JobTerms,
)
from payments_platform.settings import load_settings
from payments_platform.vocabulary import DBT_ZONES, Zone

START_OF_SCHEDULES: Final = (
    dg.DefaultScheduleStatus.RUNNING if AUTOMATIC[load_settings().environment] else dg.DefaultScheduleStatus.STOPPED
)

QUALITY_REPORT: Final = dg.AssetSelection.assets("operations/quality_report")
DAYS_PASSED: Final = dg.AssetCheckKey(dg.AssetKey(["operations", "quality_report"]), "days_passed")
# Written by workers, by the hour and all day long; no daily run makes it.
STREAM: Final = dg.AssetSelection.assets("raw/transactions_stream")
LAKE_TO_LANDING: Final = (
    dg.AssetSelection.groups("raw", "clean", "quarantine", "curated", "landing") - STREAM
) | QUALITY_REPORT
WAREHOUSE_MODELS: Final = dg.AssetSelection.groups(*DBT_ZONES)
RECORDS: Final = dg.AssetSelection.assets("operations/phase_times", "operations/data_load_times")
EVERYTHING: Final = LAKE_TO_LANDING | WAREHOUSE_MODELS | RECORDS
# Whether a dataset is late is no step of making it: the sensor says it, between runs too.
ON_TIME: Final = "on_time"
PUNCTUALITY: Final = dg.AssetSelection.checks(*(dg.AssetCheckKey(dg.AssetKey(list(it.key)), ON_TIME) for it in WATCHED))


def _group(zone: Zone) -> dg.AssetSelection:
    """Whatever a run makes in a zone: a job over a zone without assets fills by itself when they come."""
    return dg.AssetSelection.groups(zone).materializable()


# The job of each of the terms. One that selects nothing has no schedule: it would run, succeed, and have done nothing.
SELECTED: Final[dict[JobTerms, dg.AssetSelection]] = {
    DAILY: EVERYTHING - PUNCTUALITY,
    FEATURES: _group("features") - PUNCTUALITY,
    TRAINING: _group("models") - PUNCTUALITY,
    CUSTOMER_360: _group("documents") - PUNCTUALITY,
    COMPLIANCE: _group("governance") - PUNCTUALITY,
}


def _job(terms: JobTerms, description: str) -> Any:  # noqa: ANN401 - a job of assets that are not known yet, whose type Dagster does not export
    return dg.define_asset_job(terms.name, SELECTED[terms], description=description, tags=terms.tags)


daily_oltp_to_dwh = _job(DAILY, "A day from the source to the star schema, due at 06:00 UTC of the next day.")
hourly_feature_refresh = _job(FEATURES, "The features of an hour.")
weekly_ml_training = _job(TRAINING, "The fraud model of a week.")
daily_customer_360_build = _job(CUSTOMER_360, "A day's customer profiles, once the marts that they read are there.")
monthly_compliance_report = _job(COMPLIANCE, "The report of a month, once its last day is there.")
lake_to_landing = dg.define_asset_job(
    "lake_to_landing",
    selection=LAKE_TO_LANDING - PUNCTUALITY,
    description="The partitioned half of the daily job: what a backfill runs in ranges of days.",
)
warehouse_models = dg.define_asset_job(
    "warehouse_models",
    selection=WAREHOUSE_MODELS - PUNCTUALITY,
    description="The dbt half of the daily job: what a backfill runs once, after its days have landed.",
)
# Without the check that every dataset passed: it would fail again for what the failed run has already said.
quality_report_of_a_failed_run = dg.define_asset_job(
    "quality_report_of_a_failed_run",
    selection=QUALITY_REPORT - dg.AssetSelection.checks(DAYS_PASSED) - PUNCTUALITY,
    description="The quality report alone, of days whose run failed before it came to it.",
)
stream_window_checks = dg.define_asset_job(
    "stream_window_checks",
    selection=dg.AssetSelection.checks_for_assets(dg.AssetKey(["raw", "transactions_stream"])) - PUNCTUALITY,
    description="The checks of the stream's windows; a sensor asks for one run for many windows.",
)
stream_reconciliation_of_the_day = dg.define_asset_job(
    "stream_reconciliation_of_the_day",
    selection=dg.AssetSelection.assets("operations/stream_reconciliation") - PUNCTUALITY,
    description="The day's payments in the stream beside the day's extraction, once both are complete.",
)

stream_reconciliation_schedule = dg.build_schedule_from_partitioned_job(
    stream_reconciliation_of_the_day,
    hour_of_day=4,
    minute_of_hour=30,
    default_status=START_OF_SCHEDULES,
)
