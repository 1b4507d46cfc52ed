"""``payments alerts …``: what is open, what was sent, whether a message arrives, the dead-man's switch.

Belongs here: options, sentences, tables. Does not: evaluating (the sensor in defs/operations/alerts.py does).
"""

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from payments_platform.commands.live import stopped_by_signals
from payments_platform.commands.printing import Format, wide
from payments_platform.commands.saying import say
from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from payments_platform.operations.alerts.engine import Channel
    from payments_platform.operations.alerts.rules import Level, Rule
    from payments_platform.operations.metrics.families import MetricSource
    from payments_platform.operations.metrics.samples import Sample
    from payments_platform.settings import Settings

app = typer.Typer(
    help="Alerts: what is open, what was sent, a test message, the watch over them.", no_args_is_help=True
)
_Format = Annotated[Format, typer.Option("--format", help="table or json.")]


class TrialNotDelivered(ExplainedError):
    """A channel did not take the test message."""


@app.command("list")
def list_open(*, output: _Format = Format.TABLE) -> None:
    """The alerts that are open now, when they were evaluated last, and messages that wait to be delivered."""
    from payments_platform.operations.alerts.access import opened
    from payments_platform.settings import load_settings

    with opened(load_settings(), {}, say) as alerting:
        memory, waiting = alerting.store.memory(), alerting.store.waiting()
    if output is Format.JSON:
        found = {
            "open": [asdict(alert) for alert in memory.open_alerts],
            "evaluated_at": f"{memory.evaluated_at:%Y-%m-%dT%H:%M:%SZ}" if memory.evaluated_at else None,
            "waiting": [asdict(entry) for entry in waiting],
        }
        typer.echo(json.dumps(found, default=str, indent=2))
        return
    table = Table("severity", "alert", "what", "since, UTC", "owner", "runbook")
    for alert in memory.open_alerts:
        page, since = f"docs/runbooks/{alert.rule}.md", f"{alert.since:%Y-%m-%d %H:%M}"
        table.add_row(str(alert.severity), alert.rule, Text(f"{alert.subject}\n{alert.text}"), since, alert.owner, page)
    if memory.open_alerts:
        wide().print(table)
    evaluated = f"{memory.evaluated_at:%Y-%m-%d %H:%M:%S} UTC" if memory.evaluated_at else "never"
    say(f"{len(memory.open_alerts)} open. Evaluated last: {evaluated}.")
    if waiting:
        say(f"{len(waiting)} messages wait to be delivered; the first says: {waiting[0].error or 'not tried yet'}")


@app.command()
def messages(
    *,
    days: Annotated[int, typer.Option(min=1, max=90, help="How far to look back.")] = 7,
    output: _Format = Format.TABLE,
) -> None:
    """The messages of the last days: to which channel, what became of each."""
    from payments_platform.operations.alerts.access import opened
    from payments_platform.settings import load_settings

    with opened(load_settings(), {}, say) as alerting:
        found = alerting.store.recent(datetime.now(UTC) - timedelta(days=days))
    if output is Format.JSON:
        typer.echo(json.dumps([asdict(entry) for entry in found], default=str, indent=2))
        return
    table = Table("made, UTC", "channel", "kind", "what", "became", "tries", "it said")
    for entry in found:
        it = entry.message
        made, title = f"{entry.created_at:%Y-%m-%d %H:%M:%S}", Text(it.title)
        table.add_row(made, it.channel, it.kind, title, entry.outcome, f"{entry.attempts}", Text(entry.error))
    wide().print(table)


@app.command("test")
def try_channels(
    channel: Annotated[list[str] | None, typer.Argument(help="slack, pagerduty, email.", show_default="all")] = None,
) -> None:
    """Send one test message to each channel, now; a test incident in PagerDuty is resolved at once.

    Ends with code 1 when a channel with credentials did not take it.
    """
    from payments_platform.clients.messaging import ChannelAway, ChannelRefused
    from payments_platform.operations.alerts.channels import PrintedChannel, channels
    from payments_platform.operations.alerts.messages import trial
    from payments_platform.settings import load_settings

    settings, now, failed = load_settings(), datetime.now(UTC), []
    known = channels(settings.alert_access(), say)
    unknown = sorted(set(channel or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no channel; channels are {', '.join(known)}")
    for name, sender in known.items():
        if channel and name not in channel:
            continue
        try:
            for message in trial(_named(name), settings.environment, now):
                sender.send(message)
        except (ChannelAway, ChannelRefused) as error:
            failed.append(f"{name}: {error}")
            continue
        say(f"{name}: {'no credentials, printed above' if isinstance(sender, PrintedChannel) else 'sent'}")
    if failed:
        raise TrialNotDelivered("\n".join(failed))


def _named(name: str) -> "Channel":
    return name  # type: ignore[return-value]  # checked against the channels there are


@app.command()
def rules(*, output: _Format = Format.TABLE) -> None:
    """Every rule: from which figure on, for how long, how severe, whose, and its runbook."""
    from payments_platform.operations.alerts.rules import RULES

    if output is Format.JSON:
        typer.echo(json.dumps([asdict(rule) | {"runbook": rule.runbook} for rule in RULES], default=str, indent=2))
        return
    table = Table("rule", "says", "opens at", "owner", "runbook")
    for rule in RULES:
        levels = [_opens_at(rule, level) for level in rule.levels]
        table.add_row(rule.name, rule.says, "\n".join(levels), rule.owner, rule.runbook)
    wide().print(table)


def _opens_at(rule: "Rule", level: "Level") -> str:
    from payments_platform.operations.alerts.rules import GRADE, LATE

    minutes = f"{level.holds_for.total_seconds() / 60:g} min"
    if rule.unit == LATE and level.threshold == 1:
        return (
            f"{level.severity}: after {minutes} late" if level.holds_for else f"{level.severity}: as soon as it is late"
        )
    figure = "as its watch judges" if rule.unit == GRADE else f"{level.threshold:g} {rule.unit}"
    return f"{level.severity}: {figure}, for {minutes}" if level.holds_for else f"{level.severity}: {figure}"


@app.command()
def watch(
    *,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 15.0,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics on 127.0.0.1.", show_default="off")
    ] = None,
) -> None:
    """The dead-man's switch: say so when the alerts are not evaluated any more. Runs until Ctrl-C or SIGTERM.

    The metrics are those of the platform: figures, freshness, alerts. The stack runs one of these by itself.
    """
    from payments_platform.operations.alerts.access import watch_of
    from payments_platform.settings import load_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    log = logging.getLogger("payments.alerts.watch")
    settings = load_settings()
    with stopped_by_signals() as stop:
        switch = watch_of(settings, log.warning)
        if metrics_port is not None:
            _serve_metrics(settings, metrics_port, stop, log.warning)
        while not stop.is_set():
            switch.look(datetime.now(UTC))
            stop.wait(every)


def _serve_metrics(settings: "Settings", port: int, stop: "Event", say: "Callable[[str], None]") -> None:
    """Answer scrapes at once; the sources are read beside the switch, which waits for none of them."""
    from prometheus_client import CollectorRegistry, start_http_server

    from payments_platform.operations.metrics.exporter import Exporter

    registry, loading = CollectorRegistry(), Lock()

    def read(source: "MetricSource", now: datetime) -> "list[Sample]":
        # Loading the definitions takes seconds, and may fail: a source that is away, and no end of the switch.
        with loading:
            from payments_platform.defs._platform.exported import sources_of

        return sources_of(settings).read(source, now, _graph)

    exporter = Exporter(read, lambda: datetime.now(UTC), say)
    registry.register(exporter)
    start_http_server(port, addr="127.0.0.1", registry=registry)
    exporter.start(stop)


def _graph() -> Any:  # noqa: ANN401 - a RepositoryDefinition; commands import no Dagster
    from payments_platform.definitions import defs

    return defs.get_repository_def()
