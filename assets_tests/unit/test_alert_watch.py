"""The dead-man's switch when its own file fails, and the request to the monitor elsewhere.

Belongs here: what is told by whom when the usual way is cut. Does not: the switch's figures (test_alert_sources), the
stores' common promises (contracts/test_alert_stores).
"""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets_tests.fakes.alerting import FakeChannel
from payments_platform.operations.alerts import access
from payments_platform.operations.alerts.evaluation import Alerting
from payments_platform.operations.alerts.file_store import EnduringStore, FileStore
from payments_platform.operations.alerts.state import Alert, Memory
from payments_platform.operations.alerts.watch import Watch
from payments_platform.settings import Settings

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
LOOK = timedelta(seconds=15)
FOUR_MINUTES = 16


class Switch:
    """A switch over a file, with the channels of one person; ``restart`` is a new process."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.last, self.evaluated = path, NOW, NOW, True
        self.slack, self.pagerduty = FakeChannel("slack"), FakeChannel("pagerduty")
        self.restart()

    def restart(self) -> None:
        store = EnduringStore(self.path)
        alerting = Alerting(store, {}, {"slack": self.slack, "pagerduty": self.pagerduty}, "test")
        self.watch = Watch(alerting, self._last, lambda: store.problem)

    def _last(self) -> datetime:
        self.last = self.now if self.evaluated else self.last
        return self.last

    def looks(self, count: int = FOUR_MINUTES) -> None:
        for _ in range(count):
            self.now += LOOK
            self.watch.look(self.now)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(it.kind, it.lines[0].subject) for it in self.pagerduty.taken]


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    return Switch(tmp_path / "run" / "alerts-watch.json")


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.faults
def test_a_full_disk_is_told_once_and_its_end_too(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fills the disk stops everything else as well: the switch is the last that can say so."""
    switch.looks()
    assert switch.told == []
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _full)
        switch.looks(40)
        assert switch.told == [("open", "dead-man's switch")]
        assert "No space left on device" in switch.pagerduty.taken[0].lines[0].text
    switch.looks(2)
    assert switch.told == [("open", "dead-man's switch"), ("close", "dead-man's switch")]
    assert FileStore(switch.path).memory().open_alerts == ()


@pytest.mark.faults
def test_a_switch_that_cannot_keep_what_it_told_still_tells_of_silence_once(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.looks()
    monkeypatch.setattr(os, "fsync", _full)
    switch.evaluated = False
    switch.looks(40)
    switch.evaluated = True
    switch.looks(2)
    assert [kind for kind, subject in switch.told if subject == "alert evaluation"] == ["open", "close"]


@pytest.mark.faults
@pytest.mark.parametrize("content", ["", "{", "[]", '{"memory": "{}", "entries": []}'])
def test_a_damaged_file_is_told_and_left_for_a_person_to_see(switch: Switch, content: str) -> None:
    """State is not guessed; a switch that restarts for ever tells nothing."""
    switch.path.parent.mkdir()
    switch.path.write_text(content, encoding="utf-8")
    switch.restart()
    switch.looks(40)
    assert switch.told == [("open", "dead-man's switch")]
    assert switch.path.read_text(encoding="utf-8") == content
    switch.path.unlink()
    switch.looks(2)
    assert switch.told[1:] == [("close", "dead-man's switch")]
    assert FileStore(switch.path).memory().evaluated_at is not None


def test_a_switch_that_starts_again_goes_on_from_its_file(switch: Switch) -> None:
    switch.looks()
    switch.evaluated = False
    switch.looks()
    switch.restart()
    switch.looks()
    switch.evaluated = True
    switch.looks(2)
    assert switch.told == [("open", "alert evaluation"), ("close", "alert evaluation")]


@pytest.mark.parametrize("rule, severity, beats", [
    ("run_failed", "warning", 1),
    ("messages_undelivered", None, 1),
    ("messages_undelivered", "critical", 0),
])  # fmt: skip
def test_the_monitor_elsewhere_hears_nothing_while_messages_cannot_be_delivered(
    rule: str, severity: str | None, beats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation of which nobody can be told is as good as none."""
    heard: list[str] = []
    monkeypatch.setattr(access, "beat", heard.append)
    monkeypatch.setenv("ALERTS_HEARTBEAT_URL", "https://monitor.example/beat")
    alert = Alert(rule, "slack", 1, "", "", "", NOW, NOW, severity=severity)  # type: ignore[arg-type]
    access.beat_if_asked(Settings(), Memory({f"{rule}:slack": alert}), heard.append)
    assert len(heard) == beats
