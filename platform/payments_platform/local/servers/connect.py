"""Kafka Connect in distributed mode with Debezium: reads the source's write-ahead log into topics.

Belongs here: the worker's configuration. Does not: the connector's (streaming/ sends it), the slot and publication
(oltp/ migrations).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local import java
from payments_platform.local.answers import OK, ask
from payments_platform.local.downloads import folder_of
from payments_platform.local.home import write_private
from payments_platform.local.orphans import end_orphans
from payments_platform.local.servers.kafka import KAFKA, class_path
from payments_platform.local.service import NotReady, Program, Site
from payments_platform.settings import POSTGRES_USERS, Settings

# What a connector's configuration writes instead of the password: ${env:PAYMENTS_CAPTURE_PASSWORD}. The worker puts the
# value in when it starts the connector; its topics and its REST answers hold the reference only.
CAPTURE_PASSWORD = "PAYMENTS_CAPTURE_PASSWORD"  # noqa: S105  # the variable's name
_BUNDLE = "debezium"
_MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"
_HEAP_MB = 512


@dataclass(frozen=True)
class Connect:
    """One worker of Kafka Connect. More of them on other machines would share its tasks by ``group.id``."""

    name: str = "connect"
    port: int = 8083
    after: tuple[str, ...] = (KAFKA.name, "primary")
    bundles: tuple[str, ...] = (*KAFKA.bundles, _BUNDLE)

    def address(self, site: Site) -> Mapping[str, object]:
        port = site.ports[self.name]
        return {"host": site.host, "port": port, "url": f"http://{site.host}:{port}"}

    def prepare(self, site: Site) -> bool:
        return write_private(_file(site), self._properties(site))

    def program(self, site: Site) -> Program:
        return Program(
            command=java.command(java.runtime(), _HEAP_MB, class_path(site), _MAIN, str(_file(site))),
            environment={CAPTURE_PASSWORD: site.passwords[POSTGRES_USERS["capture"]]},
            directory=site.home.run,
            stop_seconds=60,
        )

    def check(self, site: Site) -> None:
        check_worker(f"http://{site.host}:{site.ports[self.name]}")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        end_orphans(lambda words: _MAIN in words and str(_file(site)) in words)

    def _properties(self, site: Site) -> str:
        values = {
            **_CONSTANT,
            "bootstrap.servers": Settings(home=site.home.root, environment=site.environment).kafka_servers(),
            "listeners": f"http://{site.host}:{site.ports[self.name]}",
            "rest.advertised.host.name": site.host,
            "plugin.path": str(folder_of(site.downloads, _BUNDLE)),
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


CONNECT = Connect()


def check_worker(url: str) -> None:
    """Raise ``NotReady`` unless the worker has joined its group and takes connectors."""
    status, _ = ask(f"{url.rstrip('/')}/connectors", f"Kafka Connect at {url}")
    if status != OK:
        raise NotReady(f"Kafka Connect at {url} answers {status}: it is still joining its group")


def _file(site: Site) -> Path:
    return site.home.config / "connect.properties"


# Reasons stand beside the values; anything not named keeps the worker's default.
_CONSTANT: Mapping[str, str] = {
    "group.id": "payments-connect",
    "offset.storage.topic": "state.connect-offsets",
    "config.storage.topic": "state.connect-configs",
    "status.storage.topic": "state.connect-status",
    # The broker's own factor: 1 here, 3 in production.
    "offset.storage.replication.factor": "-1",
    "config.storage.replication.factor": "-1",
    "status.storage.replication.factor": "-1",
    "offset.storage.partitions": "5",
    "status.storage.partitions": "2",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "exactly.once.source.support": "enabled",
    "topic.creation.enable": "false",  # topics are specified by the platform
    "connector.client.config.override.policy": "All",
    "config.providers": "env",
    "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    # Nothing else of the worker's environment can be read through a connector's configuration.
    "config.providers.env.param.allowlist.pattern": "PAYMENTS_CAPTURE_.*",
    "plugin.discovery": "service_load",  # every plugin here declares itself; scanning all classes takes seconds
    "scheduled.rebalance.max.delay.ms": "5000",  # a worker that was killed is back by then; the default is 5 minutes
}
