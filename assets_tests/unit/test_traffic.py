"""What live traffic promises before it meets a database: a steady timetable, honest percentiles, seeded requests.

Belongs here: pacer, latencies, requests. Does not: what reaches the source (integration/test_live_traffic.py).
"""

import threading
from itertools import islice

from payments_platform.oltp.traffic.cast import Cast, Customer, Merchant
from payments_platform.oltp.traffic.latency import Latencies
from payments_platform.oltp.traffic.operations import requests
from payments_platform.oltp.traffic.pacer import Pacer, Slot

CAST = Cast((Merchant("m", "EUR", 900),) * 50, (Customer("c", "t", "p", "d", "FR"),) * 500)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_slots_are_due_at_the_rate_however_late_the_ones_before_were() -> None:
    """A closed loop would ask less of a slow server, and so hide that it is slow."""
    clock = Clock()
    pacer = Pacer(10.0, None, clock)
    first = pacer.take()
    clock.now += 3.0
    assert [first, pacer.take(), pacer.take()] == [Slot(0, 100.0), Slot(1, 100.1), Slot(2, 100.2)]
    assert round(pacer.behind, 6) == 2.7


def test_the_last_slot_ends_the_run_and_late_ones_are_given_up() -> None:
    """A run of ten seconds that went on until all its slots were done would never say that it was too slow."""
    clock = Clock()
    pacer = Pacer(10.0, 1.0, clock)
    assert len([slot for slot in (pacer.take() for _ in range(20)) if slot is not None]) == 10
    late = Pacer(10.0, 1.0, clock)
    clock.now += 1.0
    assert late.take() is None
    assert late.behind == 1.0


def test_a_stopped_run_does_not_wait_for_its_next_slot() -> None:
    """Ctrl-C at one transaction an hour must not take an hour."""
    stop = threading.Event()
    stop.set()
    pacer = Pacer(1 / 3600, None)
    pacer.take()
    slot = pacer.take()
    assert slot is not None
    assert not pacer.wait_for(slot, stop)


def test_percentiles_are_exact() -> None:
    """An estimate that flatters is no proof of a limit."""
    latencies = Latencies()
    for millis in range(1, 101):
        latencies.record("payment" if millis % 2 else "refund", millis / 1000)
    found = latencies.percentiles()
    assert (found.count, round(found.p50, 3), round(found.p95, 3), found.longest) == (100, 50.5, 95.05, 100.0)
    assert latencies.percentiles("refund").count == latencies.counts["refund"] == 50
    assert latencies.percentiles("nothing").count == 0


def test_the_same_seed_asks_for_the_same() -> None:
    """A figure that cannot be asked for again cannot be compared."""
    one, two, other = (list(islice(requests(seed, CAST), 5_000)) for seed in (1, 1, 2))
    assert one == two != other
    assert {request.kind for request in one} == {"payment", "capture", "refund", "dispute", "profile"}
    assert all(request.size > 0 for request in one)
