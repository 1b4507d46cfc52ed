"""Blocking Pandera checks of what lies in the warehouse: landing days, and the models that dbt built.

Belongs here: which rows are read, a batch at a time. Does not: the rules (contracts/), dbt's own tests.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import days_of
from payments_platform.defs._platform.resources import WAREHOUSE, WAREHOUSE_POOL
from payments_platform.defs._platform.specs import key_of
from payments_platform.warehouse.protocol import Warehouse

CHECK_NAME: Final = "contract"
_LATEST: Final = "load_sequence"


def _result(warehouse: Warehouse, dataset: Dataset, condition: str) -> dg.AssetCheckResult:
    """Rule ids, counts and row keys of what broke the contract; never a value."""
    from payments_platform.contracts.pandera_schema import validate

    findings, rows = [], 0
    for batch in warehouse.batches(dataset, condition):
        rows += batch.height
        findings += [str(violation) for violation in validate(dataset, batch)]
    return dg.AssetCheckResult(
        asset_key=key_of(dataset),
        check_name=CHECK_NAME,
        passed=not findings,
        description="; ".join(findings[:3]) or None,
        metadata={"rows_checked": rows, "findings": dg.MetadataValue.json(findings[:20])},
    )


def _spec(dataset: Dataset) -> dg.AssetCheckSpec:
    text = "Columns, types, nulls and rules of the contract hold, by Pandera."
    return dg.AssetCheckSpec(CHECK_NAME, asset=key_of(dataset), description=text, blocking=True)


def landing_check(landing: Dataset) -> dg.AssetChecksDefinition:
    """Check the days of the run in one landing table."""

    @dg.multi_asset_check(
        name=f"landing_{landing.table}_checks",
        specs=[_spec(landing)],
        required_resource_keys={WAREHOUSE},
        pool=WAREHOUSE_POOL,
        retry_policy=RETRY,
        op_tags={"zone": "landing"},
    )
    @explained
    def op(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        days = days_of(context.op_execution_context.run.tags)
        condition = f"partition_date between date '{days[0]}' and date '{days[-1]}'"
        yield _result(context.resources.warehouse, landing, condition)

    return op


def model_checks(models: Sequence[Dataset]) -> dg.AssetChecksDefinition:
    """One check per model, in one op after dbt: whole small models, of those that grow what the latest load touched.

    A backfill lands several loads before one build; what the earlier ones touched is held to types, nulls, keys,
    closed lists and references by the warehouse's own constraints and dbt's tests, over whole tables.
    """

    @dg.multi_asset_check(
        name="dbt_models_checks",
        specs=[_spec(model) for model in models],
        # Models may be built a few at a time; without it the UI could start no run of one of them.
        can_subset=True,
        required_resource_keys={WAREHOUSE},
        pool=WAREHOUSE_POOL,
        retry_policy=RETRY,
        op_tags={"zone": "marts"},
    )
    @explained
    def op(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = {check.asset_key for check in context.selected_asset_check_keys}
        for model in (model for model in models if key_of(model) in selected):
            table = f"{model.zone}.{model.table}"
            newest = f"{_LATEST} = (select max({_LATEST}) from {table})"  # noqa: S608 - names from the contract
            condition = newest if _LATEST in model.names else "true"
            yield _result(context.resources.warehouse, model, condition)

    return op
