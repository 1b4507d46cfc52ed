"""What Dagster sees of topics, stores and dead letters: where each stands, told when it moves.

Belongs here: the sensors and checks of observed assets, with a broker and stores that answer or are away. Does not:
windows (test_stream_windows), real servers (integration).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from payments_platform.contracts.dead_letters import LETTER_ID
from payments_platform.definitions import defs
from payments_platform.defs._platform.streams import Position
from payments_platform.defs.stream_sensors import dead_letter_watch, stream_positions
from payments_platform.defs.streams.changes import changes_guarded
from payments_platform.operations.alerts.stream_sources import of_dead_letters
from payments_platform.streaming.capture.facts import Finding
from payments_platform.streaming.dead_letter_ledger import ENDS, STATE, ledger
from payments_platform.streaming.dead_letter_watch import OPEN_LIMIT, TOO_MANY
from payments_platform.streaming.dead_letters import LETTERS

OBSERVED = {
    "documents/transaction_logs", "operations/dead_letters", "search/transactions", "streams/changes",
    "streams/transactions",
}  # fmt: skip


def letters(count: int, failed_at: datetime, ended: bool = False) -> pl.DataFrame:
    """A ledger of letters of one topic, each of a key of its own."""
    row = {
        "consumer": "processor", "source_topic": "oltp.transactions", "source_partition": 0, "source_at": failed_at,
        "fault": "type", "refusal": "amount", "attempt": 1, "failed_at": failed_at, "left_out_bytes": 0,
        "letter_topic": "oltp.transactions.dlq", "letter_partition": 0, "value": b"{}",
    }  # fmt: skip
    rows = [{**row, "source_offset": n, "letter_offset": n, "key": b"%d" % n} for n in range(count)]
    end = {STATE: "expired", "ended_at": datetime.now(UTC), "ended_by": "sweep", "end_reason": "late", "attempts": 1}
    ends = [{name: {**it, **end}.get(name) for name in ENDS} for it in rows] if ended else []
    assert set(LETTER_ID) <= set(ENDS)
    return ledger(pl.DataFrame(rows, schema=LETTERS), pl.DataFrame(ends, schema=ENDS))


class FakeStreams:
    """Systems that answer, but for those named as away."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.count = 5
        self.letters = letters(0, datetime.now(UTC))
        self.findings: list[Finding] = []
        self.sweeps = 0
        self.unread: dict[str, int] = {}
        self.beat_at: datetime | None = datetime.now(UTC)
        self.end = 1000
        self.started = True

    def ends(self, topic: str) -> Mapping[str, int]:
        return {f"{topic}-0": self.end}

    def consumed(self, group: str) -> Position:
        return Position({"analytics.transactions-0": 990} if self.started else {}, 10, self.unread.get(group, 9))

    def captured_until(self) -> datetime | None:
        return self.beat_at

    def documents(self) -> int:
        if "mongodb" in self.away:
            raise ConnectionError("mongodb is away")
        return self.count

    def searchable(self) -> int:
        return self.count

    def dead_letters(self) -> pl.DataFrame:
        if "kafka" in self.away:
            raise ConnectionError("kafka is away")
        return self.letters

    def expire_letters(self, now: datetime) -> pl.DataFrame:
        self.sweeps += 1
        return self.dead_letters()

    def capture_findings(self) -> list[Finding]:
        return self.findings


def tick(sensor: dg.SensorDefinition, streams: FakeStreams, cursor: str | None = None) -> Any:  # noqa: ANN401 - not public
    """One evaluation of a sensor."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"streams": streams}, repository_def=defs.get_repository_def()
        )
        return sensor.evaluate_tick(context)


@pytest.mark.row("C6", "C4")
def test_what_moved_is_observed_with_its_position_lag_and_count() -> None:
    streams = FakeStreams()
    first = tick(stream_positions, streams)
    seen = {event.asset_key.to_user_string(): event.metadata for event in first.asset_events}
    assert set(seen) == OBSERVED
    logs = seen["documents/transaction_logs"]
    assert (logs["lag"].value, logs["dagster/row_count"].value) == (10, 5)
    assert logs["positions"].value == {"analytics.transactions-0": 990}
    assert tick(stream_positions, streams, first.cursor).asset_events == []
    streams.count = 6
    again = tick(stream_positions, streams, first.cursor)
    assert {event.asset_key.to_user_string() for event in again.asset_events} == {
        "documents/transaction_logs", "search/transactions",
    }  # fmt: skip


GROUPS = ("processor", "sink-mongodb", "sink-elasticsearch", "sink-lake")
STREAMS = {
    "documents/transaction_logs", "raw/transactions_stream", "search/transactions", "streams/changes",
    "streams/transactions",
}  # fmt: skip


def told_again(streams: FakeStreams, minutes: float = 3) -> set[str]:
    """What is observed so long after everything was, when nothing moved."""
    first = tick(stream_positions, streams)
    cursor = json.loads(first.cursor)
    cursor["still_at"] = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    found = tick(stream_positions, streams, json.dumps(cursor))
    return {event.asset_key.to_user_string() for event in found.asset_events or []}


@pytest.mark.row("X4")
def test_a_stream_without_traffic_is_seen_again_before_it_looks_old() -> None:
    """Nobody pays at night, and a person who is paged for it stops reading pages."""
    streams = FakeStreams()
    streams.unread = dict.fromkeys(GROUPS, 0)
    assert told_again(streams) == STREAMS
    assert told_again(streams, minutes=1) == set()


@pytest.mark.row("X4")
def test_a_stream_that_nothing_ever_came_to_is_seen_again_too() -> None:
    streams = FakeStreams()
    streams.unread, streams.started, streams.end = dict.fromkeys(GROUPS, 0), False, 0
    assert told_again(streams) == STREAMS


@pytest.mark.row("X4")
@pytest.mark.parametrize(
    "fault, wanted",
    [
        ("the heartbeat is a minute old", set()),
        ("no heartbeat", set()),
        ("processor is behind", set()),
        ("sink-mongodb is behind", STREAMS - {"documents/transaction_logs"}),
        ("sink-lake is behind", STREAMS - {"raw/transactions_stream"}),
        ("mongodb is away", STREAMS - {"documents/transaction_logs"}),
        ("nobody ever read", set()),
    ],
)
def test_a_stream_that_stands_still_grows_old(fault: str, wanted: set[str]) -> None:
    """Silence is only peace where it is known that nothing waits: at the source, on the topics, before the stores."""
    streams = FakeStreams()
    streams.unread = dict.fromkeys(GROUPS, 0)
    who, _, what = fault.partition(" is ")
    match who, what:
        case "the heartbeat", _:
            streams.beat_at = datetime.now(UTC) - timedelta(seconds=61)
        case "no heartbeat", _:
            streams.beat_at = None
        case "nobody ever read", _:
            streams.started = False
        case _, "behind":
            streams.unread[who] = 1
        case _:
            streams.away = {who}
    assert told_again(streams) == wanted


@pytest.mark.row("C6")
def test_a_store_that_is_away_hides_no_other() -> None:
    streams = FakeStreams()
    streams.away = {"mongodb"}
    seen = {event.asset_key.to_user_string() for event in tick(stream_positions, streams).asset_events}
    assert seen == OBSERVED - {"documents/transaction_logs"}


def verdicts(data: Any) -> list[tuple[str, bool]]:  # noqa: ANN401 - not public
    """What a tick said of the check."""
    return [(event.check_name, event.passed) for event in data.asset_events or []]


@pytest.mark.row("S8")
@pytest.mark.parametrize("count, is_wrong", [(OPEN_LIMIT, False), (OPEN_LIMIT + 1, True)])
def test_more_than_a_thousand_open_letters_fail_the_check_once_and_are_told_by_the_alert_engine_alone(
    count: int, is_wrong: bool
) -> None:
    """Two tellers of one alert page a person twice, and close it at two times."""
    streams = FakeStreams()
    streams.letters = letters(count, datetime.now(UTC))
    first = tick(dead_letter_watch, streams)
    assert verdicts(first) == ([("watched", False)] if is_wrong else [])
    broken = {it.rule for it in of_dead_letters(streams.letters, datetime.now(UTC)) if it.value >= OPEN_LIMIT + 1}
    assert broken == ({TOO_MANY} if is_wrong else set())
    if is_wrong:
        assert verdicts(tick(dead_letter_watch, streams, first.cursor)) == []
        streams.letters = letters(0, datetime.now(UTC))
        assert verdicts(tick(dead_letter_watch, streams, first.cursor)) == [("watched", True)]


@pytest.mark.row("S8")
@pytest.mark.parametrize(
    "age, ended, said", [(timedelta(days=9), False, ""), (timedelta(days=11), False, "1 dead letters will be removed"),
                         (timedelta(days=13), True, "1 expired since yesterday")]
)  # fmt: skip
def test_letters_that_nobody_decides_about_fail_the_check_before_and_after(
    age: timedelta, ended: bool, said: str
) -> None:
    streams = FakeStreams()
    streams.letters = letters(1, datetime.now(UTC) - age, ended)
    found = tick(dead_letter_watch, streams)
    assert verdicts(found) == ([("watched", False)] if said else [])
    assert said in str([event.description for event in found.asset_events or []])


@pytest.mark.row("S8")
def test_letters_are_ended_with_each_look() -> None:
    """Kafka removes old messages without a word: who ends none before leaves a letter without an end."""
    streams = FakeStreams()
    tick(dead_letter_watch, streams)
    tick(dead_letter_watch, streams, "[]")
    assert streams.sweeps == 2


@pytest.mark.row("S8")
def test_a_broker_that_is_away_changes_no_verdict() -> None:
    """A check that passes since nobody can be asked is the worst moment to fall silent."""
    streams = FakeStreams()
    streams.away = {"kafka"}
    data = tick(dead_letter_watch, streams, json.dumps([TOO_MANY]))
    assert "kafka is away" in data.skip_message
    assert verdicts(data) == []


@pytest.mark.row("C5")
def test_every_observed_asset_has_a_check_that_asks_its_system() -> None:
    checks = [check for check in defs.asset_checks or () if check.op.name.endswith(("_readable", "_watched"))]
    chosen = [it for it in checks if {key.asset_key.to_user_string() for key in it.check_keys} <= OBSERVED]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            chosen, resources={"streams": FakeStreams()}, instance=instance, raise_on_error=False,
            selection=dg.AssetSelection.checks(*(key for check in chosen for key in check.check_keys)),
        )  # fmt: skip
    found = {check.asset_key.to_user_string(): check.passed for check in result.get_asset_check_evaluations()}
    assert found == dict.fromkeys(OBSERVED, True)


@pytest.mark.row("S6")
@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_what_the_guardian_finds_is_a_check_of_the_change_topics(severity: Any) -> None:  # noqa: ANN401 - a literal
    streams = FakeStreams()
    streams.findings = [Finding("capture_down", severity, "no task runs")]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [changes_guarded], resources={"streams": streams}, instance=instance, raise_on_error=False,
            selection=dg.AssetSelection.checks(*changes_guarded.check_keys),
        )  # fmt: skip
    (found,) = result.get_asset_check_evaluations()
    assert not found.passed
    assert found.severity.value == {"warning": "WARN", "critical": "ERROR"}[severity]
    assert "capture_down: no task runs" in str(found.description)
