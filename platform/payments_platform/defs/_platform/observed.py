"""Assets that other programs write and Dagster looks at: their specs, and the check that they can be asked.

Belongs here: what is true of every observed asset. Does not: observations over time (defs/stream_sensors.py).
"""

from collections.abc import Callable, Iterable, Iterator

import dagster as dg

from payments_platform.contracts.dataset import Dataset
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.specs import key_of, spec_of
from payments_platform.defs._platform.streams import STREAMS, Position, Streams

Ask = Callable[[Streams], Position]


def readable(dataset: Dataset, ask: Ask, what: str) -> dg.AssetChecksDefinition:
    """The check of an observed asset: its system answers, and says where it stands."""

    @dg.multi_asset_check(
        name=f"{'_'.join(dataset.key)}_readable",
        specs=[dg.AssetCheckSpec(name="readable", asset=key_of(dataset), description=what)],
        required_resource_keys={STREAMS},
        retry_policy=RETRY,
    )
    @explained
    def op(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        found = ask(context.resources.streams)
        yield dg.AssetCheckResult(
            asset_key=key_of(dataset), check_name="readable", passed=True, metadata=position_metadata(found)
        )

    return op


def position_metadata(found: Position) -> dict[str, dg.MetadataValue]:
    """A position as the UI shows it."""
    shown: dict[str, dg.MetadataValue] = {
        "positions": dg.MetadataValue.json(dict(found.positions)),
        "lag": dg.MetadataValue.int(found.lag),
    }
    return shown | ({} if found.rows is None else {"dagster/row_count": dg.MetadataValue.int(found.rows)})


def external(dataset: Dataset, deps: Iterable[dg.AssetKey]) -> dg.AssetSpec:
    """The spec of an observed asset."""
    return spec_of(dataset).replace_attributes(deps=list(deps))
