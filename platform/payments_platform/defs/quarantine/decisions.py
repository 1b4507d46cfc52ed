"""What people write about quarantined rows, as external assets: input of clean, observed and never materialized here.

One file, because both lists are records that a command appends.
"""

from collections.abc import Iterator

import dagster as dg

from payments_platform.contracts.quarantine import REPAIRS, REVEALS
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.resources import LAKE
from payments_platform.defs._platform.specs import key_of, spec_of
from payments_platform.lake import records
from payments_platform.lake.partitions import Lake

decisions = [spec_of(REPAIRS), spec_of(REVEALS)]


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            name="readable", asset=key_of(recorded), description="Every record can be read and follows its contract."
        )
        for recorded in (REPAIRS, REVEALS)
    ],
    name="quarantine_records_readable",
    required_resource_keys={LAKE},
    retry_policy=RETRY,
)
@explained
def records_readable(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Read all records: one that cannot be read would stop the day that it is about."""
    from payments_platform.contracts.pandera_schema import validate

    lake: Lake = context.resources.lake
    for recorded in (REPAIRS, REVEALS):
        rows = records.read(lake.storage, recorded)
        found = [str(violation) for violation in validate(recorded, rows)]
        yield dg.AssetCheckResult(
            asset_key=key_of(recorded),
            check_name="readable",
            passed=not found,
            description="; ".join(found) or None,
            metadata={"records": rows.height},
        )
