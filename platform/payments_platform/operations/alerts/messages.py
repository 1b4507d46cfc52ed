"""Messages about alerts: what happened, since when, whose it is, where to look; in each channel's form and limits.

Belongs here: the words, and the payloads of Slack, PagerDuty and e-mail. Does not: sending (outbox.py, clients/).
Limits are those that Slack and PagerDuty publish: longer text is cut with a mark, more alerts are counted, none is an
error on the day that most goes wrong.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from payments_platform.operations.alerts.engine import Channel, Notice
from payments_platform.operations.alerts.rules import BY_NAME, Severity
from payments_platform.operations.alerts.state import Alert

Kind = Literal["open", "close", "summary", "test"]

# https://docs.slack.dev/reference/block-kit/blocks and …/methods/chat.postMessage
SLACK_BLOCKS, SLACK_SECTION, SLACK_HEADER, SLACK_TEXT = 50, 3000, 150, 4000
# https://developer.pagerduty.com/docs/send-alert-event
PAGERDUTY_SUMMARY, PAGERDUTY_DEDUP_KEY = 1024, 255
# One section an alert; beside them stand a header, a line of what is left out, and a footer.
_SHOWN: Final = 40
_MOMENT: Final = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class Links:
    """Where the pages are: the asset graph, and the runbooks' folder; without an address a path is shown."""

    ui: str = ""
    pages: str = ""

    def asset(self, key: str) -> str:
        """The page of an asset, "" without a UI."""
        return f"{self.ui.rstrip('/')}/assets/{key}" if self.ui and key else ""

    def runbook(self, rule: str) -> str:
        """The page of a rule."""
        path = BY_NAME[rule].runbook if rule in BY_NAME else f"docs/runbooks/{rule}.md"
        return f"{self.pages.rstrip('/')}/{path}" if self.pages else path


@dataclass(frozen=True)
class Line:
    """What a message says of one alert."""

    rule: str
    subject: str
    text: str
    owner: str
    since: str
    asset: str
    runbook: str


@dataclass(frozen=True)
class Message:
    """One message for one channel, as it is kept until delivered. ``number`` is the same however often it is made."""

    number: str
    kind: Kind
    channel: Channel
    severity: Severity
    dedup_key: str
    title: str
    at: str
    lines: tuple[Line, ...] = ()
    body: str = ""


def of_notice(notice: Notice, links: Links, environment: str) -> Message:
    """The message that a notice asks for."""
    group = notice.group
    dedup = f"payments/{environment}/{group.number}/{group.name}"
    return Message(
        number=f"{group.number}/{notice.kind}/{notice.channel}/{group.name}",
        kind=notice.kind,
        channel=notice.channel,
        severity=group.severity,
        dedup_key=dedup if len(dedup) <= PAGERDUTY_DEDUP_KEY else _short(dedup),
        title=_title(notice, environment),
        at=notice.at.isoformat(),
        lines=tuple(_line(alert, links) for alert in notice.alerts),
    )


def trial(channel: Channel, environment: str, now: datetime) -> list[Message]:
    """What shows that a channel works: a message that says so; where there are incidents, one that is over at once."""
    key = f"payments/{environment}/test/{now:%Y%m%dT%H%M%S}"
    title = f"[{environment}] Test of the alerts: nothing is wrong"
    sent = Message(f"{key}/{channel}", "test", channel, "warning", key, title, now.isoformat())
    return [sent, replace(sent, number=f"{key}/close", kind="close")] if channel == "pagerduty" else [sent]


def _short(key: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: PAGERDUTY_DEDUP_KEY - 17]}-{digest}"


def _title(notice: Notice, environment: str) -> str:
    first, more = notice.alerts[0], len(notice.alerts) - 1
    what = f"{_says(first.rule)}: {first.subject}" + (f" and {more} more" if more else "")
    what += f" ({notice.group.name})" if notice.group.name != first.subject else ""
    if notice.kind == "open":
        return f"[{environment}] {what}"
    lasted = notice.at - min(notice.group.opened_at, *(alert.since for alert in notice.alerts))
    return f"[{environment}] Over after {_span(lasted.total_seconds())}: {what}"


def _says(rule: str) -> str:
    return BY_NAME[rule].says if rule in BY_NAME else rule


def _span(seconds: float) -> str:
    minutes, hours = round(seconds / 60), seconds / 3600
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{hours:.1f} h"


def _line(alert: Alert, links: Links) -> Line:
    return Line(
        rule=alert.rule, subject=alert.subject, text=alert.text, owner=alert.owner, since=alert.since.isoformat(),
        asset=links.asset(alert.asset), runbook=links.runbook(alert.rule),
    )  # fmt: skip


def slack_payload(message: Message) -> dict[str, Any]:
    """``text`` and ``blocks`` of a Slack message, within Slack's limits."""
    mark = {"open": ":red_circle:" if message.severity == "critical" else ":large_orange_circle:",
            "close": ":white_check_mark:", "summary": ":bar_chart:", "test": ":wave:"}[message.kind]  # fmt: skip
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": cut(f"{mark} {message.title}", SLACK_HEADER), "emoji": True},
        }
    ]
    blocks += [_section(part) for part in _paragraphs(message.body)]
    blocks += [_section(_slack_line(line)) for line in message.lines[:_SHOWN]]
    if len(message.lines) > _SHOWN:
        blocks.append(_section(f"… and {len(message.lines) - _SHOWN} more: `payments alerts list`"))
    return {"text": cut(_escaped(message.title), SLACK_TEXT), "blocks": blocks[:SLACK_BLOCKS]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, SLACK_SECTION)}}


def _paragraphs(body: str) -> list[str]:
    """A long body in as many sections as it takes, at most so many that the rest has place."""
    lines, parts = [_escaped(line) for line in body.splitlines()], [""]
    for line in lines:
        if len(parts[-1]) + len(line) + 1 > SLACK_SECTION:
            parts.append("")
        parts[-1] = f"{parts[-1]}\n{line}" if parts[-1] else cut(line, SLACK_SECTION)
    return [part for part in parts if part][:5]


def _slack_line(line: Line) -> str:
    since = datetime.fromisoformat(line.since)
    named = f"<{line.asset}|{_escaped(line.subject)}>" if line.asset else f"*{_escaped(line.subject)}*"
    page = f"<{line.runbook}|runbook>" if line.runbook.startswith("http") else f"`{line.runbook}`"
    # The text is what may be long: what stands around it is never cut.
    around = f"{named}: {_says(line.rule)}\n\nsince {since:{_MOMENT}} · owner {line.owner} · {page}"
    text = cut(_escaped(line.text), max(SLACK_SECTION - len(around) - 1, 1))
    return f"{named}: {_says(line.rule)}\n{text}\nsince {since:{_MOMENT}} · owner {_escaped(line.owner)} · {page}"


def _escaped(text: str) -> str:
    """Slack's three control characters, as its reference says."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pagerduty_event(message: Message, routing_key: str) -> dict[str, Any]:
    """An Events API v2 event: trigger with what a woken person needs, or resolve."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.kind == "close" else "trigger",
        "dedup_key": message.dedup_key,
    }
    if message.kind == "close":
        return event
    first = message.lines[0] if message.lines else None
    pages = {line.runbook: line.rule for line in message.lines if line.runbook.startswith("http")}
    return event | {
        "client": "payments platform",
        "payload": {
            "summary": cut(message.title, PAGERDUTY_SUMMARY),
            "source": first.subject if first else "payments alerts",
            "severity": message.severity,
            "timestamp": message.at,
            "component": first.rule if first else "test",
            "custom_details": {
                f"{line.rule} {line.subject}": cut(
                    f"{line.text} (since {line.since}, owner {line.owner}, {line.runbook})", SLACK_SECTION
                )
                for line in message.lines[:_SHOWN]
            },
        },
        "links": [{"href": page, "text": f"Runbook {rule}"} for page, rule in pages.items()],
    }


def plain_text(message: Message) -> str:
    """The message as a terminal, a log or an e-mail shows it."""
    lines = [
        f"  {line.subject}: {_says(line.rule)}. {line.text} (since {datetime.fromisoformat(line.since):{_MOMENT}},"
        f" owner {line.owner}, {line.runbook})"
        for line in message.lines
    ]
    return "\n".join([f"{message.kind.upper()} {message.severity} {message.title}", *message.body.splitlines(), *lines])


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as the limit allows, with a mark that some is missing."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def summary_message(channel: Channel, environment: str, at: datetime, facts: Sequence[str]) -> Message:
    """The daily summary of one day for one channel."""
    number = f"summary/{at:%Y-%m-%d}/{channel}"
    title = f"[{environment}] Payments platform, {at:%A %-d %B %Y}"
    return Message(number, "summary", channel, "warning", number, title, at.isoformat(), body="\n".join(facts))
