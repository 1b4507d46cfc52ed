"""Landing: curated days loaded into the warehouse, replaced a day at a time. One factory: the contract is the difference."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import DAILY, IN_RANGES, days_of
from payments_platform.defs._platform.resources import LAKE, WAREHOUSE, WAREHOUSE_POOL
from payments_platform.defs._platform.specs import key_of, spec_of


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
        lake, warehouse = context.resources.lake, context.resources.warehouse
        days = [lake.loadable(curated, day) for day in days_of(context.run.tags) if lake.has_passed(curated, day)]
        for day, result in warehouse.load_days(landing, days, now=datetime.now(UTC)).items():
            metadata = {
                "dagster/partition_row_count": result.rows,
                "load_sequence": result.load_sequence,
                "duration_seconds": round(result.seconds, 3),
            }
            context.add_asset_metadata(metadata, asset_key=key_of(landing), partition_key=day.isoformat())
        yield dg.MaterializeResult(asset_key=key_of(landing))

    return load


landing_tables = [_landing(landing) for landing in of_zone("landing")]
