"""What assets, checks and sensors of the stream are given: the broker and the stores, asked for positions and counts.

Belongs here: the resource, positions as plain values. Does not: reading messages (streaming/), what is made of the
answers (defs/).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from payments_platform.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from payments_platform.streaming.capture.facts import Finding

STREAMS: Final = "streams"


@dataclass(frozen=True)
class Position:
    """Where a reader of the stream stands: next offset by ``<topic>-<partition>``, how far behind, rows if counted.

    ``unread`` are the offsets that wait, without the last of each partition: that may be the marker of a transaction.
    """

    positions: Mapping[str, int]
    lag: int
    unread: int
    rows: int | None = None


class Streams(Protocol):
    """The stream as Dagster sees it. Each verb raises when the system it asks is away."""

    def ends(self, topic: str) -> Mapping[str, int]:
        """The next offset to be written, by ``<topic>-<partition>``."""

    def consumed(self, group: str) -> Position:
        """Where a consumer group stands."""

    def captured_until(self) -> datetime | None:
        """When the latest heartbeat of change capture was made that reached its topic; None when none ever did."""

    def documents(self) -> int:
        """How many documents the document store has, about."""

    def searchable(self) -> int:
        """How many documents the search engine finds."""

    def dead_letters(self) -> "pl.DataFrame":
        """The ledger of dead letters."""

    def expire_letters(self, now: datetime) -> "pl.DataFrame":
        """End the letters that their topics are about to remove, so that each is counted; return the ledger then."""

    def capture_findings(self) -> "Sequence[Finding]":
        """What the guardian of change capture finds wrong now, the worst first."""


def reading(streams: Streams, group: str, topics: Iterable[str]) -> Position:
    """Where a group stands in the topics that it reads. One that has committed nothing has all of them to read."""
    found = streams.consumed(group)
    if found.positions:
        return found
    return replace(found, unread=sum(end for topic in topics for end in streams.ends(topic).values()))


class LiveStreams:
    """The servers of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def ends(self, topic: str) -> Mapping[str, int]:
        from payments_platform.streaming.reading import ends_of

        return {f"{name}-{number}": end for (name, number), end in ends_of(self._servers, [topic]).items()}

    def consumed(self, group: str) -> Position:
        from payments_platform.streaming.lag import lags_of

        found = lags_of(self._servers, [group])
        positions = {f"{it.topic}-{it.partition}": it.committed for it in found}
        return Position(positions, sum(it.lag for it in found), sum(max(it.lag - 1, 0) for it in found))

    def captured_until(self) -> datetime | None:
        from payments_platform.streaming.capture.notices import pulse

        found = pulse(self._servers)
        return found.latest.beat_at if found else None

    def documents(self) -> int:
        from payments_platform.clients.mongodb import connect
        from payments_platform.documents.transaction_logs import COLLECTION
        from payments_platform.streaming.sinks.jobs import DATABASE

        with connect(self._settings.mongodb_uri()) as client:
            return int(client[DATABASE][COLLECTION].estimated_document_count())

    def searchable(self) -> int:
        from payments_platform.clients.elasticsearch import connect
        from payments_platform.search.transactions import ALIAS

        client = connect(self._settings.elasticsearch_url())
        try:
            return int(client.count(index=ALIAS)["count"])
        finally:
            client.close()

    def dead_letters(self) -> "pl.DataFrame":
        from payments_platform.streaming.dead_letter_ledger import read_ledger

        return read_ledger(self._servers)

    def expire_letters(self, now: datetime) -> "pl.DataFrame":
        from payments_platform.streaming.dead_letter_replay import DeadLetterOffice, Decision, due_to_expire

        ledger = self.dead_letters()
        if due_to_expire(ledger, now).is_empty():
            # Nobody's command is interrupted for nothing.
            return ledger
        with DeadLetterOffice(self._servers) as office:
            office.expire(self.dead_letters(), Decision("sensor dead_letter_watch", now, "nobody decided in time"))
        return self.dead_letters()

    def capture_findings(self) -> "Sequence[Finding]":
        from payments_platform.streaming.capture.build import places_of
        from payments_platform.streaming.capture.judge import judge
        from payments_platform.streaming.capture.observe import observe

        return judge(observe(places_of(self._settings)))

    @property
    def _servers(self) -> str:
        return self._settings.kafka_servers()


def live_streams(settings: Settings) -> Any:  # noqa: ANN401 - a Streams, made at first use
    """Return the servers of the settings; nothing is asked yet."""
    return LiveStreams(settings)
