"""Raw: for each source table, the day's history.

The datasets differ by their contract alone, so one factory makes them.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.resources import SOURCE
from payments_platform.defs.oltp.tables import key_of_source


def _raw(dataset: Dataset) -> dg.AssetsDefinition:
    @lake_assets(dataset, name=f"raw_{dataset.table}", deps=[key_of_source(dataset)], resources={SOURCE})
    def extract(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
        source: Any = context.resources.source
        for day, extraction in source.extract(dataset, days):
            context.log.info("%s[%s]: extracting %d rows", dataset.name, day, extraction.totals.rows)
            yield day, DayOutputs((extraction.frames,), source_digests=extraction.source_digests)

    return extract


raw_tables = [_raw(dataset) for dataset in of_zone("raw")]
raw_checks = [lake_checks(follows_contract(dataset)) for dataset in of_zone("raw")]
