"""Every channel keeps the same promises: it takes what is within the service's limits, and says why it did not.

Belongs here: what the outbox relies on, held against the fake and against the real clients on local servers.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from assets_tests.fakes.alert_servers import RETRY_AFTER, Mood, Service, mail_server, pagerduty_server, slack_server
from assets_tests.fakes.alerting import ROUTING_KEY, FakeChannel
from payments_platform.clients import mail, messaging, pagerduty, slack
from payments_platform.clients.mail import Mail
from payments_platform.clients.messaging import ChannelAway, ChannelRefused, wait_of
from payments_platform.clients.pagerduty import PagerDuty
from payments_platform.clients.slack import SlackBot, SlackWebhook
from payments_platform.operations.alerts.channels import MailChannel, PagerDutyChannel, SlackChannel
from payments_platform.operations.alerts.messages import Line, Message, summary_message, trial
from payments_platform.operations.alerts.outbox import Sender
from payments_platform.settings import load_settings

NOW = datetime(2026, 3, 1, 6, 0, 5, tzinfo=UTC)
KINDS = ["fake slack", "fake pagerduty", "webhook", "bot", "pagerduty", "mail"]


class Place:
    """A channel and what stands behind it."""

    def __init__(self, sender: Sender, behind: FakeChannel | Service, name: str) -> None:
        self.sender, self.behind, self.name = sender, behind, name

    @property
    def taken(self) -> list[Message] | list[dict[str, Any]]:
        return self.behind.taken

    def moods(self, *moods: Mood) -> None:
        self.behind.moods.extend(moods)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for module in (messaging, slack, pagerduty, mail):
        monkeypatch.setattr(module, "SECONDS", 1.0)
    with ExitStack() as open_ones:
        match request.param:
            case "fake slack" | "fake pagerduty":
                fake = FakeChannel("slack" if request.param == "fake slack" else "pagerduty")
                yield Place(fake, fake, fake.name)
            case "webhook":
                server = open_ones.enter_context(slack_server())
                client = SlackWebhook(SecretStr(f"{server.url}services/T0/B0/secret"))
                yield Place(SlackChannel(client), server, "slack")
            case "bot":
                server = open_ones.enter_context(slack_server())
                yield Place(SlackChannel(SlackBot(SecretStr("xoxb-secret"), "#data", server.url)), server, "slack")
            case "pagerduty":
                server = open_ones.enter_context(pagerduty_server())
                client_ = PagerDuty(SecretStr(ROUTING_KEY), f"{server.url}v2/enqueue")
                yield Place(PagerDutyChannel(client_), server, "pagerduty")
            case _:
                server = open_ones.enter_context(mail_server())
                client__ = Mail("127.0.0.1", server.port, "none", "data@payments.invalid", ("you@payments.invalid",))
                yield Place(MailChannel(client__), server, "email")


def message(name: str, kind: str = "open", lines: int = 1, length: int = 40) -> Message:
    line = Line(
        "mart_late", "marts/fact_transaction", "<&>" * (length // 3), "analytics", NOW.isoformat(), "", "docs/x.md"
    )
    key = "k" * 255 if length > 100 else "key"
    title = "t" * length
    return Message("n", kind, name, "critical", key, title, NOW.isoformat(), (line,) * lines)  # type: ignore[arg-type]


@pytest.mark.row("A3", "C7")
def test_an_open_and_its_close_are_taken(place: Place) -> None:
    assert place.sender.send(message(place.name)) == "sent"
    assert place.sender.send(message(place.name, "close")) == "sent"
    assert len(place.taken) == 2


@pytest.mark.row("A3")
@pytest.mark.parametrize("lines, length", [(1, 9000), (200, 30), (200, 9000), (0, 1)])
def test_a_message_of_any_size_is_within_the_limits(place: Place, lines: int, length: int) -> None:
    """On the day that most goes wrong the message is longest, and a refused one tells nobody."""
    for kind in ("open", "close"):
        assert place.sender.send(message(place.name, kind, lines, length)) == "sent"


@pytest.mark.row("A3")
def test_a_summary_of_any_length_and_a_trial_are_taken(place: Place) -> None:
    facts = ["line & <tag> " + "x" * 200] * 300
    place.sender.send(summary_message(place.name, "test", NOW, facts))  # type: ignore[arg-type]
    for it in trial(place.name, "test", NOW):  # type: ignore[arg-type]
        place.sender.send(it)


def test_a_limited_channel_says_for_how_long(place: Place) -> None:
    """Asking again sooner prolongs a limit."""
    place.moods("limited")
    with pytest.raises(ChannelAway) as raised:
        place.sender.send(message(place.name))
    expected = None if place.name == "email" else timedelta(seconds=RETRY_AFTER)
    assert raised.value.retry_after == expected
    assert place.sender.send(message(place.name)) == "sent"


@pytest.mark.parametrize("mood", ["broken", "slow"])
def test_a_channel_that_fails_or_does_not_answer_is_away(place: Place, mood: Mood) -> None:
    place.moods(mood)
    with pytest.raises(ChannelAway):
        place.sender.send(message(place.name))


def test_a_revoked_address_is_refused_and_no_error_holds_a_secret(place: Place) -> None:
    """An error text lands in logs and in the store."""
    place.moods("revoked")
    with pytest.raises(ChannelRefused) as raised:
        place.sender.send(message(place.name))
    assert "secret" not in f"{raised.value}{raised.value.__cause__}"
    assert ROUTING_KEY not in str(raised.value)


def test_a_server_that_is_not_there_is_away() -> None:
    nowhere = "http://127.0.0.1:9/secret"
    senders: list[Sender] = [
        SlackChannel(SlackWebhook(SecretStr(nowhere))),
        SlackChannel(SlackBot(SecretStr("xoxb"), "#data", f"{nowhere}/")),
        PagerDutyChannel(PagerDuty(SecretStr(ROUTING_KEY), nowhere)),
        MailChannel(Mail("127.0.0.1", 9, "none", "a@b.invalid", ("c@d.invalid",))),
    ]
    for sender in senders:
        with pytest.raises(ChannelAway) as raised:
            sender.send(message("slack"))
        assert "secret" not in str(raised.value)


def test_the_servers_refuse_what_the_services_refuse() -> None:
    """A local server that takes everything proves nothing about the limits."""
    long, short = ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * size}} for size in (3001, 1))
    with slack_server() as service:
        webhook, bot = SlackWebhook(SecretStr(service.url)), SlackBot(SecretStr("xoxb"), "#data", service.url)
        with pytest.raises(ChannelRefused, match="invalid_blocks"):
            webhook.post("text", [long])
        with pytest.raises(ChannelRefused, match="invalid_blocks"):
            bot.post("text", [short] * 51)
    with pagerduty_server() as service:
        send = partial(PagerDuty(SecretStr(ROUTING_KEY), service.url).enqueue)
        payload = {"summary": "s" * 1025, "source": "x", "severity": "critical"}
        trigger = {"routing_key": ROUTING_KEY, "event_action": "trigger"}
        with pytest.raises(ChannelRefused, match="summary"):
            send({**trigger, "dedup_key": "k", "payload": payload})
        with pytest.raises(ChannelRefused, match="dedup_key"):
            send({**trigger, "dedup_key": "k" * 256, "payload": payload})


@pytest.mark.row("A3")
def test_an_incident_is_triggered_and_resolved_under_one_key() -> None:
    """Another key at the close leaves somebody with an incident that nothing ever resolves."""
    with pagerduty_server() as service:
        channel = PagerDutyChannel(PagerDuty(SecretStr(ROUTING_KEY), service.url))
        channel.send(message("pagerduty"))
        channel.send(message("pagerduty", "close"))
    opened, closed = service.taken
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert opened["payload"]["severity"] == "critical"


@pytest.mark.row("C7", "A3")
def test_a_slack_message_says_what_since_when_whose_and_where_to_look() -> None:
    line = Line(
        "mart_late", "marts/fact_transaction", "2026-02-28 is not there", "analytics", NOW.isoformat(),
        "http://ui/assets/marts/fact_transaction", "https://pages/docs/runbooks/mart_late.md",
    )  # fmt: skip
    with slack_server() as service:
        sent = Message("n", "open", "slack", "critical", "k", "Late", NOW.isoformat(), (line,))
        SlackChannel(SlackWebhook(SecretStr(service.url))).send(sent)
    text = service.taken[0]["blocks"][1]["text"]["text"]
    for part in ("2026-02-28 is not there", "2026-03-01 06:00:05 UTC", "analytics", line.asset, line.runbook):
        assert part in text


@pytest.mark.parametrize(
    "value, seconds", [("17", 17), ("0", 0), ("", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)]
)
def test_every_form_of_retry_after_is_understood(value: str, seconds: int | None) -> None:
    assert wait_of({"retry-After": value}) == (None if seconds is None else timedelta(seconds=seconds))


def test_without_credentials_messages_are_printed_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent fallback looks like an alert that was sent."""
    from payments_platform.operations.alerts.channels import channels

    for name in ("SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "PAGERDUTY_ROUTING_KEY", "SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    for name, sender in channels(load_settings().alert_access(), said.append).items():
        assert sender.send(message(name)) == "printed"
    assert all("is not set" in text for text in said)
    assert len(said) == 3
