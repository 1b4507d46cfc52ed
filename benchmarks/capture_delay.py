"""From commit to topic: how long capture alone takes, for every change of a payment while live traffic runs.

Belongs here: the reader of the change topic, and its figures beside the target. Does not: the stores (bench_stream.py).
Run on a stack that is up and captured: `payments up`, then `.venv/bin/python benchmarks/capture_delay.py`.
"""

import argparse
import json
import threading
import time
from collections.abc import Collection, Sequence
from typing import Final, Self

from payments_platform.clients.kafka import consumer
from payments_platform.oltp.traffic.drive import Traffic, drive
from payments_platform.oltp.traffic.latency import Latencies, Percentiles
from payments_platform.operations.delays import Sample
from payments_platform.settings import load_settings
from payments_platform.vocabulary import topic

TARGET_SECONDS: Final = 0.3
_SETTLE_SECONDS: Final = 3.0


class TopicReader:
    """Reads committed changes of payments as they come; one delay for each, from the source's commit to the reader.

    The commit's time is the source's own (``source.ts_us``); both clocks are this machine's. Rows of snapshots have
    no commit and are not counted. ``find`` answers a delay probe with the payments that have arrived.
    """

    def __init__(self, servers: str) -> None:
        self._consumer = consumer(servers, "bench-capture-delay", more={"auto.offset.reset": "latest"})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._seen: set[str] = set()
        self.delays = Latencies()

    def __enter__(self) -> Self:
        from confluent_kafka import OFFSET_END, TopicPartition

        name = topic("transactions")
        partitions = self._consumer.list_topics(name, timeout=10).topics[name].partitions
        self._consumer.assign([TopicPartition(name, number, OFFSET_END) for number in partitions])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()

    def find(self, samples: Sequence[Sample]) -> Collection[str]:
        """The ids among these that have arrived."""
        return self._seen.intersection(sample.transaction_id for sample in samples)

    def percentiles(self) -> Percentiles:
        """Delays in milliseconds."""
        return self.delays.percentiles()

    def _read(self) -> None:
        while not self._over.is_set():
            messages = self._consumer.consume(1000, timeout=0.05)
            now = time.time()
            for message in messages:
                if message.error() is not None or message.value() is None:
                    continue
                value = json.loads(message.value() or b"{}")
                if value["source"]["snapshot"] == "false":
                    self._seen.add((value["after"] or value["before"])["transaction_id"])
                    self.delays.record(value["op"], now - value["source"]["ts_us"] / 1e6)


def main() -> int:
    """Drive traffic, read the topic, print one row. Ends with 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tps", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    wanted = parser.parse_args()
    settings = load_settings()
    address = settings.postgres("primary", "app"), settings.postgres("primary", "loader")
    traffic = Traffic(*address, settings.token_key(), int(time.time()), wanted.tps)
    with TopicReader(settings.kafka_servers()) as reader:
        report = drive(traffic, wanted.seconds, threading.Event(), lambda _: None)
        time.sleep(_SETTLE_SECONDS)
    figures = reader.percentiles()
    print(f"{report.tps:,.0f} transactions/s for {report.seconds:.0f} s; {figures.count:,} changes of payments arrived")
    print(f"commit → topic: P50 {figures.p50:.0f} ms, P95 {figures.p95:.0f} ms, P99 {figures.p99:.0f} ms")
    print(f"target P95 {TARGET_SECONDS * 1000:.0f} ms: {'held' if figures.p95 <= TARGET_SECONDS * 1000 else 'missed'}")
    return 0 if figures.p95 <= TARGET_SECONDS * 1000 and report.kept_up else 1


if __name__ == "__main__":
    raise SystemExit(main())
