"""Landing times as a measured promise: when each dataset landed, up to when its data go, how long it usually takes.

Belongs here: delays and their percentiles, the table and the plot of them. Does not: finding landings (evidence.py),
what is late (freshness.py).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from payments_platform.contracts.due import Due, Partition
from payments_platform.contracts.operations import DATA_LOAD_TIMES
from payments_platform.operations.evidence import nearest_rank
from payments_platform.operations.freshness import Landed, Watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Partitions that the percentiles look back over.
WINDOW: Final = 30


@dataclass(frozen=True)
class Delays:
    """Times from the end of a partition to its landing, over the last partitions that landed."""

    count: int
    p50: timedelta
    p90: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Measured:
    """One dataset's newest due partition that is there: when it landed, up to when its data go; and the delays."""

    partition: Partition
    landed: Landed
    delay: timedelta
    delays: Delays


def measured(it: Watched, until: datetime, *, window: int = WINDOW) -> Measured | None:
    """What is measured of the last partitions that had ended by then; None when none of them landed."""
    if not isinstance(it.deadline, Due):
        return None
    ended = [found for start in it.landed if (found := it.deadline.partition_at(start)).end <= until]
    partitions = sorted(ended, key=lambda found: found.start, reverse=True)[:window]
    if not partitions:
        return None
    took = [it.landed[partition.start].landed_at - partition.end for partition in partitions]
    delays = Delays(len(took), nearest_rank(took, 0.5), nearest_rank(took, 0.9), max(took))
    return Measured(partitions[0], it.landed[partitions[0].start], took[0], delays)


def load_times_of(watched: Sequence[Watched], day: date) -> pl.DataFrame:
    """The rows of ``operations/data_load_times`` for a day: one per daily dataset, landed or not."""
    start = datetime.combine(day, time(), UTC)
    rows = [_row(it, it.deadline, day, start) for it in watched if isinstance(it.deadline, Due)]
    daily = [row for row in rows if row is not None]
    return pl.DataFrame(daily, schema=DATA_LOAD_TIMES.schema).sort("dataset_name")


def _row(it: Watched, due: Due, day: date, start: datetime) -> dict[str, Any] | None:
    if due.period != "day":
        return None
    partition = due.partition_at(start)
    found = measured(it, partition.end)
    landed = it.landed.get(start)
    due_at = due.due_at(partition)
    delays = found.delays if found else None
    return {
        "partition_date": day,
        "dataset_name": it.dataset,
        "landed_at": landed.landed_at if landed else None,
        "data_as_of": landed.data_as_of if landed else None,
        "due_at": due_at,
        "next_due_at": due_at + timedelta(days=1),
        "delay_seconds": _seconds(landed.landed_at - partition.end) if landed else None,
        "is_on_time": landed.landed_at <= due_at if landed else None,
        "landed_count": delays.count if delays else 0,
        "p50_delay_seconds": _seconds(delays.p50) if delays else None,
        "p90_delay_seconds": _seconds(delays.p90) if delays else None,
        "longest_delay_seconds": _seconds(delays.longest) if delays else None,
    }


def delays_plot(watched: Sequence[Watched], days: Sequence[date]) -> bytes:
    """A PNG: for each zone the hours from the end of the day to its last landing, by day, beside the deadline."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for zone in dict.fromkeys(it.dataset.split("/")[0] for it in watched):
        _draw_zone(axes, zone, [it for it in watched if it.dataset.startswith(f"{zone}/")], days)
    axes.axhline(6, color="black", linewidth=1, linestyle="--", label="marts are due")
    axes.set_ylabel("hours after the end of the day")
    axes.set_yscale("symlog", linthresh=12)
    axes.legend(loc="upper left", fontsize="small", ncols=3)
    figure.autofmt_xdate()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def _draw_zone(axes: "Axes", zone: str, datasets: Sequence[Watched], days: Sequence[date]) -> None:
    points = []
    for day in days:
        start = datetime.combine(day, time(), UTC)
        landed = [it.landed[start].landed_at for it in datasets if start in it.landed]
        if landed:
            points.append((day, (max(landed) - start - timedelta(days=1)) / timedelta(hours=1)))
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1, label=zone)


def _seconds(duration: timedelta) -> int:
    return round(duration.total_seconds())
