"""When an alert that comes back opens and closes, to the second, worked out by hand.

Belongs here: damping. Does not: the other states of an alert (test_alert_engine).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat

from payments_platform.operations.alerts.engine import step
from payments_platform.operations.alerts.rules import Level, Rule
from payments_platform.operations.alerts.state import Memory, Observation

START = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(seconds=30)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PLAIN = Rule("plain", "says", "analytics", "runs", "units", (Level("warning", 5),), "a fault", timedelta())


class Watch:
    """Steps one alert through time, a look every half minute; keeps when it was told to open and to close."""

    def __init__(self) -> None:
        self.memory, self.now = Memory(), START
        self.opened, self.closed = list[timedelta](), list[timedelta]()

    def look(self, *, ill: bool) -> None:
        seen = [Observation("plain", "x", 5)] if ill else []
        self.memory, notices = step(self.memory, seen, ["runs"], self.now, {"plain": PLAIN})
        for notice in notices:
            (self.opened if notice.kind == "open" else self.closed).append(self.now - START)
        self.now += TICK

    def looks(self, span: timedelta, *, ill: bool) -> None:
        for _ in range(int(span / TICK)):
            self.look(ill=ill)

    @property
    def is_open(self) -> bool:
        return bool(self.memory.open_alerts)


def stays_open() -> Iterator[timedelta]:
    """How long an alert that comes back at once stays open after its figure is fine, time after time."""
    watch = Watch()
    while True:
        watch.look(ill=True)
        fine = watch.now
        while watch.is_open:
            watch.look(ill=False)
        yield watch.now - TICK - fine


def test_an_alert_that_comes_back_stays_open_twice_as_long_each_time_up_to_two_hours() -> None:
    """At once, four minutes, eight: whoever changes the first wait, its growth or its end is named here."""
    found = stays_open()
    assert [next(found) / MINUTE for _ in range(8)] == [0, 4, 8, 16, 32, 64, 120, 120]


def test_an_alert_that_flaps_all_day_is_told_four_times() -> None:
    """Ten minutes on, ten minutes off: from the fourth time on it waits for 16 minutes, which never come."""
    watch = Watch()
    for ill in chain.from_iterable(repeat((True, False), 72)):
        watch.looks(10 * MINUTE, ill=ill)
    assert [at / MINUTE for at in watch.opened] == [0, 20, 40, 60]
    assert [at / MINUTE for at in watch.closed] == [10, 34, 58]
    watch.looks(DAY, ill=False)
    # The first of the four openings is a day old now: three are left, which ask for eight minutes, long over.
    assert [at / MINUTE for at in watch.closed[3:]] == [24 * 60]
    assert len(watch.opened) == 4


def test_an_opening_counts_for_a_day_and_no_longer() -> None:
    """Back two minutes before the day is over: it would stay open for four, but for the day's end."""
    watch = Watch()
    watch.look(ill=True)
    watch.looks(DAY - 2 * MINUTE - TICK, ill=False)
    watch.look(ill=True)
    watch.looks(5 * MINUTE, ill=False)
    assert watch.opened == [timedelta(), DAY - 2 * MINUTE]
    assert watch.closed == [TICK, DAY]
