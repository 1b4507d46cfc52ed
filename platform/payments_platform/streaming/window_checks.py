"""What must hold of windows: their rows follow the contract and are those committed; ranges join.

Belongs here: judging windows that are on record; findings are texts, [] when good. Does not: grouping (windows.py).
"""

from collections.abc import Iterable, Sequence

import polars as pl

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.errors import PartitionCorrupt
from payments_platform.lake.storage import Storage
from payments_platform.streaming.windows import Slice, Window, rows_of, verified, window_of


def contract_problems(storage: Storage, parts: Iterable[tuple[Window, Slice]]) -> list[str]:
    """What the rows of slices break: digest, columns, types, nulls, key."""
    from payments_platform.contracts.pandera_schema import duplicate_keys, validate

    found: list[str] = []
    frames: list[pl.LazyFrame] = []
    for window, part in parts:
        try:
            verified(storage, window, part)
        except PartitionCorrupt as damage:
            found.append(str(damage))
            continue
        rows = rows_of(storage, part)
        found += [str(violation) for violation in validate(RAW_TRANSACTIONS_STREAM, rows.collect())]
        frames.append(rows)
    if frames:
        found += [str(violation) for violation in duplicate_keys(RAW_TRANSACTIONS_STREAM, pl.concat(frames))]
    return found


def joins(storage: Storage, numbers: Sequence[int]) -> list[str]:
    """Where windows do not join the ones before them: holes and overlaps on record, and a window that is missing."""
    found: list[str] = []
    for number in numbers:
        window, before = window_of(storage, number), window_of(storage, number - 1) if number > 1 else None
        if window is None or (number > 1 and before is None):
            found.append(f"window {number if window is None else number - 1} is not on record")
            continue
        found += [f"window {number}: {text}" for text in window.breaks]
        for name, (start, _) in window.ranges.items():
            position = before.positions.get(name) if before else None
            if position is not None and start != position and not window.breaks:
                found.append(f"window {number}: {name} begins at {start}, not at {position}")
    return found
