"""What the guardian of change capture finds wrong, and what it does about it: pure decisions."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assets_tests.conftest import PROJECT
from payments_platform.streaming.capture.alerts import Alert, changes
from payments_platform.streaming.capture.facts import (
    Ahead,
    CaptureFacts,
    Finding,
    Heartbeat,
    OpenSnapshot,
    Protection,
    Pulse,
    SlotFacts,
)
from payments_platform.streaming.capture.judge import ALERTS, judge
from payments_platform.streaming.capture.notices import _gaps
from payments_platform.streaming.capture.observe import _since, lsn_of
from payments_platform.streaming.capture.supervision import Restarts, supervise

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)
GIB = 2**30


def beat(number: int = 7, by: int = 1, age: float = 0.5) -> Heartbeat:
    made = NOW - timedelta(seconds=age)
    return Heartbeat(by, number, made, made + timedelta(seconds=0.1), f"{number}:{number}:", 1)


SLOT = SlotFacts("reserved", is_active=True, confirmed_lsn=900, retained_bytes=GIB // 4, safe_bytes=8 * GIB)
WELL = CaptureFacts(
    at=NOW, connector_epoch=1, connector="RUNNING", tasks=("RUNNING",), slot=SLOT, wal_lsn=1000, offset_lsn=950,
    heartbeat=beat(), wal_bytes_per_second=1e6, is_slot_copied=True,
)  # fmt: skip
FAILED = replace(WELL, tasks=("FAILED",), trace="boom\nCaused by: connection refused", down_since=NOW)


def found(facts: CaptureFacts) -> dict[str, str]:
    return {finding.name: finding.severity for finding in judge(facts)}


@pytest.mark.row("X15")
def test_capture_that_is_well_has_no_finding() -> None:
    assert judge(WELL) == []


@pytest.mark.row("X15")
@pytest.mark.parametrize(
    "facts, alert",
    [
        (replace(WELL, slot=None), "capture_gap"),
        (replace(WELL, slot=replace(SLOT, wal_status="lost")), "capture_gap"),
        (replace(WELL, ahead=Ahead(NOW - timedelta(seconds=60), 951)), "capture_gap"),
        (replace(WELL, before_gap=beat(5)), "capture_gap"),
        (replace(WELL, open_snapshots=(OpenSnapshot("r", "repair", NOW),)), "capture_gap"),
        (replace(WELL, offset_lsn=1001), "capture_source_rewound"),
        (replace(WELL, has_parted=True), "capture_source_rewound"),
        (replace(WELL, epoch=2), "capture_epoch_differs"),
        (replace(WELL, slot=replace(SLOT, retained_bytes=5 * GIB, safe_bytes=3 * GIB)), "capture_wal_filling"),
        (replace(WELL, slot=replace(SLOT, wal_status="unreserved", safe_bytes=0)), "capture_wal_filling"),
        (replace(WELL, slot=replace(SLOT, is_active=False), wal_bytes_per_second=1e7), "capture_wal_filling"),
        (replace(WELL, heartbeat=beat(age=90)), "capture_delayed"),
        (replace(WELL, protection=Protection(unpublished=("refunds",))), "capture_incomplete"),
        (replace(WELL, protection=Protection(keyless=("refunds",))), "capture_incomplete"),
        (replace(WELL, protection=Protection(not_full=("oltp.transactions_p202601",))), "capture_incomplete"),
        (replace(WELL, protection=Protection(hidden=("refunds",))), "capture_incomplete"),
        (replace(FAILED, down_since=NOW - timedelta(minutes=5)), "capture_down"),
        (
            replace(WELL, unreachable={"kafka": "refused"}, down_since=NOW - timedelta(minutes=6)),
            "capture_down",
        ),
    ],
)
def test_what_loses_or_will_lose_changes_is_critical(facts: CaptureFacts, alert: str) -> None:
    """Each of these is silent in the connector or in the server; unnoticed, it is lost money in every store."""
    assert found(facts) == {alert: "critical"}


@pytest.mark.parametrize(
    "facts, alert",
    [
        (FAILED, "capture_down"),
        (replace(WELL, connector="PAUSED", tasks=("PAUSED",), down_since=NOW - timedelta(hours=1)), "capture_down"),
        (replace(WELL, heartbeat=beat(age=15)), "capture_delayed"),
        (replace(WELL, slot=replace(SLOT, retained_bytes=3 * GIB, safe_bytes=5 * GIB)), "capture_wal_filling"),
        (
            replace(WELL, open_snapshots=(OpenSnapshot("i", "initial", NOW - timedelta(hours=1)),)),
            "capture_snapshot_open",
        ),
        (replace(WELL, is_slot_copied=False), "capture_slot_not_copied"),
        (replace(WELL, topics_differ=("oltp.refunds has 1 partitions, not 4",)), "capture_topics_differ"),
    ],
)
def test_what_is_not_yet_a_loss_warns(facts: CaptureFacts, alert: str) -> None:
    assert found(facts) == {alert: "warning"}


def test_a_slot_that_its_reader_has_moved_is_no_gap_while_the_stored_position_follows() -> None:
    """The broker shows a stored position late when it is short of time; each look finds the slot ahead of another."""
    looks, before = [(951, 900), (990, 960), (1000, 995), (1010, 1010)], None
    for number, (confirmed, offset) in enumerate(looks):
        seen = replace(WELL, at=NOW + timedelta(seconds=20 * number), heartbeat=None, wal_lsn=2000)
        before = _since(replace(seen, slot=replace(SLOT, confirmed_lsn=confirmed), offset_lsn=offset), before)
        assert found(before) == {}
    assert before is not None
    assert before.ahead is None


def test_a_change_of_a_long_transaction_does_not_set_the_stored_position_back() -> None:
    """As it was stored while a load of 60 000 payments was read, which had begun 51 MB of log before its commit."""
    stored = {"lsn": 485_516_352, "lsn_proc": 485_516_352, "lsn_commit": 536_699_928, "txId": 40675}
    assert lsn_of(stored) == 536_699_928
    assert lsn_of({"lsn": 508_057_064, "lsn_commit": 506_956_504}) == 508_057_064
    assert lsn_of({"lsn": 7, "lsn_commit": None}) == lsn_of({"lsn": 7}) == 7
    assert lsn_of({}) is lsn_of(None) is None


def test_a_slot_that_is_ahead_while_nobody_reads_is_a_gap_at_once_and_not_while_a_reader_reconnects() -> None:
    ahead = replace(WELL, slot=replace(SLOT, is_active=False), ahead=Ahead(NOW, 951))
    assert found(ahead) == {}
    stopped = replace(ahead, connector="STOPPED", tasks=(), heartbeat=None)
    assert found(stopped) == {"capture_gap": "critical", "capture_down": "warning"}


def test_a_position_that_does_not_reach_the_slot_is_a_gap_after_a_minute() -> None:
    """One that cannot be asked meanwhile starts no new wait."""
    ahead = replace(WELL, slot=replace(SLOT, confirmed_lsn=990), heartbeat=None)
    first = _since(ahead, None)
    away = _since(
        replace(ahead, at=NOW + timedelta(seconds=20), offset_lsn=None, unreachable={"connect": "away"}), first
    )
    assert found(first) == {}
    assert found(_since(replace(ahead, at=NOW + timedelta(seconds=59), offset_lsn=980), away)) == {}
    late = _since(replace(ahead, at=NOW + timedelta(seconds=60), offset_lsn=980), away)
    assert found(late) == {"capture_gap": "critical"}


@pytest.mark.row("S6")
def test_down_pages_at_five_minutes_and_not_before() -> None:
    almost = replace(FAILED, down_since=NOW - timedelta(minutes=4, seconds=59))
    assert found(almost) == {"capture_down": "warning"}
    assert found(replace(FAILED, down_since=NOW - timedelta(minutes=5))) == {"capture_down": "critical"}


def test_a_source_that_cannot_be_asked_is_no_gap() -> None:
    """Every restart of the source would page for a repair that is not needed."""
    away = replace(WELL, slot=None, wal_lsn=None, unreachable={"source": "refused"}, down_since=NOW)
    assert found(away) == {"capture_down": "warning"}


def test_a_missing_number_is_a_gap_whoever_beat_meanwhile() -> None:
    beats = [beat(4), beat(10, by=2), beat(5), beat(11, by=2), beat(6), beat(13, by=2), beat(7)]
    assert _gaps(beats) == ((beats[4], beats[5]),)
    assert _gaps([*beats[:5], beat(12, by=2)]) == ()


def test_a_gap_that_a_later_repair_closed_is_no_finding_any_more() -> None:
    """It can be seen on the topic for a minute more, and would be put on record again."""
    first, second = (beat(4, age=9), beat(6, age=8)), (beat(7, age=3), beat(9, age=2))
    pulse = Pulse(beat(10), (first, second))
    assert pulse.open_gap(None) == first[0]
    assert pulse.open_gap(NOW - timedelta(seconds=5)) == second[0]
    assert pulse.open_gap(NOW) is None


@pytest.mark.row("S6")
@pytest.mark.row("E1")
def test_failed_tasks_are_restarted_at_once_then_with_growing_pauses() -> None:
    state, at = Restarts(), NOW
    waits: list[float] = []
    for _ in range(9):
        state, restart = supervise(state, replace(FAILED, at=at), judge(FAILED))
        assert restart
        due = state.due_at
        assert due is not None
        state, again = supervise(state, replace(FAILED, at=due - timedelta(seconds=0.1)), [])
        assert not again
        waits.append((due - at).total_seconds())
        at = due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.row("S6")
def test_a_task_that_ran_for_a_minute_starts_its_count_anew() -> None:
    state, _ = supervise(Restarts(attempts=5), replace(WELL, at=NOW), [])
    state, _ = supervise(state, replace(WELL, at=NOW + timedelta(seconds=59)), [])
    assert state.attempts == 5
    state, _ = supervise(state, replace(WELL, at=NOW + timedelta(seconds=60)), [])
    assert state.attempts == 0


@pytest.mark.row("X15")
def test_a_gap_is_never_restarted_into() -> None:
    """The connector could go on behind the gap as if nothing had been missed."""
    gap = replace(FAILED, slot=None)
    assert supervise(Restarts(), gap, judge(gap))[1] is False


def test_an_alert_is_told_when_it_opens_worsens_and_closes_and_never_twice() -> None:
    warning, critical = Finding("capture_down", "warning", "w"), Finding("capture_down", "critical", "c")
    told = []
    alerts: tuple[Alert, ...] = ()
    since = NOW
    for minute, findings in enumerate([[warning], [warning], [critical], [critical], []]):
        alerts, events = changes(alerts, findings, NOW + timedelta(minutes=minute))
        told.append([(event["state"], event["severity"]) for event in events])
        assert all(event["since"] == since.isoformat() for event in events)
    assert told == [[("open", "warning")], [], [("open", "critical")], [], [("closed", "critical")]]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_runbook_that_the_index_names(alert: str) -> None:
    """A person who is woken must find what to do."""
    page = PROJECT / "docs" / "runbooks" / f"{alert}.md"
    text = page.read_text(encoding="utf-8")
    for heading in ("## What it means", "## Look", "## Mend", "## Mended when"):
        assert heading in text, f"{page.name} lacks {heading}"
    index = (PROJECT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\({alert}\.md\)", index), f"the index of the runbooks does not name {alert}"
