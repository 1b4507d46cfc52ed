"""The jobs and schedules. Belongs here: which assets run together, when, in which environments. Not: what they do."""

from typing import Final

import dagster as dg

from payments_platform.contracts.catalogue import WATCHED
from payments_platform.settings import Environment, load_settings
from payments_platform.vocabulary import DBT_ZONES

# Whether schedules start by themselves; anywhere else a person starts them.
AUTOMATIC: Final[dict[Environment, bool]] = {"local": False, "test": False, "staging": True, "production": True}
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

daily_oltp_to_dwh = dg.define_asset_job(
    "daily_oltp_to_dwh",
    selection=EVERYTHING - PUNCTUALITY,
    description="A day from the source to the star schema, due at 06:00 UTC of the next day.",
    tags={"dagster/priority": "10", "dagster/max_runtime": "14400"},
)
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
daily_oltp_to_dwh_schedule = dg.build_schedule_from_partitioned_job(
    daily_oltp_to_dwh,
    hour_of_day=2,
    minute_of_hour=0,
    default_status=START_OF_SCHEDULES,
)
