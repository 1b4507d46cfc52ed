"""Slack: one message by an incoming webhook, or by a bot's token to a channel.

Belongs here: the two ways to post, and what Slack's answers mean. Does not: the words (operations/alerts/messages.py),
trying again: the client's own retries are off, for a try that was answered late would be posted twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from payments_platform.clients.messaging import SECONDS, ChannelAway, ChannelRefused, raise_for, wait_of

# What chat.postMessage calls an error and what passes by itself.
_PASSING: Final = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
                             "request_timeout", "team_added_to_org"})  # fmt: skip


@dataclass(frozen=True)
class SlackWebhook:
    """An incoming webhook; its address is the secret."""

    url: SecretStr

    def post(self, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Post one message. Raises ChannelAway or ChannelRefused."""
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(self.url.get_secret_value(), timeout=int(SECONDS), retry_handlers=[])
        try:
            answer = client.send(text=text, blocks=[dict(block) for block in blocks])
        except OSError as error:
            raise ChannelAway(f"Slack does not answer: {_reason(error)}") from None
        raise_for("Slack", answer.status_code, answer.body, answer.headers)


@dataclass(frozen=True)
class SlackBot:
    """A bot with the scope chat:write, and the channel that it was invited to."""

    token: SecretStr
    channel: str
    api: str = "https://slack.com/api/"

    def post(self, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Post one message. Raises ChannelAway or ChannelRefused."""
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError

        client = WebClient(self.token.get_secret_value(), base_url=self.api, timeout=int(SECONDS), retry_handlers=[])
        try:
            client.chat_postMessage(channel=self.channel, text=text, blocks=[dict(block) for block in blocks])
        except SlackApiError as problem:
            answer = problem.response
            status, headers = int(answer.status_code), dict(answer.headers)
            said = str(answer.get("error", "") or "")
            if said in _PASSING or status == 429 or status >= 500:
                raise ChannelAway(f"Slack answered {status}: {said or 'nothing'}", wait_of(headers)) from None
            raise ChannelRefused(f"Slack refuses: {said or status}") from None
        except OSError as error:
            raise ChannelAway(f"Slack does not answer: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """What went wrong, without the address: the webhook's is a secret."""
    reason = getattr(error, "reason", error)
    return type(reason).__name__ if isinstance(reason, BaseException) else "no answer"
