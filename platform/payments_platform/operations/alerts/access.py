"""Alerting as the settings say: its store, its channels, the sources of the speed layer.

Belongs here: building these in every environment. Does not: what Dagster knows (defs/), any evaluation.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from payments_platform.clients.heartbeat import beat
from payments_platform.clients.messaging import ChannelAway, ChannelRefused
from payments_platform.clients.postgres import connect
from payments_platform.operations.alerts.channels import channels
from payments_platform.operations.alerts.evaluation import Alerting, Figures
from payments_platform.operations.alerts.file_store import EnduringStore
from payments_platform.operations.alerts.messages import Links
from payments_platform.operations.alerts.rules import SourceName
from payments_platform.operations.alerts.sources import Source
from payments_platform.operations.alerts.state import Memory
from payments_platform.operations.alerts.store import PostgresStore
from payments_platform.operations.alerts.stream_sources import Seldom, of_dead_letters, of_lag, read_capture
from payments_platform.operations.alerts.watch import Watch
from payments_platform.settings import SettingMissing, Settings

if TYPE_CHECKING:
    from payments_platform.streaming.lag import GroupLag

# What the guardian of change capture keeps of its latest look, below the home.
CAPTURE_STATE: Final = ("run", "capture.json")
WATCH_STATE: Final = ("run", "alerts-watch.json")


@contextmanager
def opened(
    settings: Settings,
    sources: Mapping[SourceName, Source],
    say: Callable[[str], None],
    figures: Figures = lambda _: (),
) -> Iterator[Alerting]:
    """Everything an evaluation needs, with a connection of its own. Raises psycopg.OperationalError."""
    with connect(settings.postgres("platform", "dagster"), autocommit=True, name="payments-alerts") as connection:
        yield Alerting(
            store=PostgresStore(connection),
            sources=sources,
            channels=channels(settings.alert_access(), say),
            environment=settings.environment,
            links=_links(settings),
            figures=figures,
        )


def _links(settings: Settings) -> Links:
    return Links(settings.ui_address(), settings.runbooks_url)


def watch_of(settings: Settings, say: Callable[[str], None]) -> Watch:
    """The dead-man's switch of this home."""
    store = EnduringStore(settings.home.joinpath(*WATCH_STATE))
    alerting = Alerting(
        store=store,
        sources={},
        channels=channels(settings.alert_access(), say),
        environment=settings.environment,
        links=_links(settings),
    )
    return Watch(alerting, lambda: last_evaluation(settings), lambda: store.problem)


def last_evaluation(settings: Settings) -> datetime | None:
    """When the alerts were evaluated last, None before the first time."""
    with connect(settings.postgres("platform", "dagster"), autocommit=True, name="payments-alerts") as connection:
        return PostgresStore(connection).memory().evaluated_at


def beat_if_asked(settings: Settings, memory: Memory, say: Callable[[str], None]) -> None:
    """Tell the monitor outside that an evaluation went well; one that cannot be told misses it by itself.

    While messages cannot be delivered it is not told, so that it speaks: of what is wrong nobody else would hear.
    """
    address = settings.alert_access().heartbeat
    if address is None or any(alert.rule == "messages_undelivered" for alert in memory.open_alerts):
        return
    try:
        beat(address)
    except (ChannelAway, ChannelRefused) as error:
        say(str(error))


def stream_sources(settings: Settings) -> dict[SourceName, Source]:
    """The sources of the speed layer that this environment has; none where no broker is known."""
    try:
        servers = settings.kafka_servers()
    except SettingMissing:
        return {}
    found: dict[SourceName, Source] = {
        "lag": lambda now: of_lag(_lags(servers, settings.flush_seconds, now)),
        "dead_letters": _letters(servers),
    }
    state = settings.home.joinpath(*CAPTURE_STATE)
    if state.exists() or settings.environment in {"staging", "production"}:
        found["capture"] = lambda now: read_capture(state, now)
    return found


def _lags(servers: str, flush_seconds: int, now: datetime) -> "list[GroupLag]":
    """What each worker should have written by now: the lake's may hold a message for its time and a minute."""
    from payments_platform.streaming.lag import lags_of, overdue_of
    from payments_platform.streaming.sinks.jobs import LAKE
    from payments_platform.streaming.workers import WORKERS

    held = {LAKE: timedelta(seconds=flush_seconds) + timedelta(minutes=1)}
    return overdue_of(servers, lags_of(servers, list(WORKERS)), held, now)


@cache
def _letters(servers: str) -> Source:
    """Kept from one evaluation to the next in a process: reading all letters takes longer than an evaluation should."""
    from payments_platform.streaming.dead_letter_ledger import read_ledger

    return Seldom(lambda now: of_dead_letters(read_ledger(servers), now), timedelta(seconds=45))
