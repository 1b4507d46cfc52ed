"""Thirty simulated days: every fault is told once when it begins and once when it is over, a clean month says nothing.

Belongs here: the whole path from the sources to the channels, with an injected clock and a restart before every look.
Does not: figures of single rules (test_alert_rules).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from assets_tests.fakes.alert_world import DAY, FAULTS, FIRST, HOUR, Fault, World, day
from assets_tests.fakes.alerting import FakeChannel, MemoryStore
from payments_platform.operations.alerts.evaluation import Alerting, evaluate
from payments_platform.operations.alerts.messages import Message
from payments_platform.operations.alerts.rules import RULES
from payments_platform.operations.alerts.watch import Watch

# The sensor is evaluated at least this often; its daemon wakes every five seconds.
TICK = timedelta(seconds=30)
PROMISED = timedelta(seconds=60)


@dataclass
class Desk:
    """Who reads the messages, and when each came."""

    world: World
    channels: dict[str, FakeChannel] = field(
        default_factory=lambda: {name: FakeChannel(name) for name in ("slack", "pagerduty", "email")}  # type: ignore[arg-type]
    )
    store: MemoryStore = field(default_factory=MemoryStore)
    watch_store: MemoryStore = field(default_factory=MemoryStore)
    heard: list[tuple[datetime, str, Message]] = field(default_factory=list)

    def live(self, first: datetime, end: datetime) -> None:
        alerting = Alerting(self.store, self.world.sources(), self.channels, "simulated")  # type: ignore[arg-type]
        own = Alerting(self.watch_store, {}, self.channels, "simulated")  # type: ignore[arg-type]
        watch = Watch(own, lambda: self.store.memory().evaluated_at)
        now = first
        while now < end:
            stopped = self.world._active("evaluation stops", now)
            if self.world._active("slack away", now):
                self.channels["slack"].moods = ["broken"]
            if not stopped:
                evaluate(alerting, now)
            if stopped or (now.second == 0 and now.minute % 5 == 0):
                watch.look(now)
            self._listen(now)
            now += TICK

    def _listen(self, now: datetime) -> None:
        for name, channel in self.channels.items():
            self.heard += [(now, name, message) for message in channel.taken]
            channel.taken.clear()

    def told(self, kind: str, channel: str, first: datetime, end: datetime) -> list[tuple[datetime, Message]]:
        return [(at, it) for at, name, it in self.heard if (it.kind, name) == (kind, channel) and first <= at < end]


@pytest.mark.row("X18")
def test_every_rule_names_a_fault_of_the_campaign() -> None:
    """A rule that no fault fires may never fire."""
    assert {rule.fault for rule in RULES} == set(FAULTS)
    assert len({rule.fault for rule in RULES}) == len(RULES)


@pytest.mark.row("X18", "A3", "X4")
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_told_once_in_time_in_its_channels_and_closed_once(name: str) -> None:
    """A fault told twice, late, to the wrong people or never closed is how alerts lose their readers."""
    fault = FAULTS[name]
    start, end = fault.begins - HOUR / 2, fault.ends + HOUR
    desk = Desk(World([fault, *_beside(name)]))
    desk.live(start, end)
    _was_told(desk, fault, start, end)


def _beside(name: str) -> list[Fault]:
    """What Slack should have told while it was away."""
    at = FAULTS[name].begins
    if name != "Slack is away for long":
        return []
    return [Fault(at, at + HOUR / 2, {}, "stopped"), Fault(at, at + HOUR / 2, {}, "letters", 800)]


def _was_told(desk: Desk, fault: Fault, start: datetime, end: datetime) -> None:
    for channel in ("slack", "pagerduty"):
        opened, closed = desk.told("open", channel, start, end), desk.told("close", channel, start, end)
        if channel not in fault.tells:
            if fault.kind != "slack away":
                assert opened + closed == []
            continue
        assert len(opened) == len(closed) == 1, (channel, opened, closed)
        assert timedelta() <= opened[0][0] - fault.tells[channel] <= PROMISED
        assert closed[0][0] >= fault.ends if fault.kind != "landing" else closed[0][0] > opened[0][0]
        assert opened[0][1].dedup_key == closed[0][1].dedup_key


@pytest.mark.row("X18", "A3")
def test_messages_that_slack_missed_come_once_when_it_is_back() -> None:
    fault = FAULTS["Slack is away for long"]
    desk = Desk(World([fault, *_beside("Slack is away for long")]))
    desk.live(fault.begins - HOUR, fault.ends + HOUR)
    told = [message.number for _, name, message in desk.heard if name == "slack"]
    assert len(told) == len(set(told)) > 0
    assert desk.store.waiting() == []
    assert all(at >= fault.ends for at, name, _ in desk.heard if name == "slack")


@pytest.mark.slow
@pytest.mark.row("X18", "A3")
def test_a_month_with_all_faults_tells_of_each_once() -> None:
    desk = Desk(World([*FAULTS.values(), *_beside("Slack is away for long")]))
    desk.live(FIRST, FIRST + 30 * DAY)
    for fault in FAULTS.values():
        start = fault.begins.replace(hour=0, minute=0)
        _was_told(desk, fault, start, start + DAY)
    assert desk.store.waiting() == []
    assert desk.store.memory().open_alerts == ()


def _is_quiet(days: int) -> None:
    desk = Desk(World())
    desk.live(FIRST, FIRST + days * DAY)
    assert {message.kind for _, _, message in desk.heard} == {"summary"}
    summaries = [(at, name) for at, name, _ in desk.heard]
    assert summaries == [(day(n) + 7 * HOUR, name) for n in range(1, days + 1) for name in ("slack", "email")]


@pytest.mark.row("X18", "A3")
def test_clean_days_say_nothing_but_their_summary() -> None:
    _is_quiet(3)


@pytest.mark.slow
@pytest.mark.row("X18", "A3")
def test_a_clean_month_says_nothing_but_its_summaries() -> None:
    _is_quiet(30)
