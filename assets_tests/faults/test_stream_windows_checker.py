"""The checker of windows is itself checked: each fault planted in windows or in what Dagster was told is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from assets_tests.fakes.segments import NOON, segment
from assets_tests.fakes.storage import MemoryStorage
from assets_tests.faults.stream_topics import DISORDER
from assets_tests.faults.stream_windows import Told, judged
from payments_platform.lake.storage import ANY
from payments_platform.streaming.windows import Window, as_json, following, path_of, window_of, windows

pytestmark = [pytest.mark.row("C6", "X2")]


@pytest.fixture
def storage() -> MemoryStorage:
    """Two windows over two partitions; the second one reaches into another hour."""
    lake = MemoryStorage()
    for partition in range(2):
        segment(lake, partition, 0, 2)
    following(lake, 0, NOON)
    segment(lake, 0, 2, 4)
    segment(lake, 1, 2, 3, NOON + timedelta(hours=1))
    following(lake, 1, NOON)
    return lake


def heard(lake: MemoryStorage) -> list[Told]:
    """What Dagster has on record when nothing went wrong."""
    return [(part.hour, str(window.number), part.digest) for window in windows(lake) for part in window.slices]


def edited(lake: MemoryStorage, number: int, change: Callable[[Window], Window]) -> None:
    """Write a window's record anew, as nothing in the platform would."""
    window = window_of(lake, number)
    assert window is not None
    lake.replace(path_of(number), as_json(change(window)), expected=ANY)


def test_windows_that_join_and_were_told_of_once_have_no_fault(storage: MemoryStorage) -> None:
    verdict = judged(storage, heard(storage))
    assert (verdict.truth, verdict.found, verdict.kinds) == (4, 2, {})


def test_a_segment_that_no_window_holds_is_missing(storage: MemoryStorage) -> None:
    told = heard(storage)
    segment(storage, 1, 3, 5, NOON + timedelta(hours=1))
    assert judged(storage, told).kinds == {"missing": 1}


def test_a_segment_in_two_windows_is_a_duplicate(storage: MemoryStorage) -> None:
    first = window_of(storage, 1)
    assert first is not None
    both = (*first.slices[0].segments, path_of_second(storage))
    edited(storage, 1, lambda it: replace(it, slices=(replace(it.slices[0], segments=both),)))
    assert judged(storage, heard(storage)).kinds == {"duplicate": 1}


def path_of_second(lake: MemoryStorage) -> str:
    second = window_of(lake, 2)
    assert second is not None
    return second.slices[0].segments[0]


def test_a_segment_that_was_never_committed_is_a_phantom(storage: MemoryStorage) -> None:
    invented = "raw/transactions_stream/_segments/analytics.transactions-9-0.json"
    edited(
        storage, 1, lambda it: replace(it, slices=(replace(it.slices[0], segments=(*it.slices[0].segments, invented)),))
    )
    assert judged(storage, heard(storage)).kinds == {"phantom": 1}


NEVER: Final = ("2025-01-01-12:00", "3", "0")


@pytest.mark.parametrize(
    "spoil, kinds",
    [
        (lambda told: told[1:], {"missing": 1}),
        (lambda told: [*told, told[0]], {"duplicate": 1}),
        (lambda told: [*told, NEVER], {"phantom": 1}),
        (lambda told: [(told[0][0], told[0][1], "0"), *told[1:]], {"missing": 1, "phantom": 1}),
    ],
    ids=["not told of", "told of twice", "a window that is not there", "other content"],
)
def test_what_dagster_heard_otherwise_is_named(
    storage: MemoryStorage, spoil: Callable[[list[Told]], list[Told]], kinds: dict[str, int]
) -> None:
    """A window told of twice counts its rows twice in every figure by partition."""
    assert judged(storage, spoil(heard(storage))).kinds == kinds


def test_windows_that_do_not_join_are_named(storage: MemoryStorage) -> None:
    """A hole is offsets that nobody will ever look at."""
    told = heard(storage)
    segment(storage, 0, 9, 10)
    following(storage, 2, NOON)
    assert judged(storage, [*told, *heard(storage)[len(told) :]]).kinds == {DISORDER: 1}


def test_a_window_that_is_lost_is_named_with_its_segments(storage: MemoryStorage) -> None:
    told = heard(storage)
    storage.remove(path_of(1))
    assert judged(storage, told).kinds == {"missing": 2, "phantom": 1, DISORDER: 1}
