"""The day's payments in the stream beside the day's extraction: whoever reads either reads the same money."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from payments_platform.contracts.operations import STREAM_RECONCILIATION
from payments_platform.contracts.payments import RAW_TRANSACTIONS
from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.defs._platform.frames import DayFrames
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import LakeCheck, follows_contract, lake_checks
from payments_platform.defs._platform.specs import key_of
from payments_platform.lake.partitions import Lake
from payments_platform.streaming.day_reconciliation import findings, reconciled, stream_versions


@lake_assets(
    STREAM_RECONCILIATION,
    name="stream_reconciliation",
    reads={"raw": RAW_TRANSACTIONS},
    deps=[key_of(RAW_TRANSACTIONS_STREAM)],
)
def stream_reconciliation(
    context: dg.AssetExecutionContext, days: list[date], raw: DayFrames
) -> Iterator[tuple[date, DayOutputs]]:
    """Compare the versions of each day, and keep those that differ."""
    lake: Lake = context.resources.lake
    for day in days:
        if day in raw:
            result = reconciled(raw[day], stream_versions(lake.storage, day), day)
            yield day, DayOutputs((result.rows,), result.counts)


def _differences(lake: Lake, day: date) -> list[str]:
    texts = findings(lake.scan(STREAM_RECONCILIATION, day, allow_pending=True).collect())
    # One finding: the first alone is what a failed check shows.
    return ["; ".join(texts)] if texts else []


stream_reconciliation_checks = lake_checks(
    follows_contract(STREAM_RECONCILIATION),
    LakeCheck(
        STREAM_RECONCILIATION,
        "reconciliation",
        "Every version that the day's extraction has is in the stream, once, with the same amounts; and no other.",
        _differences,
    ),
)
