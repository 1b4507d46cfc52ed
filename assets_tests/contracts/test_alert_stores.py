"""Every store of alerts keeps the same promises: state and messages together, in order, over a restart.

Belongs here: what the evaluation relies on, held against the fake, the file and the platform's PostgreSQL.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from assets_tests.conftest import Stack
from assets_tests.fakes.alerting import FakeChannel, MemoryStore
from payments_platform.clients.postgres import connect
from payments_platform.operations.alerts.engine import Channel
from payments_platform.operations.alerts.evaluation import Alerting, evaluate
from payments_platform.operations.alerts.file_store import FileStore
from payments_platform.operations.alerts.messages import Line, Message
from payments_platform.operations.alerts.outbox import Sender
from payments_platform.operations.alerts.state import Alert, Breach, Group, Memory, Observation
from payments_platform.operations.alerts.store import KEPT, PostgresStore, Store

NOW = datetime(2026, 3, 1, 6, 0, 5, 123456, tzinfo=UTC)
ALERT = Alert(
    "mart_late", "marts/x", 3.5, "2 % <late> 'x' é", "analytics", "marts/x", NOW, NOW,
    {"critical": Breach(NOW, 1.0, ((NOW, 2.5), (NOW + timedelta(seconds=30), 1.5)))},
    "critical", "raw 2026-02-28", NOW, NOW + timedelta(minutes=1),
)  # fmt: skip
MEMORY = Memory(
    {"mart_late:marts/x": ALERT},
    {"raw 2026-02-28": Group("raw 2026-02-28", "20260301T060005", NOW, "critical", ("pagerduty", "slack"))},
    {"mart_late:marts/x": (NOW,)},
    {"runs": NOW},
    NOW,
    NOW.date(),
)
Open = Callable[[], Store]


@pytest.fixture(params=["memory", "file", pytest.param("postgres", marks=pytest.mark.integration)])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same store anew, as a process that starts does."""
    match request.param:
        case "memory":
            store = MemoryStore()
            yield lambda: store
        case "file":
            yield lambda: FileStore(tmp_path / "run" / "alerts-watch.json")
        case _:
            stack: Stack = request.getfixturevalue("stack")
            address = stack.settings.postgres("platform", "dagster")
            connections = [connect(address, autocommit=True, name="tests")]
            connections[0].execute("DROP SCHEMA IF EXISTS alerts CASCADE")

            def opened() -> Store:
                connections.append(connect(address, autocommit=True, name="tests"))
                return PostgresStore(connections[-1])

            yield opened
            connections[0].execute("DROP SCHEMA IF EXISTS alerts CASCADE")
            for connection in connections:
                connection.close()


def message(number: str) -> Message:
    line = Line("mart_late", "marts/x", "text é", "analytics", NOW.isoformat(), "", "docs/runbooks/mart_late.md")
    return Message(number, "open", "slack", "critical", "key", "title", NOW.isoformat(), (line,), "body")


def test_the_first_look_finds_nothing(reopen: Open) -> None:
    store = reopen()
    assert store.memory() == Memory()
    assert list(store.waiting()) == []


@pytest.mark.row("A3")
def test_state_and_messages_come_back_as_they_were(reopen: Open) -> None:
    reopen().keep(MEMORY, [message("a"), message("b")], NOW)
    store = reopen()
    assert store.memory() == MEMORY
    assert [entry.message for entry in store.waiting()] == [message("a"), message("b")]


def test_a_message_that_is_made_twice_is_there_once(reopen: Open) -> None:
    """An evaluation that is repeated after a crash makes the same messages."""
    reopen().keep(MEMORY, [message("a")], NOW)
    reopen().keep(MEMORY, [message("a")], NOW + timedelta(minutes=1))
    assert len(reopen().waiting()) == 1


def test_what_became_of_a_message_is_kept(reopen: Open) -> None:
    store = reopen()
    store.keep(MEMORY, [message("a"), message("b")], NOW)
    first, second = store.waiting()
    later = NOW + timedelta(seconds=17)
    store.tried(replace(first, attempts=1, outcome="sent", ended_at=later))
    store.tried(replace(second, attempts=2, next_try_at=later, error="429", is_refused=True))
    (waiting,) = reopen().waiting()
    assert (waiting.attempts, waiting.next_try_at, waiting.error, waiting.is_refused) == (2, later, "429", True)
    assert [(entry.outcome, entry.ended_at) for entry in reopen().recent(NOW)] == [("sent", later), ("waiting", None)]
    assert list(reopen().recent(NOW + timedelta(seconds=1))) == []


def test_what_is_long_over_is_forgotten_and_what_waits_is_not(reopen: Open) -> None:
    if isinstance(reopen(), MemoryStore):
        pytest.skip("the fake forgets nothing")
    store = reopen()
    store.keep(MEMORY, [message("a"), message("b")], NOW)
    store.tried(replace(store.waiting()[0], outcome="sent", ended_at=NOW))
    store.keep(MEMORY, [message("c")], NOW + KEPT + timedelta(days=1))
    assert [entry.message.number for entry in reopen().recent(NOW)] == ["b", "c"]


def _answer(seen: list[Observation], _: datetime) -> list[Observation]:
    return seen


@pytest.mark.row("A3", "X4")
def test_a_restart_between_two_looks_neither_repeats_nor_forgets_a_message(reopen: Open) -> None:
    slack, pagerduty = FakeChannel("slack"), FakeChannel("pagerduty")
    late = [Observation("mart_late", "marts/x", 5, "late")]
    for n, seen in enumerate([[], late, late, late, [], []]):
        channels: dict[Channel, Sender] = {"slack": slack, "pagerduty": pagerduty}
        alerting = Alerting(reopen(), {"freshness": partial(_answer, seen)}, channels, "test")
        assert evaluate(alerting, NOW + n * timedelta(seconds=30)) is not None
    assert [it.kind for it in slack.taken] == [it.kind for it in pagerduty.taken] == ["open", "close"]


@pytest.mark.integration
def test_two_processes_never_evaluate_at_once(stack: Stack) -> None:
    """Both would open the same alert, and both would tell it."""
    address = stack.settings.postgres("platform", "dagster")
    with connect(address, autocommit=True) as one, connect(address, autocommit=True) as two:
        first, second = PostgresStore(one), PostgresStore(two)
        with first.alone() as mine, second.alone() as theirs:
            assert (mine, theirs) == (True, False)
        with second.alone() as theirs:
            assert theirs
            assert evaluate(Alerting(first, {}, {}, "test"), NOW) is None
        one.execute("DROP SCHEMA alerts CASCADE")
