"""The verdict over a running speed layer: every topic and every store beside the history that PostgreSQL kept.

Belongs here: asking all of them, waiting until what is under way has arrived. Does not: how a topic is judged
(stream_topics.py), how a store is (streaming/verification.py, which `payments verify` runs).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from assets_tests.faults.stream_topics import changes, judge_changes, judge_events, read_topic, snapshot_reads
from payments_platform.clients.postgres import connect_arrow
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.streams import CAPTURED_TABLES, CHANGE_TOPICS
from payments_platform.settings import Settings
from payments_platform.streaming.comparison import KIND
from payments_platform.streaming.truth import committed_versions
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, topic

PAYMENTS: Final = topic("transactions")
_PAUSE: Final = 3.0


@dataclass(frozen=True)
class Verdict:
    """What is wrong in one place; ``truth`` and ``found`` count what was compared."""

    place: str
    truth: int
    found: int
    faults: pl.DataFrame = field(repr=False)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many of each kind of fault; empty when there is none."""
        return dict(self.faults.group_by(KIND).len().sort(KIND).iter_rows())

    def __str__(self) -> str:
        shown = "; ".join(str(row) for row in self.faults.head(3).to_dicts())
        return f"{self.place}: {self.truth} versions, {self.found} messages, {dict(self.kinds) or 'no fault'} {shown}"


def topics(settings: Settings) -> list[Verdict]:
    """Each change topic and analytics.transactions. Raises what the servers' clients raise."""
    servers = settings.kafka_servers()
    verdicts = []
    with connect_arrow(settings.postgres("primary", "extract"), name="fault-checker") as source:
        for spec, name in zip(CHANGE_TOPICS, CAPTURED_TABLES, strict=True):
            table = dataset(f"raw/{name}")
            history = committed_versions(source, table, settings.epoch)
            found = changes(read_topic(servers, spec.name), table)
            verdicts.append(
                Verdict(spec.name, history.height, found.height, judge_changes(history, found, table, spec))
            )
            if spec.name == PAYMENTS:
                messages = read_topic(servers, ANALYTICS_TRANSACTIONS)
                judged = judge_events(history, messages, snapshot_reads(found, table))
                verdicts.append(Verdict(ANALYTICS_TRANSACTIONS, history.height, messages.height, judged))
    return verdicts


def settled(settings: Settings, seconds: float) -> list[Verdict]:
    """The verdicts once nothing is missing, or after so long: what is under way is no loss yet."""
    deadline = time.monotonic() + seconds
    while True:
        verdicts = topics(settings)
        if time.monotonic() > deadline or not any("missing" in verdict.kinds for verdict in verdicts):
            return verdicts
        time.sleep(_PAUSE)
