"""Change capture on the running stack: whole, once, in order, through kills, gaps and open transactions."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import NewTopic

from assets_tests.conftest import PROJECT, Stack, empty
from assets_tests.integration.captured import (
    Record,
    await_captured,
    committed,
    ends,
    next_xid,
    records,
)
from payments_platform.clients.kafka import admin
from payments_platform.clients.postgres import connect
from payments_platform.contracts.streams import CAPTURED_TABLES
from payments_platform.local import sites, statuses
from payments_platform.local.home import Home
from payments_platform.local.servers.postgres import superuser
from payments_platform.settings import Settings
from payments_platform.streaming.capture.apply import apply, remove
from payments_platform.streaming.capture.build import capture_of, places_of
from payments_platform.streaming.capture.connector import SLOT
from payments_platform.streaming.capture.control import Capture, CaptureGap, EpochDiffers, drop_slot, run, stop
from payments_platform.streaming.capture.judge import GAP, INCOMPLETE, NOT_COPIED, judge
from payments_platform.streaming.capture.observe import observe
from payments_platform.streaming.capture.repair import next_epoch, raise_epoch, repair
from payments_platform.streaming.capture.watch import Guardian

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def payments(settings: Settings, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start the platform's own command beside the test."""
    program = Path(sys.executable).parent / "payments"
    environment = {**os.environ, "PAYMENTS_HOME": str(settings.home), "PAYMENTS_ENVIRONMENT": "test"}
    return subprocess.Popen(
        [str(program), *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def first(stream_stack: Stack) -> Iterator[tuple[Capture, list[Record]]]:
    """Capture applied to a source that has rows already, and what its first snapshot delivered."""
    empty(stream_stack)
    settings = stream_stack.settings
    capture = capture_of(settings)
    # Whatever a test before left of capture points at a database that is no more.
    remove(capture)
    begun = ends(settings)
    assert payments(settings, "simulate", "--days", "1", "--per-day", "300").wait(60) == 0
    applied = apply(capture)
    assert applied.made_slot
    await_captured(settings, next_xid(settings))
    yield capture, records(settings, begun)
    remove(capture)


@pytest.fixture
def capture(first: tuple[Capture, list[Record]]) -> Capture:
    """Capture, running."""
    run(first[0])
    return first[0]


@pytest.fixture
def settings(stream_stack: Stack) -> Settings:
    return stream_stack.settings


@pytest.fixture
def app(settings: Settings) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """The application; each statement is its own transaction."""
    with connect(settings.postgres("primary", "app"), autocommit=True, name="tests") as session:
        yield session


def some(session: "psycopg.Connection[tuple[object, ...]]", table: str, key: str) -> str:
    row = session.execute(f"SELECT min({key}) FROM oltp.{table}").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.row("S1")
def test_rows_that_were_there_before_are_delivered_once(
    first: tuple[Capture, list[Record]], settings: Settings
) -> None:
    """A first load that misses rows leaves payments without their customers for ever."""
    snapshot = [record for record in first[1] if record.value is not None]
    for table in CAPTURED_TABLES:
        delivered = Counter(record.position for record in snapshot if record.table == table)
        history = committed(settings, table)
        latest: dict[str, tuple[int, bool]] = {}
        for key, version, gone in history:
            latest[key] = max(latest.get(key, (0, False)), (version, gone))
        assert delivered == Counter((key, v, False) for key, (v, gone) in latest.items() if not gone), table


@pytest.mark.row("S1")
def test_a_change_has_the_declared_envelope_and_loses_no_digit(
    capture: Capture, settings: Settings, app: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """A rounded amount or a cut microsecond would differ from the batch layer's for ever."""
    since, moment = ends(settings), "2026-01-02 03:04:05.678901+00"
    long = "x" * 9000
    app.execute(
        "INSERT INTO oltp.transactions (transaction_id, created_at, amount, amount_minor, currency, metadata)"
        " VALUES ('txn_é', %s, 1234567890123456.7890, 9007199254740993, 'USD', %s)",
        (moment, f'{{"long": "{long}", "n": 12345678901234567890.12345}}'),
    )
    app.execute("UPDATE oltp.transactions SET status = 'succeeded' WHERE transaction_id = 'txn_é'")
    app.execute("DELETE FROM oltp.transactions WHERE transaction_id = 'txn_é'")
    await_captured(settings, next_xid(settings))
    made, changed, gone, mark = records(settings, since, ["transactions"])
    assert made.value
    assert changed.value
    assert gone.value
    assert [made.value["op"], changed.value["op"], gone.value["op"], mark.value] == ["c", "u", "d", None]
    after = changed.value["after"]
    assert after["amount"] == "1234567890123456.7890"
    assert after["amount_minor"] == 9007199254740993
    assert after["created_at"] == "2026-01-02T03:04:05.678901Z"
    # Unchanged and stored out of line: the old row supplies it.
    assert long in after["metadata"]
    assert "12345678901234567890.12345" in after["metadata"]
    assert changed.value["before"]["version"] == 1
    assert after["version"] == 2
    assert (gone.value["before"]["version"], gone.value["after"]) == (2, None)
    source = changed.value["source"]
    assert (source["db"], source["schema"], source["table"]) == ("payments", "oltp", "transactions")
    assert isinstance(source["lsn"], int)
    assert isinstance(changed.value["ts_ms"], int)
    assert changed.value["epoch"] == "1"


def test_what_has_no_reader_outside_the_source_is_on_no_topic(first: tuple[Capture, list[Record]]) -> None:
    rows = [record.value["after"] for record in first[1] if record.value is not None]
    assert rows
    assert not any({"payment_method_token", "token_key_id", "full_name", "email"} & set(row) for row in rows)


@pytest.mark.row("S6")
@pytest.mark.row("Y2")
@pytest.mark.row("O9")
def test_a_killed_connector_loses_and_repeats_nothing(
    capture: Capture, stream_stack: Stack, settings: Settings
) -> None:
    """Small transactions and bulk loads go on while it is dead; each version arrives once, in the order of its key."""
    since, first_xid = ends(settings), next_xid(settings)
    live = payments(settings, "simulate", "--live", "--tps", "150", "--seconds", "12", "--seed", "7")
    bulk = payments(settings, "simulate", "--days", "2", "--per-day", "1500", "--seed", "8")
    time.sleep(4)
    (pid,) = [it.pid for it in statuses.status(Home(stream_stack.home)) if it.name == "connect"]
    java = [int(text) for text in _children(pid)] or [pid]
    for number in java:
        os.kill(number, signal.SIGKILL)
    assert live.wait(120) in {0, 1}
    assert bulk.wait(120) == 0
    await_captured(settings, next_xid(settings), seconds=120)
    streamed = [record for record in records(settings, since) if record.is_streamed]
    positions: dict[tuple[str, str], list[int]] = {}
    for record in streamed:
        positions.setdefault((record.table, record.key), []).append(record.position[1])
    assert all(versions == sorted(versions) for versions in positions.values())
    for table in CAPTURED_TABLES:
        arrived = Counter(record.position for record in streamed if record.table == table)
        truth = committed(settings, table, first_xid)
        assert not truth - arrived, f"{table}: lost"
        assert not arrived - truth, f"{table}: repeated or never committed"
        lsns = Counter(record.value["source"]["lsn"] for record in streamed if record.table == table and record.value)
        assert not [lsn for lsn, count in lsns.items() if count > 1], f"{table}: rows share a position in the log"


def _children(pid: int) -> list[str]:
    """The program below the one that drops its rights, if there is one."""
    import psutil

    return [str(child.pid) for child in psutil.Process(pid).children(recursive=True)]


@pytest.mark.row("X15")
def test_a_snapshot_over_an_open_transaction_never_hides_its_change(
    capture: Capture, settings: Settings, app: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """The stale row is read while its change is open, at a higher place in the log: only the version orders them."""
    merchant = some(app, "merchants", "merchant_id")
    since = ends(settings)
    with connect(settings.postgres("primary", "app"), name="tests open") as open_one:
        open_one.execute("UPDATE oltp.merchants SET name = 'opened' WHERE merchant_id = %s", (merchant,))
        repair(capture, ["merchants"])
    await_captured(settings, next_xid(settings))
    mine = [r.value for r in records(settings, since, ["merchants"]) if r.key == merchant and r.value]
    newest = max(mine, key=lambda value: value["after"]["version"])
    assert newest["after"]["name"] == "opened"
    assert newest["op"] == "u"
    assert min(value["after"]["version"] for value in mine) < newest["after"]["version"]


@pytest.mark.row("X15")
def test_a_dropped_slot_is_told_refused_and_repaired_whole(
    capture: Capture, settings: Settings, app: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """Current rows, the versions between and the deletes of the gap: whatever happened while nobody listened."""
    consent, merchant = some(app, "consents", "consent_id"), some(app, "merchants", "merchant_id")
    await_captured(settings, next_xid(settings))
    stop(capture)
    first_xid, since = next_xid(settings), ends(settings)
    with capture.session() as session:
        drop_slot(session)
    for name in ("one", "two", "three"):
        app.execute("UPDATE oltp.merchants SET name = %s WHERE merchant_id = %s", (name, merchant))
    app.execute("DELETE FROM oltp.consents WHERE consent_id = %s", (consent,))
    assert GAP in {finding.name for finding in judge(observe(places_of(settings)))}
    with pytest.raises(CaptureGap, match="payments capture repair"):
        apply(capture)
    begun = time.monotonic()
    repaired = repair(capture)
    print(f"gap of a dropped slot closed in {time.monotonic() - begun:.1f} s: {sum(repaired.rows.values())} rows")  # noqa: T201  # RTO, for the report
    assert repaired.made_slot
    delivered = records(settings, since)
    for table in CAPTURED_TABLES:
        arrived = {record.position for record in delivered if record.table == table and record.value}
        assert not set(committed(settings, table, first_xid)) - arrived, table
    assert [r.value for r in delivered if r.key == consent][-1] is None, "the delete's mark is missing"
    assert {f.name for f in judge(observe(places_of(settings)))} <= {NOT_COPIED}


@pytest.mark.row("X15")
def test_a_slot_moved_by_hand_is_found_although_the_connector_goes_on(
    capture: Capture, settings: Settings, app: "psycopg.Connection[tuple[object, ...]]", tmp_path: Path
) -> None:
    """The connector checks another of the slot's positions and says nothing; the guardian's heartbeats are missing."""
    merchant = some(app, "merchants", "merchant_id")
    guardian = Guardian(capture, places_of(settings), tmp_path / "capture.json", is_applied=True)
    guardian.look()
    await_captured(settings, next_xid(settings))
    first_xid, since = next_xid(settings), ends(settings)
    stop(capture)
    guardian._beat()
    app.execute("UPDATE oltp.merchants SET name = 'missed' WHERE merchant_id = %s", (merchant,))
    app.execute("UPDATE oltp.merchants SET name = 'missed too' WHERE merchant_id = %s", (merchant,))
    with capture.session() as session:
        session.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (SLOT,))
    run(capture)
    guardian._beat()
    await_captured(settings, next_xid(settings))
    assert GAP in {finding.name for finding in guardian.look()}
    # It stays known when nothing shows it any more, until the repair.
    assert any(snapshot.reason == "repair" for snapshot in observe(places_of(settings)).open_snapshots)
    repair(capture)
    arrived = {record.position for record in records(settings, since, ["merchants"]) if record.value}
    assert not set(committed(settings, "merchants", first_xid)) - arrived
    assert not observe(places_of(settings)).open_snapshots


@pytest.mark.row("S6")
@pytest.mark.row("E1")
def test_a_failed_task_is_restarted_by_the_guardian(
    capture: Capture, stream_stack: Stack, settings: Settings, tmp_path: Path
) -> None:
    """Three quick retries of its own, then somebody must: the connector stays down for good otherwise."""
    guardian = Guardian(capture, places_of(settings), tmp_path / "capture.json", is_applied=True)
    with _no_log_for(stream_stack, "payments_capture"):
        _until(lambda: "FAILED" in observe(places_of(settings)).tasks, 60)
        assert "capture_down" in {finding.name for finding in guardian.look()}
        assert guardian.restarts.attempts == 1
    _until(lambda: not any(finding.name == "capture_down" for finding in guardian.look()), 60)
    assert (tmp_path / "capture.json").is_file()


@contextmanager
def _no_log_for(stack: Stack, role: str) -> Iterator[None]:
    """The source lets a role read the log no more for a while, and ends the sessions that it has."""
    site = sites.known_site(Home(stack.home))
    assert site is not None
    with connect(superuser(site, "primary"), autocommit=True, name="tests") as session:
        session.execute(f"ALTER ROLE {role} NOREPLICATION")
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))
        try:
            yield
        finally:
            session.execute(f"ALTER ROLE {role} REPLICATION")


def test_applying_again_changes_nothing_and_another_epoch_is_refused(capture: Capture) -> None:
    again = apply(capture)
    assert (again.connector, again.made_slot, again.snapshot) == ("unchanged", False, {})
    assert (again.topics.created, again.topics.corrected, again.topics.differs) == ((), (), ())
    with pytest.raises(EpochDiffers, match="raise-epoch"):
        apply(replace(capture, epoch=2))


@pytest.mark.row("X15")
def test_a_table_is_added_as_the_guide_says_and_told_until_then(capture: Capture, settings: Settings) -> None:
    """A table that nobody captures is missed in silence; the guide's statements are run as they stand."""
    guide = (PROJECT / "docs" / "guides" / "add-a-table-to-capture.md").read_text(encoding="utf-8")
    create, publish = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    more = replace(capture, tables=(*capture.tables, "payouts"))
    owner, since = settings.postgres("primary", "owner"), ends(settings)
    with connect(owner, autocommit=True, name="tests") as session:
        session.execute(create)
        session.execute("INSERT INTO oltp.payouts (payout_id, status) VALUES ('p1', 'paid')")
    told = [finding.text for finding in judge(observe(places_of(settings))) if finding.name == INCOMPLETE]
    assert any("payouts are not in the publication" in text for text in told), told
    with connect(owner, autocommit=True, name="tests") as session:
        session.execute(publish)
    try:
        client = admin(capture.kafka)
        client.create_topics([NewTopic("oltp.payouts", 1, 1)])["oltp.payouts"].result(10)
        assert apply(more).connector == "changed"
        assert repair(more, ["payouts"]).rows["payouts"] == 1
        delivered = records(settings, since, ["payouts"])
        assert {record.position for record in delivered} == {("p1", 1, False)}
    finally:
        with connect(owner, autocommit=True, name="tests") as session:
            session.execute("DROP TABLE oltp.payouts, oltp.payouts_history")
        apply(capture)


@pytest.mark.row("X15")
def test_a_raised_epoch_delivers_every_row_and_takes_back_what_the_source_never_had(
    capture: Capture, settings: Settings, app: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """After a failover: rows and deletes under the new epoch, and a delete for a row that was lost with the primary.

    The lost row is removed behind the triggers' back, so that the source has neither it nor a mark of its deletion, as
    a promoted replica that never received it.
    """
    consent = some(app, "consents", "consent_id")
    app.execute("INSERT INTO oltp.merchants (merchant_id, name) VALUES ('mer_lost', 'lost with the primary')")
    await_captured(settings, next_xid(settings))
    stop(capture)
    with connect(settings.postgres("primary", "owner"), autocommit=True, name="tests") as session:
        for table in ("merchants", "merchants_history"):
            session.execute(f"ALTER TABLE oltp.{table} DISABLE TRIGGER USER")
            session.execute(f"DELETE FROM oltp.{table} WHERE merchant_id = 'mer_lost'")
            session.execute(f"ALTER TABLE oltp.{table} ENABLE TRIGGER USER")
        session.execute("ALTER TABLE oltp.merchants ENABLE ALWAYS TRIGGER stamp")
    with capture.session() as session:
        # What the lost log held of it was never on the new primary.
        drop_slot(session)
    app.execute("DELETE FROM oltp.consents WHERE consent_id = %s", (consent,))
    since, kept = ends(settings), list[int]()
    raised = replace(capture, epoch=next_epoch(capture))
    done = raise_epoch(raised, kept.append)
    assert (kept, raised.epoch, done.made_slot, done.phantoms) == ([2], 2, True, 1)
    delivered = [record for record in records(settings, since) if record.value is not None]
    assert {record.value["epoch"] for record in delivered if record.value} == {"2"}
    for table in CAPTURED_TABLES:
        latest: dict[str, tuple[int, bool]] = {}
        for key, version, gone in committed(settings, table):
            latest[key] = max(latest.get(key, (0, False)), (version, gone))
        arrived = {record.position for record in delivered if record.table == table}
        assert {(key, version, gone) for key, (version, gone) in latest.items()} <= arrived, table
    (taken_back,) = [record for record in delivered if record.key == "mer_lost"]
    assert taken_back.position == ("mer_lost", 0, True)
    with pytest.raises(EpochDiffers):
        apply(capture)


def _until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.5)
    pytest.fail("it did not come about in time")
