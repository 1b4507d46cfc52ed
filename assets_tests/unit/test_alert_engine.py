"""The state of an alert: pending, open, closed; one message at each end, whatever happens between.

Belongs here: the pure step, with an injected clock. Does not: delivery (test_alert_outbox), the rules' own figures
(test_alert_rules), damping (test_alert_damping).
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments_platform.operations.alerts.engine import Notice, step
from payments_platform.operations.alerts.rules import Level, Rule
from payments_platform.operations.alerts.state import Memory, Observation, from_json, to_json

START = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)


def rule(name: str, *levels: Level, clears_after: timedelta = timedelta(), only_growing: bool = False) -> Rule:
    return Rule(name, "says", "analytics", "runs", "units", levels, "a fault", clears_after, only_growing)


RULES = {
    it.name: it
    for it in (
        rule("plain", Level("warning", 5)),
        rule("paged", Level("critical", 5)),
        rule("patient", Level("warning", 5, 5 * MINUTE), clears_after=2 * MINUTE),
        rule("stepped", Level("warning", 5), Level("critical", 10, 10 * MINUTE), clears_after=MINUTE),
        rule("growing", Level("critical", 5, 5 * MINUTE), only_growing=True),
    )
}


class Clock:
    """Steps a memory through time; the memory goes through its text form each time, as over a restart."""

    def __init__(self) -> None:
        self.memory, self.now = Memory(), START
        self.told: list[Notice] = []

    def tick(self, *seen: Observation, answered: Iterable[str] = ("runs",), after: timedelta = TICK) -> list[Notice]:
        self.now += after
        memory, notices = step(from_json(to_json(self.memory)), seen, list(answered), self.now, RULES)
        self.memory = memory
        self.told += notices
        return notices

    def ticks(self, span: timedelta, *seen: Observation) -> list[Notice]:
        return [notice for _ in range(int(span / TICK)) for notice in self.tick(*seen)]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(notice.kind, notice.channel) for notice in self.told]


def seen(rule: str, value: float = 5, subject: str = "x", **more: object) -> Observation:
    return Observation(rule, subject, value, **more)  # type: ignore[arg-type]


@pytest.mark.row("A3", "X18")
def test_an_alert_is_told_once_when_it_opens_and_once_when_it_closes() -> None:
    clock = Clock()
    clock.ticks(timedelta(hours=3), seen("plain"))
    clock.ticks(timedelta(hours=3))
    assert clock.kinds == [("open", "slack"), ("close", "slack")]


@pytest.mark.row("A3")
def test_a_critical_alert_pages_and_is_shown_to_everybody_and_a_warning_never_pages() -> None:
    clock = Clock()
    clock.tick(seen("paged"), seen("plain", subject="y"))
    clock.tick()
    paged = [notice for notice in clock.told if notice.channel == "pagerduty"]
    assert [(notice.kind, notice.group.name) for notice in paged] == [("open", "x"), ("close", "x")]
    assert sorted(notice.group.name for notice in clock.told if notice.channel == "slack") == ["x", "x", "y", "y"]


def test_a_figure_that_does_not_last_opens_nothing() -> None:
    """A page for what passes by itself teaches people to ignore pages."""
    clock = Clock()
    for _ in range(10):
        clock.ticks(4 * MINUTE, seen("patient"))
        clock.tick(seen("patient", 4))
    assert clock.told == []


def test_a_figure_opens_exactly_when_it_has_lasted() -> None:
    clock = Clock()
    clock.tick(seen("patient"))
    assert clock.ticks(5 * MINUTE - TICK, seen("patient")) == []
    assert [notice.kind for notice in clock.tick(seen("patient"))] == ["open"]


def test_a_rise_in_severity_tells_those_who_do_not_know_yet() -> None:
    clock = Clock()
    clock.ticks(9 * MINUTE, seen("stepped", 12))
    assert clock.kinds == [("open", "slack")]
    clock.ticks(3 * MINUTE, seen("stepped", 12))
    assert clock.kinds == [("open", "slack"), ("open", "pagerduty")]
    clock.ticks(3 * MINUTE, seen("stepped", 6))
    clock.ticks(3 * MINUTE)
    assert sorted(clock.kinds[2:]) == [("close", "pagerduty"), ("close", "slack")]


def test_a_backlog_that_is_worked_off_pages_nobody() -> None:
    clock = Clock()
    for value in range(100, 10, -1):
        clock.tick(seen("growing", value))
    assert clock.told == []


def test_a_backlog_that_came_at_once_and_is_worked_off_pages_nobody() -> None:
    """The figure of the first look alone would call every backlog above it one that grows."""
    clock = Clock()
    clock.tick(seen("growing", 701))
    for value in range(60_000, 5, -1500):
        assert clock.tick(seen("growing", value)) == []


@pytest.mark.parametrize("low", [1, 4_000])
def test_a_backlog_that_is_worked_off_by_turns_pages_nobody(low: int) -> None:
    """A worker commits a batch at a time: between two commits a backlog that shrinks is seen to grow."""
    clock = Clock()
    for value in range(60_000, low, -1000):
        clock.tick(seen("growing", value))
        clock.tick(seen("growing", value + 900))
    assert clock.told == []


def test_a_backlog_that_grows_by_turns_pages() -> None:
    """A worker that is too slow commits too: a dip of one look is no recovery."""
    clock = Clock()
    for value in range(1_000, 6_000, 500):
        clock.tick(seen("growing", value + 900))
        clock.tick(seen("growing", value))
    assert clock.kinds == [("open", "pagerduty"), ("open", "slack")]


def test_a_backlog_that_grows_again_below_its_peak_pages() -> None:
    """The worker died in the middle of the recovery: an hour until the old peak is an hour too late."""
    clock = Clock()
    for value in (*range(60_000, 20_000, -1000), *range(20_000, 20_000 + 11 * 100, 100)):
        clock.tick(seen("growing", value))
    assert clock.kinds == [("open", "pagerduty"), ("open", "slack")]


def test_a_backlog_that_rose_and_stands_still_pages() -> None:
    """Nobody reads it: that nothing new comes makes it no better."""
    clock = Clock()
    for value in (701, *[2000] * 11):
        clock.tick(seen("growing", value))
    assert clock.kinds == [("open", "pagerduty"), ("open", "slack")]


def test_a_backlog_that_grows_pages() -> None:
    clock = Clock()
    for value in range(5, 30):
        clock.tick(seen("growing", value))
    assert clock.kinds == [("open", "pagerduty"), ("open", "slack")]


@pytest.mark.row("X4")
def test_many_late_by_one_cause_are_one_message() -> None:
    """A hundred messages about one missing day hide every other."""
    clock = Clock()
    late = [seen("plain", subject=f"mart {n}", cause="raw 2026-02-28", waits_for=("raw/a",)) for n in range(100)]
    clock.tick(seen("plain", subject="raw/a", cause="raw 2026-02-28"), *late)
    assert clock.kinds == [("open", "slack")]
    assert len(clock.told[0].alerts) == 101
    for n in range(99):
        assert clock.tick(*late[n:]) == []
    clock.ticks(MINUTE)
    assert clock.kinds == [("open", "slack"), ("close", "slack")]


def test_what_is_late_next_joins_the_open_message_although_the_cause_moved_on() -> None:
    """Raw heals while clean still waits: the marts that are late then are late for the fault that was told."""
    clock = Clock()
    clock.tick(seen("plain", subject="raw/a", cause="raw D"), seen("plain", subject="clean/a", waits_for=("raw/a",)))
    clock.tick(seen("plain", subject="clean/a", cause="clean D"))
    clock.tick(
        seen("plain", subject="clean/a", cause="clean D"),
        seen("paged", subject="marts/a", cause="clean D", waits_for=("clean/a",)),
    )
    assert clock.kinds == [("open", "slack"), ("open", "pagerduty")]
    assert len({notice.group.name for notice in clock.told}) == 1
    clock.tick()
    assert len([kind for kind, channel in clock.kinds if channel == "pagerduty"]) == 2


def test_what_cannot_be_asked_neither_opens_nor_closes() -> None:
    """A database that is away would otherwise close every alert that is read from it."""
    clock = Clock()
    clock.tick(seen("plain"))
    for _ in range(100):
        assert clock.tick(answered=()) == []
    assert [alert.subject for alert in clock.memory.open_alerts] == ["x"]
    assert [notice.kind for notice in clock.tick()] == ["close"]


def test_an_evaluation_that_comes_late_opens_what_still_holds() -> None:
    clock = Clock()
    clock.tick(seen("patient"))
    assert [notice.kind for notice in clock.tick(seen("patient"), after=timedelta(hours=2))] == ["open"]


@pytest.mark.parametrize("jump", [timedelta(hours=-30), timedelta(hours=-1), timedelta(hours=1), timedelta(days=30)])
def test_a_clock_that_jumps_repeats_no_message(jump: timedelta) -> None:
    clock = Clock()
    clock.ticks(10 * MINUTE, seen("patient"))
    clock.tick(seen("patient"), after=jump)
    clock.ticks(10 * MINUTE, seen("patient"))
    assert clock.kinds == [("open", "slack")]
    clock.ticks(10 * MINUTE)
    assert clock.kinds == [("open", "slack"), ("close", "slack")]


def test_since_is_when_it_began_and_not_when_it_was_seen() -> None:
    clock = Clock()
    clock.ticks(10 * MINUTE, seen("plain", since=START - timedelta(hours=2)))
    assert clock.memory.open_alerts[0].since == START - timedelta(hours=2)


def test_the_alert_of_a_rule_that_is_gone_closes() -> None:
    clock = Clock()
    clock.tick(seen("plain"))
    memory, notices = step(clock.memory, [], ["runs"], clock.now + TICK, {})
    assert [notice.kind for notice in notices] == ["close"]
    assert memory.open_alerts == ()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(sorted(RULES)), st.sampled_from("xyz"), st.integers(0, 15)), max_size=6),
            st.booleans(),
            st.integers(1, 2000),
        ),
        max_size=40,
    )
)
def test_whatever_is_seen_opens_and_closes_alternate_in_every_channel(
    looks: list[tuple[list[tuple[str, str, int]], bool, int]],
) -> None:
    """Two opens in a row page twice for one fault; a close without an open tells of something nobody knew."""
    clock = Clock()
    for figures, answers, seconds in looks:
        found = [seen(name, value, subject, cause="z") for name, subject, value in figures]
        clock.tick(*found, answered=("runs",) if answers else (), after=timedelta(seconds=seconds))
    clock.ticks(timedelta(hours=5))
    by_place: dict[tuple[str, str, str], list[str]] = {}
    for notice in clock.told:
        by_place.setdefault((notice.channel, notice.group.name, notice.group.number), []).append(notice.kind)
    assert all(kinds == ["open", "close"] for kinds in by_place.values())
    assert clock.memory.open_alerts == ()
