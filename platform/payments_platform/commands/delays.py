"""Delays from commit to readable, for the demo and the benchmark: finders for the stores of the settings, one table.

The lake has a line of its own: it holds changes on purpose, and shows them segment by segment.

Belongs here: opening and closing what the finders ask, printing. Does not: measuring (operations/delays.py,
operations/lake_delay.py).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.table import Table

from payments_platform.commands.saying import say

if TYPE_CHECKING:
    from payments_platform.operations.delays import Delay, Finder
    from payments_platform.settings import Settings

BY_ID, BY_SEARCH = "elasticsearch by id", "elasticsearch by search"
MONGODB: Final = "mongodb by id"


@contextmanager
def open_finders(settings: "Settings") -> "Iterator[dict[str, Finder]]":
    """How each place is asked, in the order a payment passes them: change topic, processed topic, stores.

    What has no address is named and left out.
    """
    from payments_platform.clients import elasticsearch, kafka, mongodb
    from payments_platform.documents.transaction_logs import COLLECTION
    from payments_platform.operations import finders
    from payments_platform.search.transactions import ALIAS, index_of
    from payments_platform.streaming.sinks.jobs import DATABASE
    from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, topic

    absent = settings.lacking()
    for name, why in absent.items():
        say(f"{name} is not there and is not timed: {why}")
    with ExitStack() as stack:
        found: dict[str, Finder] = {}
        for name in (topic("transactions"), ANALYTICS_TRANSACTIONS) if "kafka" not in absent else ():
            reader = finders.TopicFinder(kafka.consumer(settings.kafka_servers(), "delays"), name)
            stack.callback(reader.close)
            found[name] = reader
        if "mongodb" not in absent:
            client = stack.enter_context(mongodb.connect(settings.mongodb_uri(), name="delays"))
            found[MONGODB] = finders.document_finder(client[DATABASE][COLLECTION])
        if "elasticsearch" not in absent:
            search = elasticsearch.connect(settings.elasticsearch_url())
            stack.callback(search.close)
            found[BY_ID] = finders.indexed_finder(search, lambda sample: index_of(sample.created_at.date()))
            found[BY_SEARCH] = finders.search_finder(search, ALIAS)
        yield found


def delay_table(delays: "Mapping[str, Delay]", title: str, document: Mapping[str, float] | None = None) -> Table:
    """One row a place, in seconds; ``document`` adds what the design document claims at P95."""
    columns = ("where", "payments looked for", "P50", "P95", "P99", "longest", "never came")
    table = Table(*columns, *(("document's P95",) if document else ()), title=title)
    for name, delay in delays.items():
        it = delay.percentiles
        seconds = [f"{value / 1_000:.2f}" for value in (it.p50, it.p95, it.p99, it.longest)]
        claimed = [f"{document[name]:.2f}" if name in document else ""] if document else []
        table.add_row(name, f"{it.count + delay.missing:,}", *seconds, f"{delay.missing:,}", *claimed)
    return table


def lake_delay(settings: "Settings", since: datetime) -> str:
    """How long the changes that were committed from then on waited for the lake, in one line."""
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.operations.lake_delay import lake_line, lake_waits
    from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

    waits = lake_waits(LocalStorage(settings.lake_root), ANALYTICS_TRANSACTIONS, since)
    return lake_line(waits, timedelta(seconds=settings.flush_seconds))
