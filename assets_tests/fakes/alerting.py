"""Alerting without servers: a store in memory, channels that remember, a source that says what it is told.

Belongs here: fakes that pass the contract suites of the real ones. Does not: HTTP servers (alert_servers.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from assets_tests.fakes.alert_servers import RETRY_AFTER, Mood, pagerduty_problem, slack_problem
from payments_platform.clients.messaging import ChannelAway, ChannelRefused
from payments_platform.operations.alerts.engine import Channel
from payments_platform.operations.alerts.messages import Message, pagerduty_event, slack_payload
from payments_platform.operations.alerts.outbox import Entry
from payments_platform.operations.alerts.state import Memory, from_json, to_json

ROUTING_KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class MemoryStore:
    """The memory as text, so that whatever does not survive a restart does not survive a look either."""

    text: str = ""
    entries: list[Entry] = field(default_factory=list)
    is_held: bool = False

    @contextmanager
    def alone(self) -> Iterator[bool]:
        yield not self.is_held

    def memory(self) -> Memory:
        return from_json(self.text) if self.text else Memory()

    def keep(self, memory: Memory, messages: Sequence[Message], now: datetime) -> None:
        self.text = to_json(memory)
        known = {entry.message.number for entry in self.entries}
        self.entries += [Entry(message, now, now) for message in messages if message.number not in known]

    def waiting(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.outcome == "waiting"]

    def tried(self, entry: Entry) -> None:
        self.entries = [entry if it.message.number == entry.message.number else it for it in self.entries]

    def recent(self, since: datetime) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.created_at >= since]


@dataclass
class FakeChannel:
    """Takes what the service of its name would take, and has the same moods."""

    name: Channel
    taken: list[Message] = field(default_factory=list)
    moods: list[Mood] = field(default_factory=list)

    def send(self, message: Message) -> Literal["sent"]:
        match self.moods.pop(0) if self.moods else "well":
            case "limited":
                raise ChannelAway("429", timedelta(seconds=RETRY_AFTER))
            case "broken" | "slow":
                raise ChannelAway("away")
            case "revoked":
                raise ChannelRefused("403")
        problem = ""
        if self.name == "slack":
            problem = slack_problem(slack_payload(message))
        if self.name == "pagerduty":
            problem = pagerduty_problem(pagerduty_event(message, ROUTING_KEY))
        if problem:
            raise ChannelRefused(problem)
        self.taken.append(message)
        return "sent"
