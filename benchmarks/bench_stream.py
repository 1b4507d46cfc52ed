"""From the acknowledged commit to each store, under load: a stack of its own, every worker running, readers that poll.

Run: make bench-stream, or on a stack that is up already: make bench-stream ARGS=--running. PostgreSQL with fsync on and
its replica, Kafka, Debezium, the processor and three sinks share this machine. Rates up to 500 a second are live
traffic (one payment or change a commit); above, 50 rows a commit.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from confluent_kafka import Message
from rich.console import Console

from benchmarks import stream_writer
from benchmarks.stack_cpu import watching
from payments_platform.clients import kafka
from payments_platform.commands.delays import BY_ID, BY_SEARCH, MONGODB, delay_table, lake_delay, open_finders
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.oltp.traffic.drive import Traffic, drive
from payments_platform.oltp.traffic.latency import Latencies, Percentiles
from payments_platform.operations.delays import Delay, Probe
from payments_platform.operations.finders import TopicFinder
from payments_platform.settings import Settings, load_settings
from payments_platform.vocabulary import topic

PROJECT: Final = Path(__file__).resolve().parents[1]
_LIVE_LIMIT: Final = 500.0
_SETTLE_SECONDS: Final = 60.0
_STEP: Final = 1.4
_REACHED: Final = 0.95
_STEP_SECONDS: Final = 60.0
# The Java servers compile what is hot meanwhile; figures of their first minutes are of the compiler.
_WARM_UP_SECONDS: Final = 180.0
_LIMIT_SECONDS: Final = 2.0
_STORES: Final = (MONGODB, BY_ID, BY_SEARCH)
_CAPTURE_LIMIT_SECONDS: Final = 0.3
# What the design document claims, in seconds at P95.
_DOCUMENT: Final = {"oltp.transactions": 0.65, MONGODB: 3.2, BY_SEARCH: 3.2}


def main(
    low: Annotated[float, typer.Option(help="The first rate, rows a second.")] = 500.0,
    high: Annotated[float, typer.Option(help="The second rate, rows a second.")] = 5_000.0,
    seconds: Annotated[float, typer.Option(help="How long each is held.")] = 300.0,
    downloads: Annotated[Path | None, typer.Option(help="Folder of the servers' files, if there is one.")] = None,
    running: Annotated[bool, typer.Option("--running", help="Measure the stack of PAYMENTS_HOME instead.")] = False,
) -> None:
    """Hold LOW for SECONDS, then rising rates until a store misses 2 s at P95, and HIGH for SECONDS at the end."""
    console = Console(highlight=False, width=140)
    with nullcontext(load_settings()) if running else _own_stack(downloads) as settings:
        _run(settings, low, _WARM_UP_SECONDS)
        _measured(settings, console, low, seconds)
        held = low
        while _measured(settings, console, rate := held * _STEP, _STEP_SECONDS):
            held = rate
        console.print(
            f"highest rate tried that holds {_LIMIT_SECONDS:g} s at P95: {held:,.0f} rows/s; {rate:,.0f} missed"
        )
        _measured(settings, console, high, seconds)


def _measured(settings: Settings, console: Console, rate: float, seconds: float) -> bool:
    """Print the delays of a rate and where the processor's time went; return whether every store held its limit."""
    begun = datetime.now(UTC)
    with watching(Home(settings.home)) as spent:
        delays, reached, changes = _run(settings, rate, seconds)
    console.print(delay_table(delays, _title(rate, reached, seconds), _DOCUMENT), spent.table(reached * seconds))
    console.print(_captured(changes.delays.percentiles()))
    console.print(lake_delay(settings, begun))
    return all_on_time(delays) and reached >= rate * _REACHED


def all_on_time(delays: Mapping[str, Delay]) -> bool:
    """Whether each store that is there had 95 % of the payments within the limit, and in the end all of them."""
    stores = [delays[name] for name in _STORES if name in delays]
    return all(it.missing == 0 and it.percentiles.p95 <= _LIMIT_SECONDS * 1_000 for it in stores)


@contextmanager
def _own_stack(downloads: Path | None) -> Iterator[Settings]:
    """A stack for these figures alone, gone afterwards."""
    home = Home(Path(tempfile.mkdtemp(prefix="payments-bench-stream-")))
    try:
        stack.up(Request(home, PROJECT, downloads, ui=False, streams=True, workers=True, any_ports=True))
        yield Settings(home=home.root)
    finally:
        stack.down(home, lambda _: None)
        shutil.rmtree(home.root, ignore_errors=True)


class ChangeDelays(TopicFinder):
    """Of every change of a payment, how long it took to its topic: from the commit, by the source's own clock.

    The tables above time samples of new payments by the client's clock. Rows of snapshots have no commit.
    """

    def __init__(self, servers: str) -> None:
        """Read from now on."""
        self.delays = Latencies()
        super().__init__(kafka.consumer(servers, "bench-changes"), topic("transactions"))

    def _take(self, message: Message) -> None:
        now, value = time.time(), orjson.loads(message.value() or b"{}")
        if value and value["source"]["snapshot"] == "false":
            self.delays.record(value["op"], now - value["source"]["ts_us"] / 1e6)


def _captured(it: Percentiles) -> str:
    word = "held" if it.p95 <= _CAPTURE_LIMIT_SECONDS * 1_000 else "missed"
    figures = f"P50 {it.p50:.0f} ms, P95 {it.p95:.0f} ms, P99 {it.p99:.0f} ms"
    return f"commit → topic of all {it.count:,} changes: {figures}; {_CAPTURE_LIMIT_SECONDS:g} s at P95 {word}"


def _run(settings: Settings, rate: float, seconds: float) -> tuple[dict[str, Delay], float, ChangeDelays]:
    """Delays by store at a rate, the rate that the source reached, and every change on its topic."""
    changes = ChangeDelays(settings.kafka_servers())
    with closing(changes), open_finders(settings) as asked, Probe(asked) as probe:
        reached = _write(settings, rate, seconds, probe)
        probe.settle(_SETTLE_SECONDS)
    return probe.report(), reached, changes


def _write(settings: Settings, rate: float, seconds: float, probe: Probe) -> float:
    app, seed = settings.postgres("primary", "app"), int(time.time())
    if rate > _LIVE_LIMIT:
        written = stream_writer.write(app, settings.token_key(), seed, rate, seconds, probe.committed)
        return written.rows / written.seconds
    traffic = Traffic(app, settings.postgres("primary", "loader"), settings.token_key(), seed, rate)
    report = drive(
        traffic,
        seconds,
        threading.Event(),
        lambda _: None,
        lambda payment: probe.committed(payment.transaction_id, payment.created_at),
    )
    return report.tps


def _title(rate: float, reached: float, seconds: float) -> str:
    return f"{rate:,.0f} rows/s asked, {reached:,.0f} reached, for {seconds:.0f} s: seconds from commit to readable"


if __name__ == "__main__":
    typer.run(main)
