"""Blocking Pandera checks of what lies in the warehouse: landing days, and the models that dbt built.

Belongs here: which rows are read, a batch at a time. Does not: the rules (contracts/), dbt's own tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import days_of
from payments_platform.defs._platform.resources import WAREHOUSE, WAREHOUSE_POOL
from payments_platform.defs._platform.specs import key_of
from payments_platform.warehouse.protocol import Warehouse

CHECK_NAME: Final = "contract"
_SEQUENCE: Final = "load_sequence"


def _result(warehouse: Warehouse, dataset: Dataset, condition: str) -> tuple[dg.AssetCheckResult, int]:
    """Rule ids, counts and row keys of what broke the contract, never a value; and the highest load_sequence read."""
    from payments_platform.contracts.pandera_schema import validate

    findings, rows, highest = [], 0, 0
    for batch in warehouse.batches(dataset, condition):
        rows += batch.height
        if batch.height and _SEQUENCE in batch.columns:
            highest = max(highest, batch[_SEQUENCE].cast(pl.Int64).max() or 0)  # type: ignore[assignment]
        findings += [str(violation) for violation in validate(dataset, batch)]
    result = dg.AssetCheckResult(
        asset_key=key_of(dataset),
        check_name=CHECK_NAME,
        passed=not findings,
        description="; ".join(findings[:3]) or None,
        metadata={"rows_checked": rows, "findings": dg.MetadataValue.json(findings[:20])},
    )
    return result, highest


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
        warehouse: Warehouse = context.resources.warehouse
        days = days_of(context.op_execution_context.run.tags)
        condition = f"partition_date between date '{days[0]}' and date '{days[-1]}'"
        result, _ = _result(warehouse, landing, condition)
        # Loaded is not yet there: what failed its checks is owed as if it had never come.
        warehouse.record_landing(landing, days, is_passed=result.passed, now=datetime.now(UTC))
        yield result

    return op


def model_checks(models: Sequence[Dataset], landing: Mapping[str, Sequence[str]]) -> dg.AssetChecksDefinition:
    """One check per model, in one op after dbt: whole small models, of those that grow what nobody has judged yet.

    The warehouse remembers up to which load_sequence a model's rows have met its contract. Each check reads all above,
    however many loads that were, and moves the mark when it passes; what failed is read again until it is mended. A row
    that a build wrote anew without a load of its own (another key of a dimension, a count of disputes) is held by the
    warehouse's constraints and dbt's tests, over whole tables. ``landing`` names the landing tables that each model is
    made from: a model that passed holds the days of which they all had landed when it was built.
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
        warehouse: Warehouse = context.resources.warehouse
        keys = {check.asset_key for check in context.selected_asset_check_keys}
        chosen = [model for model in models if key_of(model) in keys]
        marks, passed, good = warehouse.judged(chosen), [], {}
        for model in chosen:
            mark = marks[model.name]
            # 0 is no load's: inferred members, which come and go with what names them.
            unjudged = f"{_SEQUENCE} > {mark} or {_SEQUENCE} = 0"
            condition = unjudged if mark and _SEQUENCE in model.names else "true"
            result, highest = _result(warehouse, model, condition)
            if result.passed:
                good[model.name] = landing[model.name]
                passed += [(model, highest)] if highest > mark else []
            yield result
        warehouse.record_judged(passed, now=datetime.now(UTC))
        warehouse.record_model_days(good, now=datetime.now(UTC))

    return op
