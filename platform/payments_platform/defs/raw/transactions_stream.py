"""The stream in the lake, by the hour: written by a worker; materializing an hour reads it again, digest by digest."""

from collections.abc import Iterator

import dagster as dg

from payments_platform.contracts.streams import EVENTS, RAW_TRANSACTIONS_STREAM
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.partitions import HOURLY, WINDOWS_TAG, hours_of, windows_of
from payments_platform.defs._platform.resources import LAKE
from payments_platform.defs._platform.specs import key_of, spec_of
from payments_platform.defs._platform.window_events import CONTIGUOUS, KEY, slice_metadata
from payments_platform.lake.partitions import Lake
from payments_platform.streaming.window_checks import contract_problems, joins
from payments_platform.streaming.windows import Slice, Window, slices_of_hour, verified, windows


@dg.multi_asset(
    name="raw_transactions_stream",
    specs=[spec_of(RAW_TRANSACTIONS_STREAM, deps=[EVENTS]).replace_attributes(partitions_def=HOURLY)],
    backfill_policy=dg.BackfillPolicy.single_run(),
    required_resource_keys={LAKE},
    retry_policy=RETRY,
    op_tags={"zone": "raw"},
)
@explained
def transactions_stream(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Read each window of the hours again: the rows are those that were committed, or the run fails."""
    lake: Lake = context.resources.lake
    for hour in hours_of(context.run.tags):
        for window, part in slices_of_hour(lake.storage, hour):
            digest = verified(lake.storage, window, part)
            context.add_asset_metadata(
                {**slice_metadata(part), "window": window.number, "digest": digest}, asset_key=KEY, partition_key=hour
            )
    yield dg.MaterializeResult(asset_key=KEY)


def _parts(lake: Lake, tags: "dict[str, str]") -> list[tuple[Window, Slice]]:
    """What a run checks: the windows that it names, else those of its hours."""
    if WINDOWS_TAG in tags:
        found = windows(lake.storage, windows_of(tags))
        return [(window, part) for window in found for part in window.slices]
    return [it for hour in hours_of(tags) for it in slices_of_hour(lake.storage, hour)]


@dg.multi_asset_check(
    name="raw_transactions_stream_checks",
    specs=[
        dg.AssetCheckSpec(
            "contract",
            asset=key_of(RAW_TRANSACTIONS_STREAM),
            blocking=True,
            description="Columns, types, nulls and the unique key hold, by Pandera; rows are as committed.",
        ),
        dg.AssetCheckSpec(
            CONTIGUOUS,
            asset=key_of(RAW_TRANSACTIONS_STREAM),
            blocking=True,
            description="Each window begins where the one before ended, in every partition: no offset twice or never.",
        ),
    ],
    required_resource_keys={LAKE},
    retry_policy=RETRY,
)
@explained
def transactions_stream_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Judge the windows of the run."""
    lake: Lake = context.resources.lake
    parts = _parts(lake, dict(context.op_execution_context.run.tags))
    found = {
        "contract": contract_problems(lake.storage, parts),
        CONTIGUOUS: joins(lake.storage, sorted({window.number for window, _ in parts})),
    }
    for name, problems in found.items():
        yield dg.AssetCheckResult(
            asset_key=KEY,
            check_name=name,
            passed=not problems,
            description="; ".join(problems[:3]) or None,
            metadata={"slices": len(parts), "findings": dg.MetadataValue.json(problems[:20])},
        )
