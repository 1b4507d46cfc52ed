"""Phase times: how long each phase of the run took, beside what it may take."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

import dagster as dg
import polars as pl

from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.operations import PHASE_TIMES, QUALITY_REPORT
from payments_platform.defs._platform.lake_assets import DayOutputs, lake_assets
from payments_platform.defs._platform.lake_checks import follows_contract, lake_checks
from payments_platform.defs._platform.run_times import rows_of, steps_of
from payments_platform.defs._platform.specs import key_of
from payments_platform.operations.phases import PhaseTime, phase_table

_LAST_OF_EACH_HALF: Final = [key_of(QUALITY_REPORT), *(key_of(model) for model in of_zone("aggregates"))]


@lake_assets(PHASE_TIMES, name="phase_times", deps=_LAST_OF_EACH_HALF)
def phase_times(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[tuple[date, DayOutputs]]:
    """Add up the steps of this run by phase, and show them beside target and limit."""
    now = datetime.now(UTC)
    steps, started = steps_of(context.instance, context.run.run_id)
    phases = phase_table(steps, run=(started, now), rows=rows_of(context.instance, context.run.run_id))
    frame = pl.DataFrame(
        [
            (
                context.run.run_id,
                it.phase,
                it.seconds,
                it.target_seconds,
                it.sla_seconds,
                it.is_within_sla,
                it.row_count,
                now,
            )
            for it in phases
        ],
        schema=PHASE_TIMES.schema,
        orient="row",
    )
    for day in days:
        yield day, DayOutputs((frame,))
        shown = {"phases": dg.MetadataValue.md(_table(phases)), "total_seconds": phases[-1].seconds}
        context.add_asset_metadata(shown, asset_key=key_of(PHASE_TIMES), partition_key=day.isoformat())


def _table(phases: tuple[PhaseTime, ...]) -> str:
    rows = [
        f"| {it.phase} | {it.seconds:.1f} | {it.target_seconds} | {it.sla_seconds} | {it.document_p95_seconds} |"
        f" {'' if it.row_count is None else it.row_count} |"
        for it in phases
    ]
    return "\n".join(
        ["| phase | seconds | target | limit | documented P95 | rows |", "|---|---|---|---|---|---|", *rows]
    )


phase_times_checks = lake_checks(follows_contract(PHASE_TIMES))
