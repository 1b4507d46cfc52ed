"""The lake's delay: the oldest change of each segment of a run, up to its manifest, beside the flush interval."""

from datetime import timedelta

import pytest

from assets_tests.fakes.segments import NOON, segment
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.oltp.traffic.latency import Percentiles
from payments_platform.operations.lake_delay import lake_line, lake_waits
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

SECOND = timedelta(seconds=1)
FLUSH = 300 * SECOND


@pytest.mark.row("O2")
def test_a_segment_waited_as_long_as_the_oldest_change_of_the_run_in_it() -> None:
    storage = MemoryStorage(now=NOON - SECOND)
    segment(storage, 0, 0, 2, NOON - 2 * SECOND, [NOON - 9 * SECOND, NOON - 8 * SECOND])
    storage.now = NOON + 100 * SECOND
    segment(storage, 0, 2, 5, NOON + SECOND, [NOON - 50 * SECOND, NOON + 40 * SECOND, NOON + 90 * SECOND])
    storage.now = NOON + 301 * SECOND
    segment(storage, 1, 0, 2, NOON + SECOND, [NOON + SECOND, NOON])
    segment(storage, 2, 0, 1, NOON + SECOND, [NOON - SECOND])
    waits = lake_waits(storage, ANALYTICS_TRANSACTIONS, NOON)
    assert waits.count == 2
    assert waits.longest == 301_000
    assert waits.p50 == (301_000 + 60_000) / 2
    assert lake_waits(storage, ANALYTICS_TRANSACTIONS, NOON + 100 * SECOND).count == 0


def test_the_line_names_the_interval_and_whether_it_was_held() -> None:
    def line(count: int, p95: float, longest: float) -> str:
        return lake_line(Percentiles(count, 1.0, p95, p95, longest), FLUSH)

    assert "3 segments so far: P95 302.00 s, longest 303.00 s" in line(3, 302_000, 303_000)
    assert line(3, 302_000, 303_000).endswith("flush interval of 300 s and 2 s at P95 held")
    assert line(3, 302_001, 303_000).endswith("missed")
    assert "no segment" in line(0, 0, 0)
    assert "300 s at most" in line(0, 0, 0)
