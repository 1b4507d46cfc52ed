"""Windows over committed segments: contiguous, disjoint, decided once. A lake in memory, no broker."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.segments import NOON, segment
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.lake import segments
from payments_platform.lake.errors import PartitionCorrupt
from payments_platform.streaming.windows import (
    as_json,
    following,
    grouped,
    path_of,
    slices_of_hour,
    verified,
    window_of,
    windows,
)
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS


@pytest.mark.row("C6")
def test_equal_offsets_of_three_partitions_are_three_ranges() -> None:
    """Named by offset alone they would be one, and two thirds of the payments would never be seen."""
    storage = MemoryStorage()
    for partition in range(3):
        segment(storage, partition, 0, 2)
    (window,) = following(storage, 0, NOON)
    assert window.ranges == {f"analytics.transactions-{partition}": (0, 2) for partition in range(3)}
    assert window.slices[0].rows == 6


@pytest.mark.row("C6")
def test_a_window_is_cut_by_the_hour_of_the_path() -> None:
    storage = MemoryStorage()
    segment(storage, 0, 0, 2)
    segment(storage, 0, 2, 3, NOON + timedelta(hours=1))
    (window,) = following(storage, 0, NOON)
    assert [(part.hour, part.rows) for part in window.slices] == [("2025-01-01-12:00", 2), ("2025-01-01-13:00", 1)]


@pytest.mark.row("C6", "X3")
def test_a_window_on_record_is_the_same_for_whoever_asks_later() -> None:
    """Segments that came meanwhile belong to the next one: grouped again, two records would overlap."""
    storage = MemoryStorage()
    segment(storage, 0, 0, 2)
    first = following(storage, 0, NOON)
    segment(storage, 0, 2, 4)
    assert following(storage, 0, NOON + timedelta(minutes=1)) == first
    (second,) = following(storage, 1, NOON)
    assert second.ranges == {"analytics.transactions-0": (2, 4)}
    assert following(storage, 2, NOON) == []


@pytest.mark.row("C6")
def test_two_callers_at_once_record_one_window() -> None:
    """The slower one finds the number taken, and returns what is on record."""

    class Overtaken(MemoryStorage):
        def replace(self, path: str, data: bytes, *, expected: object) -> None:
            if path == path_of(1) and super().read(path) is None:
                other = grouped(1, {}, list(segments.segments(self, ANALYTICS_TRANSACTIONS))[:1], NOON)
                super().replace(path, as_json(other), expected=None)
            super().replace(path, data, expected=expected)  # type: ignore[arg-type]

    storage = Overtaken()
    segment(storage, 0, 0, 2)
    segment(storage, 1, 0, 2)
    (window,) = following(storage, 0, NOON)
    assert window == window_of(storage, 1)
    assert window.ranges == {"analytics.transactions-0": (0, 2)}


@pytest.mark.row("C6", "X3")
@pytest.mark.parametrize("start, says", [(5, r"a hole of offsets \[2, 5\)"), (2, None)])
def test_what_does_not_join_is_on_record(start: int, says: str | None) -> None:
    storage = MemoryStorage()
    segment(storage, 0, 0, 2)
    following(storage, 0, NOON)
    segment(storage, 0, start, start + 1)
    (window,) = following(storage, 1, NOON)
    assert list(window.breaks) == ([f"analytics.transactions-0: {says}".replace("\\", "")] if says else [])


@pytest.mark.row("C6", "X3")
def test_a_slice_read_again_has_the_same_digest_and_a_changed_one_is_named() -> None:
    storage = MemoryStorage()
    segment(storage, 0, 0, 2)
    segment(storage, 1, 0, 3)
    following(storage, 0, NOON)
    ((window, part),) = slices_of_hour(storage, "2025-01-01-12:00")
    assert verified(storage, window, part) == verified(storage, window, part) == part.digest
    one, other = (segments.read(storage, ANALYTICS_TRANSACTIONS, number, 0).file for number in (0, 1))
    storage.files[one] = storage.files[other]
    with pytest.raises(PartitionCorrupt, match="not 5 of"):
        verified(storage, window, part)


@pytest.mark.row("C6", "X3")
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), max_size=15))
def test_windows_are_contiguous_disjoint_and_hold_every_segment_once(steps: list[tuple[int, int, bool]]) -> None:
    """Whenever they are asked for between segments: each step commits one, and some ask for the next window."""
    storage, ends, last = MemoryStorage(), dict.fromkeys(range(3), 0), 0
    for partition, rows, is_asked in steps:
        segment(storage, partition, ends[partition], ends[partition] + rows)
        ends[partition] += rows
        if is_asked:
            last = following(storage, last, NOON)[-1].number
    following(storage, last, NOON)
    found = list(windows(storage))
    held = [path for window in found for part in window.slices for path in part.segments]
    assert sorted(held) == sorted(it.path for it in segments.segments(storage, ANALYTICS_TRANSACTIONS))
    assert [window.breaks for window in found] == [()] * len(found)
    for name in {name for window in found for name in window.ranges}:
        bounds = list(_bounds(found, name))
        assert bounds[0][0] == 0
        assert all(left[1] == right[0] for left, right in pairwise(bounds))


def _bounds(found: list, name: str) -> Iterator[tuple[int, int]]:  # type: ignore[type-arg]
    return (window.ranges[name] for window in found if name in window.ranges)
