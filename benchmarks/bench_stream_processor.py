"""Measure the processor on one machine with its broker: messages a second, and what each part of a message costs.

Writes a topic of change messages (60 % new payments, 40 % updates with the row before, 1 % of customers who come late),
then has one worker, two workers and a peer read the same topic to its end, transactions on.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from urllib.request import urlopen

import psutil
import typer
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks import payment_changes
from benchmarks.payment_changes import Mix
from payments_platform.clients import kafka
from payments_platform.contracts.streams import PROCESSED_TOPICS, STATE_TOPICS, TOPICS
from payments_platform.local import stack
from payments_platform.local.home import Home
from payments_platform.local.ports import choose
from payments_platform.local.request import Request
from payments_platform.settings import Settings
from payments_platform.streaming.lag import ends_of
from payments_platform.streaming.topics import ONE_BROKER, ensure_topics
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, topic

PROJECT: Final = Path(__file__).resolve().parents[1]
PEER: Final = PROJECT / ".peer-stream"
TARGET: Final = 60_000
_PARTS: Final = ("wait", "consume", "decode", "mask", "join", "count", "encode", "produce", "commit")
_POLL_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 420.0
_RESET: Final = (*PROCESSED_TOPICS, *STATE_TOPICS)


@dataclass(frozen=True)
class Run:
    """One reading of the topic: rate, seconds by part of all workers, CPU seconds of workers and broker."""

    name: str
    messages: int
    seconds: float
    worker_cpu: float
    broker_cpu: float
    parts: dict[str, float] = field(default_factory=dict)
    events: int = 0

    @property
    def rate(self) -> float:
        """Messages a second, from the first batch that was done to the last."""
        return self.messages / self.seconds if self.seconds else 0.0


def main(
    messages: Annotated[int, typer.Option(help="Change messages in the topic.")] = 600_000,
    peer: Annotated[bool, typer.Option(help="Have the peer read the same topic.")] = True,
    home: Annotated[Path | None, typer.Option(help="Use the stack of this home, and leave it running.")] = None,
    rounds: Annotated[int, typer.Option(help="Runs of each; the median is printed.")] = 1,
) -> None:
    """Run all and print the table. Ends with code 1 below 60 000 messages a second."""
    console = Console(highlight=False)
    folder = Home(home or Path(tempfile.mkdtemp(prefix="payments-bench-stream-")))
    request = Request(
        folder, PROJECT, downloads=Settings().downloads, ui=False, streams=True, only=("kafka",), any_ports=True
    )
    try:
        stack.up(request)
        settings = Settings(home=folder.root)
        bench = Bench(settings, Mix(messages))
        console.print(bench.fill())
        one = _median([bench.run(1) for _ in range(rounds)])
        runs = [one, _median([bench.run(2) for _ in range(rounds)])]
        if peer and _has_peer():
            runs.append(bench.run_peer())
        console.print(_rates(runs), _costs(one))
        if one.rate < TARGET:
            raise typer.Exit(1)
    finally:
        if home is None:
            stack.down(folder, lambda _: None)
            shutil.rmtree(folder.root, ignore_errors=True)


class Bench:
    """A broker with one topic that is read again and again."""

    def __init__(self, settings: Settings, mix: Mix) -> None:
        self._settings, self._mix = settings, mix
        self._servers = settings.kafka_servers()
        self._admin: AdminClient = kafka.admin(self._servers)
        self._broker = _broker(settings)

    def fill(self) -> str:
        """Write the topic and the dimensions anew."""
        _delete(self._admin, [spec.name for spec in TOPICS])
        ensure_topics(self._admin, TOPICS, ONE_BROKER)
        payment_changes.write(self._servers, payment_changes.dimensions(self._mix, are_late=False))
        name = topic("transactions")
        start = time.monotonic()
        pairs = ((name, message) for message in payment_changes.changes(self._mix))
        written = payment_changes.write(self._servers, pairs)
        return f"{written:,} change messages written in {time.monotonic() - start:.0f} s"

    def run(self, workers: int) -> Run:
        """Have so many workers read it all; late customers come when half is read."""
        self._reset()
        with _workers(self._settings, workers) as started:
            return self._watch(f"{workers} worker{'s' if workers > 1 else ''}", started)

    def run_peer(self) -> Run:
        """Have the peer read it all."""
        self._reset()
        command = [sys.executable, "-m", "benchmarks.quix_peer", self._servers, str(self._mix.messages)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PEER), str(PROJECT)])}
        broker = _cpu(self._broker)
        with subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
            out, _ = process.communicate(timeout=_LONGEST_SECONDS)
        if process.returncode != 0:
            raise RuntimeError(f"the peer ended with code {process.returncode}")
        count, seconds, cpu, version = out.split()[-4:]
        spent = _cpu(self._broker) - broker
        return Run(f"Quix Streams {version}, 1 process", int(count), float(seconds), float(cpu), spent)

    def _watch(self, name: str, started: "Sequence[_Started]") -> Run:
        total, first, late_sent = self._mix.messages, (0.0, 0.0), False
        begun = (0.0, 0.0)
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            now, done = time.monotonic(), sum(worker.figures().get("messages", 0.0) for worker in started)
            if done and not first[1]:
                first = (now, done)
                begun = (sum(_cpu(worker.process) for worker in started), _cpu(self._broker))
            if done >= total / 2 and not late_sent:
                payment_changes.write(self._servers, payment_changes.dimensions(self._mix, are_late=True))
                late_sent = True
            if done >= total:
                break
            if now > deadline:
                raise RuntimeError(f"{done:,.0f} of {total:,} messages after {_LONGEST_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        worker_cpu = sum(_cpu(worker.process) for worker in started) - begun[0]
        broker_cpu = _cpu(self._broker) - begun[1]
        parts = {part: sum(worker.figures().get(part, 0.0) for worker in started) for part in _PARTS}
        while any(worker.figures().get("partials", 0.0) for worker in started):
            time.sleep(_POLL_SECONDS)
        ends = ends_of(self._admin, [(ANALYTICS_TRANSACTIONS, number) for number in range(4)])
        return Run(name, int(total - first[1]), now - first[0], worker_cpu, broker_cpu, parts, sum(ends.values()))

    def _reset(self) -> None:
        """Forget what an earlier run wrote and read; the late customers are late again."""
        _delete(self._admin, [spec.name for spec in _RESET] + [topic("customers"), topic("merchants")])
        _forget_group(self._admin, "processor")
        ensure_topics(self._admin, TOPICS, ONE_BROKER)
        payment_changes.write(self._servers, payment_changes.dimensions(self._mix, are_late=False))


@dataclass(frozen=True)
class _Started:
    process: psutil.Process
    port: int

    def figures(self) -> dict[str, float]:
        """Messages handled, seconds by part, partials waiting, as the worker tells it; empty until it serves."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "payments_stream_part_seconds_total":
                    found[sample.labels["part"]] = sample.value
                elif sample.name in {"payments_stream_messages_total", "payments_stream_partials"}:
                    found[sample.name.removeprefix("payments_stream_").removesuffix("_total")] = sample.value
        return found


@contextmanager
def _workers(settings: Settings, count: int) -> Iterator[list[_Started]]:
    environment = {**os.environ, "PAYMENTS_HOME": str(settings.home)}
    started: list[tuple[subprocess.Popen[bytes], _Started]] = []
    try:
        for number in range(count):
            port = choose(9400 + number)
            payments = str(Path(sys.executable).with_name("payments"))
            command = [payments, "stream", "run", "processor", "--slot", f"bench-{number}", "--metrics-port", str(port)]
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            started.append((process, _Started(psutil.Process(process.pid), port)))
        yield [worker for _, worker in started]
    finally:
        for process, _ in started:
            process.terminate()
        for process, _ in started:
            process.wait(60)


def _has_peer() -> bool:
    """Whether the peer is installed; where it is not, say what installs it: a table that lacks it looks complete."""
    is_there = (PEER / ".installed").exists()
    if not is_there:
        typer.echo(
            f"Quix Streams is left out: it is not installed in {PEER.name}."
            " make bench-stream-processor installs it and runs this.",
            err=True,
        )
    return is_there


def _broker(settings: Settings) -> psutil.Process:
    port = int(settings.kafka_servers().rpartition(":")[2])
    for connection in psutil.net_connections("tcp"):
        is_listening = connection.status == psutil.CONN_LISTEN and connection.pid
        if is_listening and connection.laddr and connection.laddr.port == port:
            return psutil.Process(connection.pid)
    raise RuntimeError(f"no process listens on port {port}")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _delete(client: AdminClient, names: Sequence[str]) -> None:
    there = [name for name in names if name in client.list_topics(timeout=30).topics]
    for done in (client.delete_topics(there) if there else {}).values():
        done.result(30)
    while set(names) & client.list_topics(timeout=30).topics.keys():
        time.sleep(0.2)


def _forget_group(client: AdminClient, group: str) -> None:
    """A member that is remembered by its name keeps the group alive until its session ends."""
    from confluent_kafka import KafkaError, KafkaException

    for _ in range(60):
        try:
            client.delete_consumer_groups([group])[group].result(30)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"group {group} cannot be deleted")


def _median(runs: Sequence[Run]) -> Run:
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


def _rates(runs: Sequence[Run]) -> Table:
    table = Table("reader", "messages/s", "worker CPU µs/message", "broker CPU µs/message", "events told")
    for run in runs:
        cpu = [f"{seconds / run.messages * 1e6:.1f}" for seconds in (run.worker_cpu, run.broker_cpu)]
        table.add_row(run.name, f"{run.rate:,.0f}", *cpu, f"{run.events:,}" if run.events else "-")
    return table


def _costs(run: Run) -> Table:
    table = Table("part of one worker's loop", "µs/message", title=run.name)
    total = run.messages
    for part in _PARTS:
        table.add_row(part, f"{run.parts[part] / total * 1e6:.2f}")
    return table


if __name__ == "__main__":
    typer.run(main)
