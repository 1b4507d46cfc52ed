"""Apache Kafka: one node that is broker and controller (KRaft), from its Maven coordinates.

Belongs here: its configuration and its data folder. Does not: topics (streaming/ creates them), who reads and writes.
"""

import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

from payments_platform.local import java
from payments_platform.local.downloads import folder_of
from payments_platform.local.failures import StackError
from payments_platform.local.home import write_private
from payments_platform.local.orphans import end_orphans
from payments_platform.local.ports import is_open
from payments_platform.local.service import NotReady, Program, Site

# The controller is the same process; its port is kept in stack.json as the servers' are.
CONTROLLER, CONTROLLER_PORT = "kafka-controller", 9093
_BUNDLE = "kafka"
_MAIN, _FORMAT = "kafka.Kafka", "kafka.tools.StorageTool"
_HEAP_MB = 768
_SECONDS = 5


@dataclass(frozen=True)
class Kafka:
    """The broker. It listens on this machine only and asks for no password, which no real one should be like."""

    name: str = "kafka"
    port: int = 9092
    after: tuple[str, ...] = ()
    bundles: tuple[str, ...] = (_BUNDLE,)

    def address(self, site: Site) -> Mapping[str, object]:
        return {"host": site.host, "port": site.ports[self.name]}

    def data(self, site: Site) -> Path:
        """Return the data folder."""
        return site.home.data / self.name

    def prepare(self, site: Site) -> bool:
        changed = write_private(_file(site), _properties(site, self.data(site)))
        if not self.data(site).exists():
            self._format(site)
        return changed

    def program(self, site: Site) -> Program:
        return Program(
            command=java.command(java.runtime(), _HEAP_MB, class_path(site), _MAIN, str(_file(site))),
            directory=site.home.run,
            stop_seconds=60,
        )

    def check(self, site: Site) -> None:
        """It must answer a client's question, which an open port alone does not mean."""
        if not is_open(site.ports[self.name]):  # the client would go on trying for seconds
            raise NotReady("its port is not open yet")
        check_brokers(f"{site.host}:{site.ports[self.name]}")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        end_orphans(lambda words: _MAIN in words and str(_file(site)) in words)

    def _format(self, site: Site) -> None:
        """Make the data folder beside its final name and rename it: an interrupted ``up`` starts over."""
        for leftover in site.home.data.glob(f"{self.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = site.home.data / f"{self.name}.partial-{token_hex(4)}"
        file = site.home.run / "kafka.format.properties"
        write_private(file, _properties(site, partial))
        arguments = ("format", "--cluster-id", _new_cluster_id(), "--config", str(file))
        log = site.home.log_of(self.name)
        with log.open("ab") as output:
            done = subprocess.run(
                java.command(java.runtime(), 256, class_path(site), _FORMAT, *arguments),
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        file.unlink()
        if done.returncode != 0:
            raise StackError(
                f"Kafka's storage could not be formatted (code {done.returncode}).", "payments doctor", log=log
            )
        partial.rename(self.data(site))


KAFKA = Kafka()


def class_path(site: Site) -> str:
    """Return the class path of everything that Kafka's jars hold: broker, tools, Connect."""
    return str(folder_of(site.downloads, _BUNDLE) / "*")


def check_brokers(servers: str) -> None:
    """Raise ``NotReady`` unless one of the brokers answers."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    try:
        client.list_topics(timeout=_SECONDS)
    except KafkaException as error:
        raise NotReady(f"no broker answers at {servers} ({error.args[0].str()})") from None


def _file(site: Site) -> Path:
    return site.home.config / "kafka.properties"


def _new_cluster_id() -> str:
    """A random id as Kafka writes it; one that opens with a dash would be read as an option."""
    return urlsafe_b64encode(uuid4().bytes).decode("ascii").rstrip("=").replace("-", "A")


def _properties(site: Site, data: Path) -> str:
    broker, controller = (f"{site.host}:{site.ports[name]}" for name in ("kafka", CONTROLLER))
    values = {
        **_CONSTANT,
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "log.dirs": str(data),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


# Reasons stand beside the values; anything not named keeps the server's default.
_CONSTANT: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # topics are specified; a mistyped name must not become one
    "default.replication.factor": "1",  # one node
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "offsets.topic.num.partitions": "8",  # the default of 50 is for many brokers; each costs files and start time
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",  # one worker need not wait for others
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",  # 128 MB by default, of a heap of 768
    # A broker that was killed is refused until the session of its former life is over; its partitions have no leader
    # meanwhile. A transaction that Kafka 4.3 gives up in that time counts as aborted without a mark in the partitions,
    # and the next one's commit shows its messages (seen when a busy broker was killed: 104 changes twice in a topic).
    # So the session is shorter than the default of 9 s, and the first look for transactions to give up is the default
    # 10 s after the start. A worker that comes back aborts its own at once.
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000",
}
