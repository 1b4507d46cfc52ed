"""Delivery: in order, with patience, never lost, whatever the channels answer.

Belongs here: the outbox over the fake store and channels. Does not: the channels themselves (contracts/).
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.fakes.alert_servers import RETRY_AFTER, Mood
from assets_tests.fakes.alerting import FakeChannel, MemoryStore
from payments_platform.operations.alerts.engine import Channel
from payments_platform.operations.alerts.messages import Message
from payments_platform.operations.alerts.outbox import GIVE_UP_AFTER, REFUSED_AGAIN, Sender, deliver
from payments_platform.operations.alerts.state import Memory

START = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(seconds=30)


def message(number: str, channel: Channel = "slack", key: str = "") -> Message:
    return Message(number, "open", channel, "warning", key or number, "title", START.isoformat())


def put(store: MemoryStore, *messages: Message) -> None:
    store.keep(Memory(), messages, START)


def numbers(channel: FakeChannel) -> list[str]:
    return [it.number for it in channel.taken]


def numbers_of(channel: FakeChannel, key: str) -> list[str]:
    return [it.number for it in channel.taken if it.dedup_key == key]


@pytest.mark.row("A3")
def test_messages_wait_while_a_channel_is_away_and_come_in_order() -> None:
    """A close that overtakes its open leaves an incident that nobody closes."""
    store, slack = MemoryStore(), FakeChannel("slack", moods=["broken"] * 3)
    put(store, message("a"), message("b"), message("c"))
    for tick in range(20):
        deliver(store, {"slack": slack}, START + tick * TICK)
    assert numbers(slack) == ["a", "b", "c"]
    assert store.waiting() == []


def test_one_channel_that_is_away_holds_up_no_other() -> None:
    store = MemoryStore()
    slack, pagerduty = FakeChannel("slack", moods=["broken"] * 99), FakeChannel("pagerduty")
    put(store, message("a"), message("b", "pagerduty"))
    deliver(store, {"slack": slack, "pagerduty": pagerduty}, START)
    assert numbers(pagerduty) == ["b"]


def test_a_channel_is_left_alone_for_as_long_as_it_asks() -> None:
    """Asking again sooner prolongs a limit."""
    store, slack = MemoryStore(), FakeChannel("slack", moods=["limited"])
    put(store, message("a"))
    deliver(store, {"slack": slack}, START)
    deliver(store, {"slack": slack}, START + timedelta(seconds=RETRY_AFTER) - timedelta(milliseconds=1))
    assert numbers(slack) == []
    deliver(store, {"slack": slack}, START + timedelta(seconds=RETRY_AFTER))
    assert numbers(slack) == ["a"]


def test_a_refused_message_lets_the_others_pass_and_is_tried_again() -> None:
    store, slack = MemoryStore(), FakeChannel("slack", moods=["revoked"])
    put(store, message("a"), message("b"))
    deliver(store, {"slack": slack}, START)
    assert numbers(slack) == ["b"]
    deliver(store, {"slack": slack}, START + REFUSED_AGAIN)
    assert numbers(slack) == ["b", "a"]


def test_a_close_waits_for_its_open_that_was_refused() -> None:
    """PagerDuty drops a close of what it does not know, and the open that comes after it stays for ever."""
    store, pagerduty = MemoryStore(), FakeChannel("pagerduty", moods=["revoked", "well", "revoked"])
    put(store, *(message(number, "pagerduty", "x") for number in ("open", "close")), message("other", "pagerduty"))
    deliver(store, {"pagerduty": pagerduty}, START)
    assert numbers(pagerduty) == ["other"]
    deliver(store, {"pagerduty": pagerduty}, START + TICK)
    assert numbers(pagerduty) == ["other"]
    for tick in range(2):
        deliver(store, {"pagerduty": pagerduty}, START + (tick + 1) * REFUSED_AGAIN)
    assert numbers(pagerduty) == ["other", "open", "close"]


def test_a_close_waits_for_no_open_of_another_channel() -> None:
    store, slack, pagerduty = MemoryStore(), FakeChannel("slack"), FakeChannel("pagerduty", moods=["revoked"])
    put(store, message("open", "pagerduty", "x"), message("close", "slack", "x"))
    deliver(store, {"slack": slack, "pagerduty": pagerduty}, START)
    assert numbers(slack) == ["close"]


def test_an_error_that_nobody_foresaw_keeps_the_message() -> None:
    class Odd:
        def send(self, message: Message) -> str:
            raise RuntimeError("what?")

    store = MemoryStore()
    put(store, message("a"))
    odd: Sender = Odd()  # type: ignore[assignment]
    assert deliver(store, {"slack": odd}, START)[0].error == "RuntimeError: what?"
    assert len(store.waiting()) == 1


def test_a_message_that_nobody_took_for_a_week_stays_on_record() -> None:
    store, slack = MemoryStore(), FakeChannel("slack", moods=["broken"] * 2)
    put(store, message("a"))
    deliver(store, {"slack": slack}, START)
    deliver(store, {"slack": slack}, START + GIVE_UP_AFTER)
    assert [entry.outcome for entry in store.recent(START)] == ["given up"]


def test_a_process_that_dies_between_sending_and_noting_sends_again_rather_than_never() -> None:
    class Dying(MemoryStore):
        def tried(self, entry: object) -> None:
            raise KeyboardInterrupt

    store, slack = Dying(), FakeChannel("slack")
    put(store, message("a"))
    with pytest.raises(KeyboardInterrupt):
        deliver(store, {"slack": slack}, START)
    deliver(MemoryStore(store.text, store.entries), {"slack": slack}, START + TICK)
    assert numbers(slack) == ["a", "a"]


_MOODS = st.lists(st.sampled_from(["well", "limited", "broken", "slow", "revoked"]), max_size=30)


@given(_MOODS, st.integers(1, 8))
def test_whatever_a_channel_answers_each_message_arrives_once(moods: list[Mood], count: int) -> None:
    store, slack = MemoryStore(), FakeChannel("slack", moods=list(moods))
    put(store, *(message(str(number), key=str(number % 3)) for number in range(count)))
    now = START
    while store.waiting():
        deliver(store, {"slack": slack}, now)
        now += TICK
    assert sorted(numbers(slack)) == sorted(str(number) for number in range(count))
    for key in range(3):
        assert numbers_of(slack, str(key)) == [str(number) for number in range(key, count, 3)]
    if "revoked" not in moods:
        assert numbers(slack) == [str(number) for number in range(count)]
