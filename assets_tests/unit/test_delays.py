"""Delays are measured from the commit to the answer, and what never came is counted."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from payments_platform.operations.delays import Probe, Sample

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
