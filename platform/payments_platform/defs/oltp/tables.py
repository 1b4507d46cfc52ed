"""The source tables as external assets: the roots of the graph, observed and never materialized here."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from payments_platform.contracts.catalogue import extracted
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.resources import SOURCE
from payments_platform.defs._platform.specs import column_schema
from payments_platform.vocabulary import TEAM_OF_ZONE


def key_of_source(raw: Dataset) -> dg.AssetKey:
    """The source table that a raw dataset is extracted from."""
    return dg.AssetKey(["oltp", raw.table])


def _spec(raw: Dataset) -> dg.AssetSpec:
    entity = raw.table.removesuffix("s").replace("_", " ")
    return dg.AssetSpec(
        key=key_of_source(raw),
        description=f"One row per {entity} in the source database, in its present state.",
        group_name="oltp",
        owners=[f"team:{TEAM_OF_ZONE['oltp']}"],
        kinds={"postgres", "table"},
        tags={"domain": raw.domain},
        metadata={"dagster/column_schema": column_schema(raw)},
    )


source_tables = [_spec(raw) for raw in extracted()]


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            name="readable",
            asset=key_of_source(raw),
            description="The extract role sees the table's columns and all of its rows, on the replica.",
        )
        for raw in extracted()
    ],
    name="source_tables_readable",
    required_resource_keys={SOURCE},
    retry_policy=RETRY,
)
@explained
def source_tables_readable(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Ask the replica whether each table can be read whole: a hidden row is a row missing everywhere, silently."""
    source: Any = context.resources.source
    for raw in extracted():
        problem = source.problem_with(raw)
        yield dg.AssetCheckResult(
            asset_key=key_of_source(raw),
            check_name="readable",
            passed=problem is None,
            description=problem,
        )
