"""Windows: what the catalogue sees of the stream, as half-open ranges of offsets that join without hole or overlap.

Belongs here: grouping committed segments, the window's record, the chain that windows form. Does not: writing segments
(sinks/lake.py), what a scheduler makes of a window (defs/), messages: a window holds offsets and sums, no payload.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.errors import ManifestUnreadable, PartitionCorrupt
from payments_platform.lake.frames import facts
from payments_platform.lake.segments import STREAM_FOLDER, Segment, read, starts
from payments_platform.lake.storage import Conflict, Storage
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

WINDOWS_FOLDER: Final = f"{STREAM_FOLDER}/_windows"
# A tick has 60 seconds; what is left over comes with the next one.
SEGMENTS_AT_ONCE: Final = 100
WINDOWS_AT_ONCE: Final = 20
_HOUR: Final = "%Y-%m-%d-%H:%M"

Ranges = Mapping[str, tuple[int, int]]
"""By ``<topic>-<partition>``, the offsets ``[start, end)``: equal offsets of two partitions are two places."""


@dataclass(frozen=True)
class Slice:
    """What a window holds of one hour: segments are cut at hours, so each lies in one."""

    hour: str
    ranges: Ranges
    segments: tuple[str, ...]
    rows: int
    sums: Mapping[str, int]
    digest: str
    digest_algorithm: str
    first_appended_at: datetime
    last_appended_at: datetime


@dataclass(frozen=True)
class Window:
    """Segments grouped once and for all. ``positions``: where each partition stands after it; the next begins there.

    ``breaks`` names what does not join: a hole (offsets that the broker had removed before they were written) or an
    overlap. Recorded, not refused: the rows that are there are there.
    """

    number: int
    slices: tuple[Slice, ...]
    positions: Mapping[str, int]
    breaks: tuple[str, ...]
    created_at: datetime

    @property
    def ranges(self) -> Ranges:
        """The offsets of the whole window by partition."""
        return _merged((name, bounds) for part in self.slices for name, bounds in part.ranges.items())


def grouped(number: int, before: Mapping[str, int], segments: Sequence[Segment], now: datetime) -> Window:
    """The window of these segments, which follow ``before``. The same arguments give the same window."""
    ordered = sorted(segments, key=lambda segment: (_place(segment), segment.start))
    hours = sorted({_hour(segment) for segment in ordered})
    slices = tuple(_slice(hour, [it for it in ordered if _hour(it) == hour]) for hour in hours)
    positions = {**before, **{_place(segment): segment.end for segment in ordered}}
    return Window(number, slices, dict(sorted(positions.items())), tuple(breaks(before, ordered)), now)


def breaks(before: Mapping[str, int], ordered: Iterable[Segment]) -> Iterator[str]:
    """Where a partition's segments do not begin where the one before ended. A partition may begin anywhere."""
    positions = dict(before)
    for segment in ordered:
        place = _place(segment)
        expected = positions.get(place, segment.start)
        if segment.start != expected:
            what = "a hole" if segment.start > expected else "an overlap"
            low, high = sorted((segment.start, expected))
            yield f"{place}: {what} of offsets [{low}, {high})"
        positions[place] = max(segment.end, expected)


def following(storage: Storage, after: int, now: datetime) -> list[Window]:
    """The windows after number ``after``: those on record, or else a new one of what no window holds yet.

    A window is on record before anybody hears of it, created only if it is not there: two callers, or one that was
    killed and comes again, get the same. Nothing new gives an empty list.
    """
    found: list[Window] = []
    while len(found) < WINDOWS_AT_ONCE and (window := window_of(storage, after + len(found) + 1)):
        found.append(window)
    if found:
        return found
    last = window_of(storage, after) if after else None
    before = last.positions if last else {}
    new = _ungrouped(storage, before)
    if not new:
        return []
    window = grouped(after + 1, before, new, now)
    try:
        storage.replace(path_of(window.number), as_json(window), expected=None)
    except Conflict:
        return following(storage, after, now)
    return [window]


def window_of(storage: Storage, number: int) -> Window | None:
    """A window by number, or None. Raises ManifestUnreadable."""
    path = path_of(number)
    data = storage.read(path)
    return None if data is None else from_json(data, path=path)


def windows(storage: Storage, numbers: Iterable[int] | None = None) -> Iterator[Window]:
    """Windows in order: those of some numbers, or all."""
    wanted = numbers if numbers is not None else sorted(_numbers(storage))
    yield from (found for number in wanted if (found := window_of(storage, number)))


def slices_of_hour(storage: Storage, hour: str) -> list[tuple[Window, Slice]]:
    """What every window holds of an hour, in order."""
    return [(window, part) for window in windows(storage) for part in window.slices if part.hour == hour]


def rows_of(storage: Storage, part: Slice) -> pl.LazyFrame:
    """The rows of a slice."""
    segments = [_segment(storage, path) for path in part.segments]
    return storage.scan([segment.file for segment in segments], RAW_TRANSACTIONS_STREAM.schema)


def verified(storage: Storage, window: Window, part: Slice) -> str:
    """Read a slice's rows again and return their digest. Raises PartitionCorrupt when it is not the recorded one."""
    found = facts(rows_of(storage, part), RAW_TRANSACTIONS_STREAM)
    if (found.rows, found.digest) != (part.rows, part.digest):
        day = datetime.strptime(part.hour, _HOUR).replace(tzinfo=UTC).date()
        raise PartitionCorrupt(
            RAW_TRANSACTIONS_STREAM.name, day, path_of(window.number),
            f"has {found.rows} rows of digest {found.digest} in {part.hour}, not {part.rows} of {part.digest}",
        )  # fmt: skip
    return found.digest


def path_of(number: int) -> str:
    """Where a window's record lies."""
    return f"{WINDOWS_FOLDER}/{number:09}.json"


def as_json(window: Window) -> bytes:
    """The record's bytes, for people too: keys sorted."""
    return json.dumps(asdict(window), default=datetime.isoformat, indent=1, sort_keys=True).encode()


def from_json(data: bytes, *, path: str) -> Window:
    """Read what ``as_json`` wrote. Raises ManifestUnreadable naming the file."""
    try:
        record: dict[str, Any] = json.loads(data)
        slices = tuple(_read_slice(part) for part in record["slices"])
        created_at = datetime.fromisoformat(record["created_at"])
        more = {"slices": slices, "breaks": tuple(record["breaks"]), "created_at": created_at}
        return Window(**{**record, **more})
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestUnreadable(path, f"{type(error).__name__}: {error}") from error


def _read_slice(record: dict[str, Any]) -> Slice:
    times = {name: datetime.fromisoformat(record[name]) for name in ("first_appended_at", "last_appended_at")}
    ranges = {name: (bounds[0], bounds[1]) for name, bounds in record["ranges"].items()}
    return Slice(**{**record, **times, "ranges": ranges, "segments": tuple(record["segments"])})


def _ungrouped(storage: Storage, before: Mapping[str, int]) -> list[Segment]:
    """Segments at or after the positions, some of each partition; from names, so that only new ones are read."""
    found: list[Segment] = []
    for partition, numbers in starts(storage, ANALYTICS_TRANSACTIONS).items():
        position = before.get(f"{ANALYTICS_TRANSACTIONS}-{partition}", 0)
        new = [start for start in numbers if start >= position][:SEGMENTS_AT_ONCE]
        found += [read(storage, ANALYTICS_TRANSACTIONS, partition, start) for start in new]
    return found


def _slice(hour: str, segments: Sequence[Segment]) -> Slice:
    currencies = sorted({currency for segment in segments for currency in segment.sums})
    # Each digest is a sum of row hashes modulo 2**64, so the sum of digests is the digest of all rows.
    digest = sum(int(segment.digest, 16) for segment in segments) % 2**64
    return Slice(
        hour=hour,
        ranges=_merged((_place(segment), (segment.start, segment.end)) for segment in segments),
        segments=tuple(segment.path for segment in segments),
        rows=sum(segment.rows for segment in segments),
        sums={name: sum(segment.sums.get(name, 0) for segment in segments) for name in currencies},
        digest=f"{digest:016x}",
        digest_algorithm=segments[0].digest_algorithm,
        first_appended_at=min(segment.first_appended_at for segment in segments),
        last_appended_at=max(segment.last_appended_at for segment in segments),
    )


def _merged(bounds: Iterable[tuple[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, (start, end) in bounds:
        low, high = found.get(name, (start, end))
        found[name] = (min(low, start), max(high, end))
    return dict(sorted(found.items()))


def _place(segment: Segment) -> str:
    return f"{segment.topic}-{segment.partition}"


def _hour(segment: Segment) -> str:
    return segment.first_appended_at.astimezone(UTC).strftime("%Y-%m-%d-%H:00")


def _segment(storage: Storage, path: str) -> Segment:
    topic, partition, start = path.rpartition("/")[2].removesuffix(".json").rsplit("-", 2)
    return read(storage, topic, int(partition), int(start))


def _numbers(storage: Storage) -> list[int]:
    names = (file.path.rpartition("/")[2] for file in storage.list(WINDOWS_FOLDER))
    return [int(name.removesuffix(".json")) for name in names if name.endswith(".json") and name[0] != "."]
