"""The rehearsal of a late day over plain facts: the real judgement, the real engine, a clock that is given.

Belongs here: what the demo's verdict depends on. Does not: the stack that it runs on (`make demo-late`).
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from assets_tests.fakes.alerting import MemoryStore
from payments_platform.commands.demo_late import HomeInUse, NotTold, demo_late, rehearse
from payments_platform.contracts.due import Due
from payments_platform.operations.freshness import Freshness, Landed, Watched, evaluate

DEADLINE = datetime(2028, 3, 1, 6, tzinfo=UTC)
NAMES = {"raw/transactions": (3, ()), "marts/fact_transaction": (6, ("raw/transactions",))}


class Days:
    """Two days of a lake and a warehouse; the second is there once it is built."""

    def __init__(self, *, is_built: bool = False) -> None:
        self.is_built = is_built

    def judge(self, now: datetime) -> list[Freshness]:
        starts = [datetime(2028, 2, 28, tzinfo=UTC), *([datetime(2028, 2, 29, tzinfo=UTC)] if self.is_built else [])]
        landed = {start: Landed(start + timedelta(days=1, hours=3), start + timedelta(days=1)) for start in starts}
        watched = [
            Watched(name, "analytics", Due("day", timedelta(hours=hours), timedelta(hours=2)), reads, landed)
            for name, (hours, reads) in NAMES.items()
        ]
        return evaluate(watched, now, first=date(2028, 2, 28))

    def build(self) -> None:
        self.is_built = True


@pytest.mark.row("C7", "A3", "X4")
def test_a_late_day_is_told_once_and_its_end_once(capsys: pytest.CaptureFixture[str]) -> None:
    days, store = Days(), MemoryStore()
    rehearse(days.judge, days.build, DEADLINE, store, "local")
    told = [(entry.message.channel, entry.message.kind) for entry in store.entries]
    assert sorted(told) == [("pagerduty", "close"), ("pagerduty", "open"), ("slack", "close"), ("slack", "open")]
    shown = capsys.readouterr().out
    assert "2028-02-29 was due at" in shown
    assert "Over after" in shown


def test_the_demo_fails_when_nothing_is_late_or_nothing_heals() -> None:
    """A demo that cannot fail shows nothing."""
    there = Days(is_built=True)
    with pytest.raises(NotTold):
        rehearse(there.judge, there.build, DEADLINE, MemoryStore(), "local")
    with pytest.raises(NotTold):
        rehearse(Days().judge, lambda: None, DEADLINE, MemoryStore(), "local")


def test_the_demo_refuses_a_home_that_somebody_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It deletes its home at the end."""
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("PAYMENTS_HOME", str(tmp_path))
    with pytest.raises(HomeInUse):
        demo_late()
    assert (tmp_path / "config").exists()
