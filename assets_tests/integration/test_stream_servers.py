"""The servers of the speed layer as their users see them: promises kept over a kill, addresses elsewhere."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Message
from confluent_kafka.cimpl import NewTopic
from elasticsearch import Elasticsearch, NotFoundError
from pymongo import MongoClient

from assets_tests.conftest import PROJECT, Stack
from payments_platform.clients import kafka
from payments_platform.clients.connect import Connect
from payments_platform.local import elsewhere, statuses
from payments_platform.local import stack as local_stack
from payments_platform.local.failures import StackError
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.local.servers import kafka as kafka_server
from payments_platform.local.servers import mongodb as mongodb_server
from payments_platform.settings import STREAM_VARIABLES, Settings

pytestmark = pytest.mark.integration

JAVA_SERVERS = ("kafka", "connect", "mongodb", "elasticsearch")
INDEX = "transactions-probe"
# A field of the template, which holds here once a sink has made it.
DOCUMENT = {"transaction_id": "txn_kept"}


@pytest.mark.row("O7")
def test_every_server_of_the_speed_layer_serves(search: Stack) -> None:
    known = {it.name: it for it in statuses.status(Home(search.home))}
    assert {name: known[name].ready for name in JAVA_SERVERS} == dict.fromkeys(JAVA_SERVERS, True)


def test_none_of_them_is_reached_from_another_machine(search: Stack) -> None:
    """They ask for no password."""
    pids = [it.pid for it in statuses.status(Home(search.home)) if it.name in JAVA_SERVERS]
    listening = {
        connection.laddr.ip
        for process in family_of(pids)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_connect_knows_the_connector_and_hides_the_password(stream_stack: Stack) -> None:
    """A connector's configuration is kept on a topic and shown to whoever asks: it must refer to the secret only."""
    connect = Connect(stream_stack.settings.connect_url())
    name = "io.debezium.connector.postgresql.PostgresConnector"
    complaints = connect.validate(
        name, {"connector.class": name, "database.password": "${env:PAYMENTS_CAPTURE_PASSWORD}"}
    )
    assert not any("database.password" in line for line in complaints)
    assert any("database.hostname" in line for line in complaints)
    configuration = (stream_stack.home / "config" / "connect.properties").read_text()
    assert not any(word in configuration for word in Home(stream_stack.home).secrets().passwords.values())


@pytest.mark.faults
@pytest.mark.timeout(180)
@pytest.mark.row("S7", "E1")
def test_what_was_acknowledged_outlives_a_kill_of_every_server(search: Stack) -> None:
    """All four are killed at once, as by a machine that runs out of memory; each comes back by itself with its data."""
    settings = search.settings
    send(settings, b"before")
    first = read(settings)
    with documents(settings) as store:
        store.probe.payments.insert_many([{"_id": number} for number in range(500)])
    with Elasticsearch(settings.elasticsearch_url()) as engine:
        engine.index(index=INDEX, id="1", document=DOCUMENT)
    killed = {it.name: it.pid for it in statuses.status(Home(search.home)) if it.name in JAVA_SERVERS}
    for process in family_of(killed.values()):
        process.kill()

    eventually(lambda: _are_back(search, killed))
    send(settings, b"after")
    with documents(settings) as store:
        assert store.probe.payments.count_documents({}) == 500
        store.drop_database("probe")
    with Elasticsearch(settings.elasticsearch_url()) as engine:
        assert engine.get(index=INDEX, id="1")["_source"] == DOCUMENT
        engine.indices.delete(index=INDEX)
    assert Connect(settings.connect_url()).connectors() is not None
    assert (first, read(settings)) == (b"before", b"after")


def test_an_index_that_nobody_described_is_refused(search: Stack) -> None:
    """A mistyped name would become an index with a guessed mapping, and its documents would be found by nobody."""
    with (
        Elasticsearch(search.settings.elasticsearch_url()) as engine,
        pytest.raises(NotFoundError, match="auto_create"),
    ):
        engine.index(index="tranactions", document={})


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Request]:
    """A stack of its own; it is down again afterwards."""
    home = Home(tmp_path / "home")
    yield Request(home, PROJECT, ui=False, streams=True, environment="test", any_ports=True, stop_with=os.getpid())
    local_stack.down(home, lambda _: None)


def test_a_server_that_a_variable_names_is_used_and_not_started(
    stream_stack: Stack, second: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = stream_stack.settings.kafka_servers()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", there)
    (line,) = [it for it in local_stack.up(replace(second, only=("kafka",))) if it.name != "guardian"]
    assert (line.name, line.state, line.ready, line.note) == (
        "kafka",
        "elsewhere",
        True,
        "named by KAFKA_BOOTSTRAP_SERVERS",
    )
    assert second.settings.kafka_servers() == there
    assert "kafka" not in second.home.services()


@pytest.mark.parametrize("name,address", [
    ("kafka", "127.0.0.1:1"),
    ("connect", "http://127.0.0.1:1"),
    ("mongodb", "mongodb://reader:secret@127.0.0.1:1/?connectTimeoutMS=500"),
    ("elasticsearch", "http://reader:secret@127.0.0.1:1"),
])  # fmt: skip
def test_a_named_server_that_does_not_serve_stops_the_start_by_its_variable(
    name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever mistyped an address must read which variable holds it, and no password of it."""
    for module in (elsewhere, kafka_server, mongodb_server):
        monkeypatch.setattr(module, "_SECONDS", 1)
    monkeypatch.setenv(STREAM_VARIABLES[name], address)
    with pytest.raises(StackError, match=STREAM_VARIABLES[name]) as refused:
        elsewhere.require(name, Settings(home=tmp_path, environment="test"))
    assert "secret" not in str(refused.value)


def family_of(pids: Iterable[int]) -> list[psutil.Process]:
    """Return these processes and what they started: Elasticsearch is a launcher and the server."""
    return [it for pid in pids for it in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


@pytest.mark.parametrize(
    "wanted, found",
    [
        ({"$gte": "b", "$lt": "d"}, ["b", "c"]),
        ({"$gte": "c"}, ["c", "d"]),
        ({"$lt": "c"}, ["a", "b"]),
        ({"$not": {"$gte": "b"}}, [5, 7.5, None, True, "a"]),
        ({"$in": ["a", 5, "z"]}, [5, "a"]),
    ],
)
def test_the_emulator_finds_a_range_of_texts_and_no_other_id(
    stream_stack: Stack, wanted: dict[str, object], found: list[object]
) -> None:
    """By its index: it read the whole collection for each, and verification of a million documents timed out."""
    with documents(stream_stack.settings) as client:
        probe = client["payments"]["range_probe"]
        probe.drop()
        probe.insert_many([{"_id": it} for it in ("d", True, "b", 7.5, "a", None, 5, "c")])
        assert sorted(map(repr, (it["_id"] for it in probe.find({"_id": wanted})))) == sorted(map(repr, found))
        probe.drop()


def documents(settings: Settings) -> MongoClient[dict[str, object]]:
    return MongoClient(settings.mongodb_uri().get_secret_value(), serverSelectionTimeoutMS=20_000)


def send(settings: Settings, value: bytes) -> None:
    """Write one message in a transaction."""
    admin = kafka.admin(settings.kafka_servers())
    if "probe.stack" not in admin.list_topics(timeout=20).topics:
        admin.create_topics([NewTopic("probe.stack", 1, 1)])["probe.stack"].result(20)
    producer = kafka.producer(settings.kafka_servers(), transactional_id="probe")
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("probe.stack", value, b"k")
    producer.commit_transaction(30)


def read(settings: Settings) -> bytes | None:
    """Read the next message of the group and commit that it was read."""
    consumer = kafka.consumer(settings.kafka_servers(), "probe")
    consumer.subscribe(["probe.stack"])
    try:
        message: Message | None = consumer.poll(40)
        assert message is not None
        assert message.error() is None
        consumer.commit(message=message, asynchronous=False)
        return message.value()
    finally:
        consumer.close()


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def _are_back(stack: Stack, killed: dict[str, int]) -> bool:
    now = {it.name: it for it in statuses.status(Home(stack.home))}
    return all(now[name].ready and now[name].pid != pid for name, pid in killed.items())
