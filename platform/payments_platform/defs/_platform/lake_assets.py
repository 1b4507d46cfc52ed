"""The decorators that make lake assets out of pure functions.

Belongs here: reading the run's days, committing each day, metadata per partition, retries and pools. Does not: what a
dataset computes (defs/<zone>/), how a commit works (lake/).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from time import monotonic
from typing import Any

import dagster as dg

from payments_platform.batch.errors import SourceChanged
from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.frames import DayFrames, dagster_type
from payments_platform.defs._platform.partitions import DAILY, IN_RANGES, days_of
from payments_platform.defs._platform.resources import LAKE, LAKE_IO
from payments_platform.defs._platform.specs import key_of, spec_of
from payments_platform.errors import ExplainedError
from payments_platform.lake.errors import ConcurrentCommit
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.partitions import Counts, Lake, SourceDigests
from payments_platform.lake.writing import Frames, Lazily

DaysLogic = Callable[..., Iterator[tuple[date, "DayOutputs"]]]
CODE_VERSION = version("payments-platform")


@dataclass(frozen=True)
class DayOutputs:
    """What one day produces: frames in the order of the asset's datasets, and what its manifest records beside."""

    frames: tuple[Frames, ...]
    counts: Counts | None = None
    source_digests: SourceDigests | None = None
    profile: Lazily | None = None


def _metadata(manifest: Manifest, dataset: Dataset, seconds: float) -> dict[str, Any]:
    """What the UI shows for one partition of one dataset."""
    output = manifest.outputs[dataset.name]
    return {
        "dagster/partition_row_count": output.rows,
        "sums_minor": dg.MetadataValue.json({currency: str(total) for currency, total in output.sums.items()}),
        "digest": output.digest,
        "counts": dg.MetadataValue.json(dict(manifest.counts)),
        "duration_seconds": round(seconds, 3),
    }


def lake_assets(
    *outputs: Dataset,
    name: str,
    reads: Mapping[str, Dataset] | None = None,
    deps: Sequence[dg.AssetKey] = (),
    resources: AbstractSet[str] = frozenset(),
    pool: str | None = None,
) -> Callable[[DaysLogic], dg.AssetsDefinition]:
    """Make one op that writes ``outputs`` (kept in one manifest a day) from ``reads``.

    The function gets the context, the days, and a ``DayFrames`` per read; it yields each day with its outputs. A day
    that it does not yield stays as it was.
    """
    reads = reads or {}

    def decorate(logic: DaysLogic) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=name,
            outs={_output_name(out): _asset_out(out) for out in outputs},
            ins={argument: _asset_in(read) for argument, read in reads.items()},
            deps=deps,
            partitions_def=DAILY,
            backfill_policy=IN_RANGES,
            required_resource_keys={LAKE, LAKE_IO, *resources},
            retry_policy=RETRY,
            pool=pool,
            op_tags={"zone": outputs[0].zone},
        )
        @explained
        def op(context: dg.AssetExecutionContext, **frames: DayFrames) -> Iterator[dg.Output[DayFrames]]:
            lake: Lake = context.resources.lake
            written = {out: DayFrames() for out in outputs}
            started, days = monotonic(), days_of(context.run.tags)
            for day, produced in logic(context, days, **frames):
                try:
                    manifest = _commit(lake, day, outputs, produced, reads.values())
                except (SourceChanged, ConcurrentCommit) as error:
                    if len(days) == 1:
                        raise
                    _leave_out(context, lake, outputs[0], day, error)
                    continue
                for out in outputs:
                    written[out][day] = lake.scan(out, day, allow_pending=True)
                    metadata = _metadata(manifest, out, monotonic() - started)
                    context.add_asset_metadata(metadata, asset_key=key_of(out), partition_key=day.isoformat())
                started = monotonic()
            for out in outputs:
                yield dg.Output(written[out], output_name=_output_name(out))

        return op

    return decorate


def _leave_out(
    context: dg.AssetExecutionContext, lake: Lake, kept_by: Dataset, day: date, error: ExplainedError
) -> None:
    """Let the other days of a range go on: this one keeps its rows and is failed, so that the run names it."""
    context.log.error("%s", error)
    if lake.manifest(kept_by, day) is not None:
        lake.set_verdict(kept_by, day, "failed", [str(error)])


def _commit(
    lake: Lake, day: date, outputs: Sequence[Dataset], produced: DayOutputs, reads: Iterable[Dataset]
) -> Manifest:
    """Write a day with the digests of what it was made from."""
    made_from = {read.name: lake.manifest(read, day) for read in reads}
    return lake.write(
        day,
        dict(zip(outputs, produced.frames, strict=True)),
        inputs={name: found.outputs[name].digest for name, found in made_from.items() if found},
        counts=produced.counts,
        source_digests=produced.source_digests,
        profile=produced.profile,
        code_version=CODE_VERSION,
        now=datetime.now(UTC),
    )


def _output_name(out: Dataset) -> str:
    return "_".join(out.key)


def _asset_out(out: Dataset) -> dg.AssetOut:
    return dg.AssetOut.from_spec(spec_of(out), dagster_type=dagster_type(out), io_manager_key=LAKE_IO)


def _asset_in(read: Dataset) -> dg.AssetIn:
    return dg.AssetIn(key=key_of(read), input_manager_key=LAKE_IO, dagster_type=dagster_type(read))


def day_by_day(function: Callable[..., DayOutputs]) -> DaysLogic:
    """Turn a function of one day (the day, its frames) into one of all days; a day missing from a read is left out."""

    def logic(_: dg.AssetExecutionContext, days: list[date], **frames: DayFrames) -> Iterator[tuple[date, DayOutputs]]:
        for day in days:
            if all(day in read for read in frames.values()):
                yield day, function(day, **{argument: read[day] for argument, read in frames.items()})

    return logic
