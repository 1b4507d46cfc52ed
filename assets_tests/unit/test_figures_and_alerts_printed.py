"""What ``payments kpis`` refuses, and what ``payments alerts`` prints of rules and of what is open.

Belongs here: the words and the JSON. Does not: the database (integration/test_kpis, integration/test_alerts).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from assets_tests.fakes.alerting import MemoryStore
from payments_platform.cli import app
from payments_platform.operations.alerts import access
from payments_platform.operations.alerts.engine import step
from payments_platform.operations.alerts.messages import Message
from payments_platform.operations.alerts.state import Memory, Observation

NOW = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize("options", [
    ["--week", "9999-W52"], ["--week", "9999-W01"], ["--week", "0001-W01"], ["--week", "0000-W01"],
    ["--month", "9999-12"], ["--month", "9999-01"], ["--month", "0001-01"], ["--month", "0000-01"],
])  # fmt: skip
def test_a_period_at_the_ends_of_the_calendar_is_refused_in_words(options: list[str]) -> None:
    """A week needs a day after it and weeks before it to be compared with."""
    answer = CliRunner().invoke(app, ["kpis", *options])
    assert answer.exit_code == 2
    assert options[1] in answer.output


def test_a_rule_that_waits_says_after_how_long_it_opens() -> None:
    lines = [line.strip(" │") for line in CliRunner().invoke(app, ["alerts", "rules"]).stdout.splitlines()]
    of_streams = [line for n, line in enumerate(lines) if "stream_late" in "".join(lines[max(n - 1, 0) : n + 1])]
    text = "\n".join(of_streams)
    assert "warning: as soon as it is late" in text
    assert "critical: after 10 min late" in text
    assert "for 10 min" not in text


def listed(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> dict[str, Any]:
    @contextmanager
    def opened(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(store=store)

    monkeypatch.setattr(access, "opened", opened)
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["alerts", "list", "--format", "json"]).stdout)
    return found


def test_what_is_open_is_listed_as_json_with_the_last_look_and_the_messages_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list of alerts that nobody has evaluated for a day looks like a good day."""
    store = MemoryStore()
    memory, _ = step(Memory(), [Observation("mart_late", "marts/x", 5, "late")], ["freshness"], NOW)
    store.keep(memory, [Message("a", "open", "slack", "critical", "key", "title", NOW.isoformat())], NOW)
    found = listed(monkeypatch, store)
    assert [(it["rule"], it["subject"]) for it in found["open"]] == [("mart_late", "marts/x")]
    assert found["evaluated_at"] == "2026-03-01T06:30:00Z"
    assert [(it["message"]["title"], it["attempts"]) for it in found["waiting"]] == [("title", 0)]


def test_before_the_first_look_the_list_says_that_there_was_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, MemoryStore()) == {"open": [], "evaluated_at": None, "waiting": []}
