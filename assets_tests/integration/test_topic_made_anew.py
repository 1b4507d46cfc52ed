"""The lake's worker on real servers, after its topic was deleted and made again while the lake stayed."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from assets_tests.conftest import Stack
from assets_tests.fakes.events import event, frame
from assets_tests.integration import streamed
from payments_platform.cli import app
from payments_platform.clients import kafka
from payments_platform.contracts.streams import EVENT_SCHEMA, RAW_TRANSACTIONS_STREAM, TOPICS
from payments_platform.lake import segments
from payments_platform.lake.storage import LocalStorage
from payments_platform.streaming.sinks import jobs
from payments_platform.streaming.sinks.lake_topic import TopicMadeAnew
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.streaming.workers import build
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


@pytest.fixture
def site(stream_stack: Stack) -> Iterator[Stack]:
    """Topic and lake without a message, and a lake that waits a second for more."""
    streamed.start_empty(stream_stack)
    yield replace(stream_stack, settings=stream_stack.settings.model_copy(update={"flush_seconds": 1}))
    streamed.start_empty(stream_stack)


def produce(site: Stack, names: list[str]) -> None:
    streamed.produce(site, frame([event(name) for name in names]).select(EVENT_SCHEMA.names()))


def written(site: Stack, names: list[str]) -> None:
    """Put an event for each name on the topic, and let the lake's worker write them."""
    with streamed.sinks_at_work(site, (jobs.LAKE,)):
        produce(site, names)
        streamed.caught_up(site, (jobs.LAKE,))


def held(site: Stack) -> pl.Series:
    storage = LocalStorage(site.settings.lake_root)
    files = [it.file for it in segments.segments(storage, ANALYTICS_TRANSACTIONS)]
    return storage.scan(files, RAW_TRANSACTIONS_STREAM.schema).collect()["transaction_id"].sort()


@pytest.mark.row("S5")
def test_a_topic_made_anew_stops_the_lake_until_its_segments_are_moved_away(site: Stack, tmp_path: Path) -> None:
    """Lost: every message of the new topic up to the offset where the old one ended, without a word."""
    written(site, [f"txn_old_{n}" for n in range(20)])
    folder = site.settings.lake_root / "raw" / "transactions_stream"
    shutil.copytree(folder, tmp_path / "aside")
    streamed.start_empty(site)
    shutil.copytree(tmp_path / "aside", folder)
    worker = build(jobs.LAKE, site.settings, stop=threading.Event(), registry=CollectorRegistry())
    with pytest.raises(TopicMadeAnew, match="the topic at 0"):
        worker.run()
    done = CliRunner().invoke(app, ["rebuild", "lake"])
    assert done.exit_code == 1
    assert "made anew" in f"{done.output}{done.exception}"
    assert held(site).str.starts_with("txn_old_").sum() == 20
    shutil.rmtree(folder)
    written(site, ["txn_new_1", "txn_new_2"])
    assert held(site).to_list() == ["txn_new_1", "txn_new_2"]


@pytest.mark.row("S5")
def test_a_topic_made_anew_under_a_running_worker_stops_it(site: Stack) -> None:
    """Kafka tells the worker nothing: its client goes back to the oldest message by itself."""
    old, stop = [f"txn_old_{n}" for n in range(20)], threading.Event()

    def make_anew() -> None:
        produce(site, old)
        streamed.caught_up(site, (jobs.LAKE,))
        admin = kafka.admin(site.settings.kafka_servers())
        admin.delete_topics([ANALYTICS_TRANSACTIONS])[ANALYTICS_TRANSACTIONS].result(20)
        ensure_topics(admin, [spec for spec in TOPICS if spec.name == ANALYTICS_TRANSACTIONS], ONE_BROKER)
        produce(site, ["txn_new_1", "txn_new_2", "txn_new_3"])
        stop.wait(60)
        stop.set()

    thread = threading.Thread(target=make_anew)
    thread.start()
    worker = build(jobs.LAKE, site.settings, stop=stop, registry=CollectorRegistry())
    try:
        with pytest.raises(TopicMadeAnew, match="went back to 0"):
            worker.run()
    finally:
        stop.set()
        thread.join(60)
    assert held(site).to_list() == sorted(old)
