"""Delivery: every message is kept until its channel has taken it; in order, with patience, never lost.

Belongs here: which message is tried now, what an answer means for it. Does not: the channels' protocols (clients/),
where the box is kept (store.py), words (messages.py), any clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from payments_platform.clients.messaging import ChannelAway, ChannelRefused
from payments_platform.operations.alerts.engine import Channel
from payments_platform.operations.alerts.messages import Message
from payments_platform.operations.errors import retry_after

Outcome = Literal["waiting", "sent", "printed", "given up"]
# A channel that refuses (a revoked webhook, a wrong key) takes the message once somebody has mended it.
REFUSED_AGAIN: Final = timedelta(minutes=10)
# Told a week late, an alert helps nobody; it stays on record.
GIVE_UP_AFTER: Final = timedelta(days=7)
# What Slack may ask us to wait; more is a defect at the other end.
_LONGEST_WAIT: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Entry:
    """A message in the box. ``error`` is what the channel said last; ``is_refused`` lets other groups pass it."""

    message: Message
    created_at: datetime
    next_try_at: datetime
    attempts: int = 0
    outcome: Outcome = "waiting"
    ended_at: datetime | None = None
    error: str = ""
    is_refused: bool = False


class Sender(Protocol):
    """One channel. ``send`` returns what became of the message, or raises ChannelAway or ChannelRefused."""

    def send(self, message: Message) -> Literal["sent", "printed"]:
        """Deliver one message."""


class Box(Protocol):
    """Where entries are kept."""

    def waiting(self) -> Sequence[Entry]:
        """The entries that wait, in the order they were put in."""

    def tried(self, entry: Entry) -> None:
        """Keep what became of an entry."""


def deliver(box: Box, channels: Mapping[Channel, Sender], now: datetime) -> list[Entry]:
    """Try what is due, each channel in its order; return what was tried.

    A close must not overtake its open: PagerDuty drops it then, and the incident stays. A channel that is away keeps
    all its later messages back, a message that was refused only those of its own group. A process that dies after
    sending and before noting it sends that message again: PagerDuty drops the second by its key, Slack shows it twice.
    """
    tried: list[Entry] = []
    held: set[tuple[str, ...]] = set()
    for entry in box.waiting():
        channel, group = entry.message.channel, (entry.message.channel, entry.message.dedup_key)
        if {(channel,), group} & held:
            continue
        after = entry
        if entry.next_try_at <= now:
            after = _attempt(entry, channels[channel], now)
            box.tried(after)
            tried.append(after)
        if after.outcome == "waiting":
            held.add(group if after.is_refused else (channel,))
    return tried


def _attempt(entry: Entry, sender: Sender, now: datetime) -> Entry:
    """Send one message and say what became of it; an error nobody foresaw counts as away."""
    attempt = replace(entry, attempts=entry.attempts + 1)
    try:
        return replace(attempt, outcome=sender.send(entry.message), ended_at=now, error="", is_refused=False)
    except ChannelRefused as error:
        wait, refused, said = REFUSED_AGAIN, True, str(error)
    except ChannelAway as error:
        usual = timedelta(seconds=retry_after(attempt.attempts, entry.message.number))
        wait, refused, said = (
            max(min(error.retry_after or usual, _LONGEST_WAIT), timedelta(seconds=1)),
            False,
            str(error),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the message must stay in the box
        wait = timedelta(seconds=retry_after(attempt.attempts, entry.message.number))
        refused, said = False, f"{type(error).__name__}: {error}"
    if now - entry.created_at >= GIVE_UP_AFTER:
        return replace(attempt, outcome="given up", ended_at=now, error=said[:500])
    return replace(attempt, next_try_at=now + wait, error=said[:500], is_refused=refused)
