"""`payments dlq …` as a person types it, on a real broker.

Belongs here: what is printed, recorded and refused. Does not: how letters end (test_dead_letter_ends).
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from assets_tests.conftest import Stack
from payments_platform.cli import app
from payments_platform.clients import kafka
from payments_platform.contracts.quarantine import REVEALS
from payments_platform.contracts.streams import TOPICS
from payments_platform.lake import records
from payments_platform.lake.storage import LocalStorage
from payments_platform.streaming.dead_letters import DeadLetterWriter
from payments_platform.streaming.messages import frame_of
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.vocabulary import FRAUD_SIGNALS, dead_letters

pytestmark = pytest.mark.integration
ONLY = ("--topic", FRAUD_SIGNALS)


def payments(*words: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.fixture(scope="module")
def letters(stream_stack: Stack) -> list[str]:
    """Three refused messages on fraud.signals, made anew, two of one key; their names."""
    servers = stream_stack.settings.kafka_servers()
    client = kafka.admin(servers)
    mine = {FRAUD_SIGNALS, dead_letters(FRAUD_SIGNALS)}
    for topic in mine & client.list_topics(timeout=20).topics.keys():
        client.delete_topics([topic])[topic].result(20)
    while mine & client.list_topics(timeout=20).topics.keys():
        time.sleep(0.05)
    ensure_topics(client, TOPICS, ONE_BROKER)
    producer = kafka.producer(servers)
    for key, value in (("a", b'{"score": "high", "name": "Jane"}'), ("a", b'{"score": "low"}'), ("b", b"{")):
        producer.produce(FRAUD_SIGNALS, key=key.encode(), value=value, partition=0)
    producer.flush(20)
    messages = frame_of(read_whole(servers, [FRAUD_SIGNALS]))
    writer = DeadLetterWriter(kafka.producer(servers), "sink-mongodb")
    refused = messages.with_columns(fault=pl.lit("type"), refusal=pl.lit("score is no number"))
    writer.bury(refused, failed_at=datetime.now(UTC))
    writer.settle()
    return [f"{FRAUD_SIGNALS}/0/{offset}@sink-mongodb" for offset in messages["offset"]]


def states() -> dict[str, str]:
    """State by name, as scripts read it."""
    return {
        row["letter"]: row["state"] for row in json.loads(payments("dlq", "list", *ONLY, "--format", "json").stdout)
    }


@pytest.mark.row("S8", "E3")
def test_letters_are_listed_shown_replayed_repaired_and_discarded(
    letters: list[str], stream_stack: Stack, tmp_path: Path
) -> None:
    first, second, third = letters
    assert states() == {first: "open", second: "parked", third: "open"}
    listed = payments("dlq", "list", *ONLY)
    assert "letters" in listed.stdout
    assert f"Next: payments dlq show {first}" in listed.stderr

    shown = payments("dlq", "show", first)
    assert "Jane" not in shown.stdout
    assert "aaaa" in shown.stdout
    assert "payments-data" in shown.stderr
    assert payments("dlq", "show", first, "--reveal").exit_code == 2
    assert "Jane" in payments("dlq", "show", first, "--reveal", "--why", "ticket 4711").stdout
    reveals = records.read(LocalStorage(stream_stack.settings.lake_root), REVEALS)
    assert first in reveals["row_key"].to_list()

    right = tmp_path / "right.json"
    right.write_text('{"score": 1}', "utf-8")
    assert "1 stay parked" in payments("dlq", "replay", second, "--why", "mended").stderr
    assert "1 repaired" in payments("dlq", "replay", first, "--value", str(right), "--why", "mended").stderr
    assert "1 replayed" in payments("dlq", "replay", *ONLY, "--class", "type", second, "--why", "mended").stderr
    assert "1 discarded" in payments("dlq", "discard", third, "--why", "a test").stderr
    assert "Nothing was left" in payments("dlq", "replay", *ONLY, "--why", "again").stderr
    assert states() == {first: "repaired", second: "replayed", third: "discarded"}


@pytest.mark.parametrize(
    "words, says",
    [
        (("replay", "--why", "x"), "--all"),
        (("discard", "--all", "--why", " "), "reason"),
        (("replay", *ONLY, "--value", "f", "--why", "x"), "one letter"),
        (("list", "--class", "odd"), "not-json"),
        (("list", "--state", "odd"), "parked"),
    ],
)
@pytest.mark.row("S8")
def test_a_decision_that_is_not_meant_so_is_refused(letters: list[str], words: tuple[str, ...], says: str) -> None:
    done = payments("dlq", *words)
    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.row("S8")
def test_a_letter_that_is_not_there_is_named_with_some_that_are(letters: list[str]) -> None:
    done = payments("dlq", "show", f"{FRAUD_SIGNALS}/0/999999@sink-mongodb")
    assert done.exit_code == 1
    assert "There is no letter" in done.stderr
