"""Delays are measured from the commit to the answer, and what never came is counted."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.bench_stream import ChangeDelays, all_on_time
from payments_platform.commands.delays import BY_ID, BY_SEARCH, MONGODB
from payments_platform.oltp.traffic.latency import Percentiles
from payments_platform.operations.delays import Delay, Probe, Sample

NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.row("O2")
def test_each_store_has_its_own_delays_and_what_never_came_is_missing() -> None:
    def after(seconds: float) -> list[str]:
        return [sample.transaction_id for sample in seen if time.monotonic() - sample.committed >= seconds]

    seen: list[Sample] = []

    def quick(samples: Sequence[Sample]) -> list[str]:
        seen.extend(sample for sample in samples if sample not in seen)
        return after(0.0)

    def broken(samples: Sequence[Sample]) -> list[str]:
        raise OSError("away")

    with Probe({"quick": quick, "slow": lambda _: after(0.2), "broken": broken}, per_second=1e6) as probe:
        for number in range(5):
            probe.committed(f"txn_{number}", NOW)
        probe.settle(1.0)
    report = probe.report()
    assert [it.missing for it in report.values()] == [0, 0, 5]
    assert report["slow"].percentiles.p50 >= 200 > report["quick"].percentiles.p50
    assert report["broken"].last_error == "OSError: away"


def test_no_more_payments_are_sampled_than_asked_for() -> None:
    asked: list[Sample] = []

    def finder(samples: Sequence[Sample]) -> list[str]:
        asked.extend(samples)
        return [sample.transaction_id for sample in samples]

    clock = iter([0.0, 0.01, 0.02, 1.0, *([2.0] * 1000)])
    with Probe({"store": finder}, per_second=1.0, clock=lambda: next(clock)) as probe:
        for number in range(4):
            probe.committed(f"txn_{number}", NOW)
        probe.settle(0.5)
    assert [sample.transaction_id for sample in asked] == ["txn_0", "txn_3"]


class Topic:
    """A change topic with one partition, which tells its messages once."""

    def __init__(self, values: Sequence[object]) -> None:
        self.messages = [SimpleNamespace(error=lambda: None, value=lambda it=it: json.dumps(it)) for it in values]

    def list_topics(self, name: str, timeout: float) -> Any:  # noqa: ANN401 - the client's own type
        return SimpleNamespace(topics={name: SimpleNamespace(partitions={0: None})})

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        return 0, 0

    def assign(self, _: object) -> None:
        """Nothing is fetched."""

    def consume(self, *_: object) -> list[Any]:
        told, self.messages = self.messages, []
        return told

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.row("O2")
def test_every_change_is_timed_from_its_commit_but_what_a_snapshot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot's row has the time of the reading: counted, it would make capture look quick."""
    commit = (time.time() - 0.2) * 1e6
    changes = [
        {"op": op, "source": {"snapshot": snapshot, "ts_us": commit}}
        for op, snapshot in (("c", "false"), ("u", "false"), ("r", "true"))
    ]
    monkeypatch.setattr("payments_platform.clients.kafka.consumer", lambda *_: Topic([*changes, None]))
    found = ChangeDelays("b:1")
    time.sleep(0.1)
    found.close()
    assert found.delays.counts == {"c": 1, "u": 1}
    assert 200 <= found.delays.percentiles().p95 < 2_000


@pytest.mark.parametrize("slow", [MONGODB, BY_ID, BY_SEARCH])
def test_a_rate_holds_only_if_the_slowest_store_does(slow: str) -> None:
    """A topic may be slower: nobody looks a payment up there."""

    def delay(p95: float, missing: int = 0) -> Delay:
        return Delay(Percentiles(100, p95 / 2, p95, p95, p95), missing, "")

    well = {"oltp.transactions": delay(2_500), MONGODB: delay(1_900), BY_ID: delay(1_900), BY_SEARCH: delay(2_000)}
    assert all_on_time(well)
    assert not all_on_time({**well, slow: delay(2_001)})
    assert not all_on_time({**well, slow: delay(100, missing=1)})
