"""The stores of the settings as they are verified: each that is there, and what each must still have.

Belongs here: which clients, copies and readers a view is made of, whose refusals excuse it. Does not: comparing
(verification.py), a store's own questions (sinks/, owed.py), dead letters (excuses.py).
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from payments_platform.lake.storage import LocalStorage
from payments_platform.settings import Settings
from payments_platform.streaming import reading
from payments_platform.streaming.excuses import excused, once, read_excuses
from payments_platform.streaming.owed import LakeRows, TopicRows
from payments_platform.streaming.processing import PROCESSOR
from payments_platform.streaming.sinks import jobs
from payments_platform.streaming.sinks.protocol import Wanted
from payments_platform.streaming.verification import VERSION, View, appended_since, kept_since
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

_DOCUMENTS, _STATES, _SEARCH, _LAKE = "mongodb", "mongodb states", "elasticsearch", "lake"
# Every view, and the server without which it cannot be had. Of the lake: its worker may hold messages of the topic yet.
NEEDS: Final = {
    _DOCUMENTS: "mongodb", _STATES: "mongodb", _SEARCH: "elasticsearch", _LAKE: "kafka",
    ANALYTICS_TRANSACTIONS: "kafka",
}  # fmt: skip

# The consumers whose dead letters excuse a view: what the processor refused comes to no store, what a sink refused
# lacks in its own alone. The topic owes what a sink refused of it.
REFUSED_BY: Final = {
    _DOCUMENTS: (PROCESSOR, jobs.MONGODB), _STATES: (PROCESSOR, jobs.MONGODB), _SEARCH: (PROCESSOR, jobs.ELASTICSEARCH),
    _LAKE: (PROCESSOR, jobs.LAKE), ANALYTICS_TRANSACTIONS: (PROCESSOR,),
}  # fmt: skip


def open_views(settings: Settings, stack: ExitStack) -> tuple[list[View], pl.DataFrame]:
    """Every store that has an address, and the versions that stand as dead letters, which one of them at least lacks.

    Connections and copies last as long as the stack. Without Kafka no letter is known, and what was refused is missing.
    """
    absent = settings.lacking()
    views: list[View] = []
    if "mongodb" not in absent:
        views += _of_mongodb(settings, stack)
    if "elasticsearch" not in absent:
        search = stack.enter_context(closing(jobs.elasticsearch_sink(settings)))
        views.append(View(_SEARCH, has_versions=False, rows=search.read, is_owed=_kept()))
    if "kafka" in absent:
        return views, pl.DataFrame(schema=VERSION)
    refused, replays = read_excuses(settings.kafka_servers())
    views += _of_kafka(settings, stack, replays)
    every = {consumer for consumers in REFUSED_BY.values() for consumer in consumers}
    return [replace(view, refused=excused(refused, *REFUSED_BY[view.name])) for view in views], excused(refused, *every)


def _kept() -> pl.Expr:
    return kept_since(datetime.now(UTC))


def _of_mongodb(settings: Settings, stack: ExitStack) -> list[View]:
    documents = stack.enter_context(closing(jobs.mongodb_sink(settings)))
    return [
        View(_DOCUMENTS, has_versions=False, rows=documents.read, is_owed=_kept()),
        View(_STATES, has_versions=True, rows=documents.states, is_owed=_kept()),
    ]


def _of_kafka(settings: Settings, stack: ExitStack, replays: pl.DataFrame) -> list[View]:
    servers = settings.kafka_servers()
    topic = TopicRows(servers, _folder(stack))
    flush_age = timedelta(seconds=settings.flush_seconds)
    lake = LakeRows(LocalStorage(settings.lake_root), _folder(stack), topic, flush_age)
    first = topic.first()
    # Asked after the copy was made: what retention removed before it was copied is not owed.
    lows = [low for low, _ in reading.held(servers, ANALYTICS_TRANSACTIONS).values()]
    oldest = first if any(lows) else None
    return [
        _of_messages(_LAKE, lake.rows, replays, lake.first()),
        _of_messages(ANALYTICS_TRANSACTIONS, topic.rows, replays, oldest),
    ]


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payments-verify-")))


def _of_messages(
    name: str, rows: Callable[[Wanted], pl.DataFrame], replays: pl.DataFrame, oldest: datetime | None
) -> View:
    return View(
        name, has_versions=True, rows=lambda wanted: once(rows(wanted), replays), is_owed=appended_since(oldest)
    )
