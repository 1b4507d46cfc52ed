"""What a window is to Dagster: materializations by hour, and the verdict on its joins. Offsets and sums, no payload.

Belongs here: events from windows, which of them Dagster has already. Does not: making windows (streaming/windows.py),
when (defs/stream_sensors.py).
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.defs._platform.specs import key_of
from payments_platform.streaming.windows import Slice, Window

KEY = key_of(RAW_TRANSACTIONS_STREAM)
CONTIGUOUS = "contiguous"
# Tags of a materialization that say which window it tells of; with them a repeated one is known.
WINDOW, DIGEST = "payments/window", "payments/digest"


def events_of(
    window: Window, ends: Mapping[str, int], known: "Known"
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """One materialization per hour that Dagster has not, then whether the window joins the one before."""
    behind = {name: max(ends.get(name, 0) - position, 0) for name, position in window.positions.items()}
    for part in window.slices:
        if not known.has(window, part):
            yield dg.AssetMaterialization(
                asset_key=KEY,
                partition=part.hour,
                description=f"Window {window.number}: {part.rows} messages",
                metadata={**slice_metadata(part), "window": window.number, "lag": dg.MetadataValue.json(behind)},
                tags={WINDOW: str(window.number), DIGEST: part.digest, "dagster/data_version": part.digest},
            )
    yield dg.AssetCheckEvaluation(
        asset_key=KEY,
        check_name=CONTIGUOUS,
        passed=not window.breaks,
        description="; ".join(window.breaks) or None,
        metadata={"window": window.number, "breaks": len(window.breaks)},
    )


def slice_metadata(part: Slice) -> dict[str, dg.MetadataValue]:
    """Half-open offset ranges by topic partition, rows, sums and digest."""
    return {
        "offsets": dg.MetadataValue.json({name: list(bounds) for name, bounds in part.ranges.items()}),
        "dagster/partition_row_count": dg.MetadataValue.int(part.rows),
        "sums_minor": dg.MetadataValue.json({currency: str(total) for currency, total in part.sums.items()}),
        "digest": dg.MetadataValue.text(part.digest),
        "last_appended_at": dg.MetadataValue.timestamp(part.last_appended_at),
    }


class Known:
    """Which windows Dagster has been told of, asked from its own records: an event told twice would count twice."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._told: dict[str, set[tuple[str, str]]] = {}

    def has(self, window: Window, part: Slice) -> bool:
        """Whether a materialization of this window's hour, with this digest, is on record."""
        if part.hour not in self._told:
            wanted = dg.AssetRecordsFilter(asset_key=KEY, asset_partitions=[part.hour])
            records = self._instance.fetch_materializations(wanted, limit=1000).records
            tags = [record.asset_materialization.tags or {} for record in records if record.asset_materialization]
            self._told[part.hour] = {(tag[WINDOW], tag[DIGEST]) for tag in tags if WINDOW in tag}
        return (str(window.number), part.digest) in self._told[part.hour]
