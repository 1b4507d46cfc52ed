"""Landing: curated days loaded into the warehouse, replaced a day at a time.

One factory: the contract is the difference.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import dagster as dg

from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import DAILY, IN_RANGES, days_of
from payments_platform.defs._platform.resources import LAKE, WAREHOUSE, WAREHOUSE_POOL
from payments_platform.defs._platform.specs import key_of, spec_of
from payments_platform.defs._platform.warehouse_checks import landing_check
from payments_platform.lake.partitions import Lake
from payments_platform.warehouse.protocol import DaySource, Warehouse


def _landing(landing: Dataset) -> dg.AssetsDefinition:
    curated = dataset(f"curated/{landing.table}")

    @dg.multi_asset(
        name=f"landing_{landing.table}",
        specs=[spec_of(landing, deps=[curated])],
        partitions_def=DAILY,
        backfill_policy=IN_RANGES,
        retry_policy=RETRY,
        pool=WAREHOUSE_POOL,
        required_resource_keys={LAKE, WAREHOUSE},
        op_tags={"zone": "landing"},
    )
    @explained
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        lake: Lake = context.resources.lake
        warehouse: Warehouse = context.resources.warehouse
        days = [source for day in days_of(context.run.tags) if (source := _source(lake, curated, day))]
        for result in warehouse.load_days(landing, days, now=datetime.now(UTC)):
            metadata = {
                "dagster/partition_row_count": result.row_count,
                "load_sequence": result.load_sequence,
                "is_changed": result.is_changed,
                "duration_seconds": round(result.seconds, 3),
            }
            context.add_asset_metadata(metadata, asset_key=key_of(landing), partition_key=result.day.isoformat())
        yield dg.MaterializeResult(asset_key=key_of(landing))

    return load


def _source(lake: Lake, curated: Dataset, day: date) -> DaySource | None:
    """What is to land of a day, or None when it has not passed; its rows are as of the end of the day at most."""
    manifest = lake.manifest(curated, day)
    if manifest is None or manifest.verdict != "passed":
        return None
    files = [lake.storage.location(file.path) for file in manifest.main.files]
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    return DaySource(day, files, manifest.rows, manifest.digest, min(manifest.written_at, end))


landing_tables = [_landing(landing) for landing in of_zone("landing")]
landing_checks = [landing_check(landing) for landing in of_zone("landing")]
