"""The channels as the outbox sees them: Slack, PagerDuty, e-mail, or the log where there are no credentials.

Belongs here: which client takes which form of a message. Does not: the forms (messages.py), the protocols (clients/).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from payments_platform.clients.mail import Mail
from payments_platform.clients.pagerduty import PagerDuty
from payments_platform.clients.slack import SlackBot, SlackWebhook
from payments_platform.operations.alerts.engine import Channel
from payments_platform.operations.alerts.messages import Message, pagerduty_event, plain_text, slack_payload
from payments_platform.operations.alerts.outbox import Sender
from payments_platform.settings import AlertAccess


@dataclass(frozen=True)
class SlackChannel:
    """Messages as blocks."""

    client: SlackWebhook | SlackBot

    def send(self, message: Message) -> Literal["sent"]:
        self.client.post(**slack_payload(message))
        return "sent"


@dataclass(frozen=True)
class PagerDutyChannel:
    """Messages as events: an open triggers, a close resolves."""

    client: PagerDuty

    def send(self, message: Message) -> Literal["sent"]:
        self.client.enqueue(pagerduty_event(message, self.client.routing_key.get_secret_value()))
        return "sent"


@dataclass(frozen=True)
class MailChannel:
    """Messages as text."""

    client: Mail

    def send(self, message: Message) -> Literal["sent"]:
        self.client.send(message.title, plain_text(message), message.number)
        return "sent"


@dataclass(frozen=True)
class PrintedChannel:
    """No credentials: the message is written where the evaluating process writes, and says so."""

    name: Channel
    variable: str
    say: Callable[[str], None]

    def send(self, message: Message) -> Literal["printed"]:
        self.say(f"Not sent to {self.name}, for {self.variable} is not set:\n{plain_text(message)}")
        return "printed"


def channels(access: AlertAccess, say: Callable[[str], None]) -> dict[Channel, Sender]:
    """Every channel by the credentials there are."""
    slack: Sender = PrintedChannel("slack", "SLACK_WEBHOOK_URL", say)
    if access.slack_webhook:
        slack = SlackChannel(SlackWebhook(access.slack_webhook))
    elif access.slack_token and access.slack_channel:
        slack = SlackChannel(SlackBot(access.slack_token, access.slack_channel, access.slack_api))
    pagerduty: Sender = PrintedChannel("pagerduty", "PAGERDUTY_ROUTING_KEY", say)
    if access.pagerduty_key:
        pagerduty = PagerDutyChannel(PagerDuty(access.pagerduty_key, access.pagerduty_url))
    email: Sender = PrintedChannel("email", "SMTP_URL", say)
    if access.mail:
        email = MailChannel(access.mail)
    return {"slack": slack, "pagerduty": pagerduty, "email": email}
