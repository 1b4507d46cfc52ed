"""A broker that is away, a payment larger than a message, changed columns: on real servers, while payments are made.

Each says what is wrong, loses nothing, and heals when the cause is gone.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from typing import Final, cast

import pytest

from assets_tests.faults.stream_checker import Verdict, settled
from assets_tests.faults.stream_layer import STORES, SpeedLayer, running, until_true
from assets_tests.faults.stream_run import PAYMENTS, Pressure
from assets_tests.integration.test_poisoned_messages import CLASSES, poison
from payments_platform.clients import kafka
from payments_platform.contracts.streams import LARGEST_CHANGE
from payments_platform.local import sites
from payments_platform.streaming.dead_letter_ledger import read_ledger
from payments_platform.streaming.dead_letter_replay import waiting
from payments_platform.streaming.reading import read_whole
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, OPS_METRICS, dead_letters, topic

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(900, func_only=True),
]
_SETTLE: Final = 180.0
_PAYMENTS: Final = topic("transactions")
# Twenty payments by the customer and at the merchant of one that is there.
_INSERT: Final = """
    INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, amount, amount_minor,
                                   captured_minor, refunded_minor, currency, {status}{more})
    SELECT 'txn_{name}_' || n, merchant_id, customer_id, customer_token, 12.5, 1250, 1250, 0, 'EUR', 'succeeded'{values}
      FROM (SELECT * FROM oltp.transactions LIMIT 1) one, generate_series(1, 20) n"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeedLayer]:
    """One layer for all: each test leaves it as it found it."""
    with running(tmp_path_factory.mktemp("rehearsals"), daemon=False) as started:
        with Pressure(started.settings, 20, 3):
            time.sleep(5)
        yield started


def pay(layer: SpeedLayer, name: str, *, status: str = "status", more: str = "", values: str = "") -> None:
    with layer.statements("primary") as run:
        run(_INSERT.format(name=name, status=status, more=more, values=values))


def assert_whole(layer: SpeedLayer, places: tuple[str, ...] = (_PAYMENTS, ANALYTICS_TRANSACTIONS, *STORES)) -> None:
    verdicts = [*settled(layer.settings, _SETTLE), *layer.stores(_SETTLE)]
    assert [str(verdict) for verdict in verdicts if verdict.place in places and verdict.kinds] == []


def verdict_of(layer: SpeedLayer, place: str, seconds: float) -> Verdict:
    return next(verdict for verdict in settled(layer.settings, seconds) if verdict.place == place)


def told(layer: SpeedLayer, name: str) -> list[str]:
    """Values of a topic, as text."""
    return [(message.value() or b"").decode() for message in read_whole(layer.settings.kafka_servers(), [name])]


def reasons(layer: SpeedLayer) -> set[str]:
    """Why payments' changes were refused."""
    letters = read_whole(layer.settings.kafka_servers(), [dead_letters(_PAYMENTS)])
    return {cast("bytes", dict(letter.headers() or [])["reason"]).decode() for letter in letters}


def command(layer: SpeedLayer, *arguments: str, **variables: str) -> str:
    environment = {**layer.environment, **variables}
    done = subprocess.run([PAYMENTS, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.row("E1", "S7")
def test_workers_wait_for_a_broker_that_is_away_say_so_and_go_on(layer: SpeedLayer) -> None:
    supervisor = sites.supervisor_of(layer.site)
    workers = ("processor", "sink-mongodb", "sink-elasticsearch", "sink-lake")
    before = {name: supervisor.states()[name].pid for name in workers}
    sizes = {name: layer.home.log_of(name).stat().st_size for name in workers}
    with Pressure(layer.settings, 20, 4):
        # A store that is away too: its sink is paused when its group loses it, and must not stay so.
        supervisor.stop(["mongodb"])
        time.sleep(5)
        supervisor.stop(["kafka"])
        time.sleep(20)
        supervisor.start("kafka")
        time.sleep(5)
        supervisor.start("mongodb")
    assert {name: supervisor.states()[name].pid for name in workers} == before
    for name in workers:
        said = layer.home.log_of(name).read_text()[sizes[name] :]
        assert "Traceback" not in said
        assert re.search(r"away|unreachable|refused|does not answer|brokers? (is|are) down", said), name
    assert_whole(layer)


@pytest.mark.row("E2", "S8")
def test_a_payment_larger_than_kafkas_own_limit_arrives_in_every_topic(layer: SpeedLayer) -> None:
    """One such payment stopped the capture of all of them."""
    text = "(SELECT string_agg(md5(i::text || random()::text), '') FROM generate_series(1, 60000) i)"
    with layer.statements("primary") as run:
        statement = _INSERT.format(name="large", status="status", more=", description", values=f", {text}")
        run(statement.replace("generate_series(1, 20)", "generate_series(1, 2)"))
        assert run("SELECT octet_length(description) FROM oltp.transactions WHERE transaction_id = 'txn_large_1'") == [
            (1_920_000,)
        ]
    pay(layer, "behind_large")
    assert_whole(layer, (_PAYMENTS, ANALYTICS_TRANSACTIONS, "lake"))


@pytest.mark.row("X14")
def test_a_table_that_is_published_and_unknown_is_left_alone(layer: SpeedLayer) -> None:
    with layer.statements("primary") as run:
        run("CREATE TABLE oltp.strangers (id int PRIMARY KEY, note text)")
        run("ALTER PUBLICATION payments_changes ADD TABLE oltp.strangers")
        try:
            run("INSERT INTO oltp.strangers VALUES (1, 'x')")
            pay(layer, "beside_strangers")
            assert_whole(layer)
        finally:
            run("DROP TABLE oltp.strangers")


@pytest.mark.row("X14")
def test_a_column_added_is_told_and_changes_nothing(layer: SpeedLayer) -> None:
    with layer.statements("primary") as run:
        run("ALTER TABLE oltp.transactions ADD COLUMN channel text DEFAULT 'web'")
        try:
            pay(layer, "added")
            assert_whole(layer)
            assert any('"channel"' in text and "unknown column" in text for text in told(layer, OPS_METRICS))
        finally:
            run("ALTER TABLE oltp.transactions DROP COLUMN channel")


@pytest.mark.row("X14")
def test_an_integer_widened_within_what_json_writes_alike_changes_nothing(layer: SpeedLayer) -> None:
    with layer.statements("primary") as run:
        run("ALTER TABLE oltp.transactions ALTER COLUMN version TYPE bigint")
        try:
            pay(layer, "bigger")
            assert_whole(layer)
        finally:
            run("ALTER TABLE oltp.transactions ALTER COLUMN version TYPE integer")


@pytest.mark.row("X14", "S8", "E2")
@pytest.mark.parametrize("change", ["dropped", "renamed", "widened"])
def test_a_column_that_the_contract_no_longer_finds_is_refused_and_healed_by_a_repair(
    layer: SpeedLayer, change: str
) -> None:
    """Read as null, it would reach every store as null, and no later delivery of the same version could mend it."""
    with layer.statements("primary") as run:
        trigger = run("SELECT pg_get_functiondef('oltp.record_transactions'::regproc)")[0][0]
        column = {"dropped": "country_code", "renamed": "status", "widened": "captured_minor"}[change]
        try:
            if change == "dropped":
                # What a column held is gone with it at the source; one that holds nothing can be brought back.
                run(re.sub(rf",\s*([no]\.)?{column}\b", "", trigger))
                run(f"ALTER TABLE oltp.transactions DROP COLUMN {column}")
            elif change == "renamed":
                run(re.sub(rf"\b([no])\.{column}\b", r"\1.state", trigger))
                run(f"ALTER TABLE oltp.transactions RENAME COLUMN {column} TO state")
            else:
                run(f"ALTER TABLE oltp.transactions ALTER COLUMN {column} TYPE numeric(20, 0)")
            pay(layer, change, status="state" if change == "renamed" else "status")
            _await_letters(layer, column, change)
            lacking = verdict_of(layer, ANALYTICS_TRANSACTIONS, 0)
            assert lacking.kinds.get("missing") == 20
        finally:
            if change == "dropped":
                run(f"ALTER TABLE oltp.transactions ADD COLUMN {column} text")
            elif change == "renamed":
                run(f"ALTER TABLE oltp.transactions RENAME COLUMN state TO {column}")
            else:
                run(f"ALTER TABLE oltp.transactions ALTER COLUMN {column} TYPE bigint")
            run(trigger)
    command(layer, "capture", "repair", "transactions")
    deadline = time.monotonic() + _SETTLE
    while (found := verdict_of(layer, ANALYTICS_TRANSACTIONS, 0)).kinds.get("missing") and time.monotonic() < deadline:
        time.sleep(2)
    assert "missing" not in found.kinds
    assert [verdict for verdict in layer.stores(60) if "missing" in verdict.kinds] == []


def _await_letters(layer: SpeedLayer, column: str, change: str) -> None:
    wanted = "not of its type" if change == "widened" else f"no column {column}"
    deadline = time.monotonic() + 60
    while not any(wanted in reason for reason in reasons(layer)):
        assert time.monotonic() < deadline, reasons(layer)
        time.sleep(1)
    assert any(f'"{column}"' in text and '"drift"' in text for text in told(layer, OPS_METRICS))


@pytest.mark.row("S6", "E2")
def test_a_change_beyond_the_largest_stops_capture_says_so_and_passes_once_the_limit_is_raised(
    layer: SpeedLayer,
) -> None:
    """What follows from it is larger than a message may be: a dead letter, and all other payments go on."""
    pieces = LARGEST_CHANGE // 32 + 1_000
    text = f"(SELECT string_agg(md5(i::text || random()::text), '') FROM generate_series(1, {pieces}) i)"
    with layer.statements("primary") as run:
        statement = _INSERT.format(name="huge", status="status", more=", description", values=f", {text}")
        run(statement.replace("generate_series(1, 20)", "generate_series(1, 1)"))
    deadline = time.monotonic() + 120
    while not any("capture_down" in text and "RecordTooLarge" in text for text in told(layer, OPS_METRICS)):
        assert time.monotonic() < deadline, "nobody was told"
        time.sleep(2)
    pay(layer, "behind_the_huge_one")
    command(layer, "capture", "apply", PAYMENTS_LARGEST_CHANGE_MIB="16")
    assert_whole(layer, STORES)
    assert any("larger than" in reason for reason in reasons(layer))


@pytest.mark.row("S8", "E3", "X17")
def test_ten_thousand_poisoned_changes_beside_payments_all_end_and_no_store_differs(layer: SpeedLayer) -> None:
    """The processor's own input. After it the topic holds what was never committed, so it comes last of all."""
    classes, count = len(CLASSES), 10_000
    before = waiting_letters(layer)
    writer = kafka.producer(layer.settings.kafka_servers())
    with Pressure(layer.settings, 40, 11) as pressure:
        for number in range(count):
            key, value = poison(CLASSES[number % classes], number)
            writer.produce(_PAYMENTS, key=key, value=value)
            if number % 100 == 99:
                writer.poll(0)
                time.sleep(0.2)
        assert writer.flush(30) == 0
    assert pressure.transactions > 0
    assert_whole(layer, STORES)
    until_true(lambda: waiting_letters(layer) == before + count, f"not all of {count} are letters")
    command(layer, "dlq", "discard", "--all", "--why", "poisoned by a rehearsal")
    assert waiting_letters(layer) == 0


def waiting_letters(layer: SpeedLayer) -> int:
    """Letters of payments' changes that nobody has decided about."""
    return waiting(read_ledger(layer.settings.kafka_servers(), [dead_letters(_PAYMENTS)])).height
