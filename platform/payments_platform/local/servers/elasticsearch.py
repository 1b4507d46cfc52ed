"""Elasticsearch: one node of the core distribution, from its Maven coordinates.

Belongs here: its configuration and how it is started. Does not: indexes and mappings (search/), what the core
distribution lacks (docs/limits.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local import java
from payments_platform.local.answers import ask_json
from payments_platform.local.downloads import files_of, folder_of
from payments_platform.local.failures import StackError
from payments_platform.local.home import write_private
from payments_platform.local.orphans import end_orphans
from payments_platform.local.privileges import unprivileged
from payments_platform.local.service import NotReady, Program, Site

_BUNDLE = "elasticsearch"
_MAIN = "org.elasticsearch.launcher.CliToolLauncher"
_HEAP_MB = 512


@dataclass(frozen=True)
class Elasticsearch:
    """One node. It listens on this machine only and asks for no password, which no real one should be like."""

    name: str = "elasticsearch"
    port: int = 9200
    after: tuple[str, ...] = ()
    bundles: tuple[str, ...] = (_BUNDLE,)

    def address(self, site: Site) -> Mapping[str, object]:
        port = site.ports[self.name]
        return {"host": site.host, "port": port, "url": f"http://{site.host}:{port}"}

    def prepare(self, site: Site) -> bool:
        for folder in (_configuration(site), _temporary(site)):
            folder.mkdir(mode=0o700, exist_ok=True)
        files = {"elasticsearch.yml": self._settings(site), "jvm.options": _JVM, "log4j2.properties": _LOGGING}
        changed = [write_private(_configuration(site) / name, text) for name, text in files.items()]
        return any(changed)

    def program(self, site: Site) -> Program:
        kit = java.development_kit()
        if kit is None:
            raise StackError("Elasticsearch needs a whole JDK, 17 or newer, and there is none.", "payments doctor")
        home = _home(site)
        return Program(
            command=(
                *unprivileged(),
                str(kit.program),
                # Its launcher: a small process that starts the server and ends with it.
                "-Xms4m",
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-Dcli.name=server",
                "-Dcli.script=bin/elasticsearch",
                "-Dcli.libs=lib/tools/server-cli",
                f"-Des.path.home={home}",
                f"-Des.path.conf={_configuration(site)}",
                "-Des.distribution.type=zip",
                "-Des.java.type=ES_JAVA_HOME",
                "-cp",
                f"{home}/lib/*:{home}/lib/cli-launcher/*",
                _MAIN,
            ),
            environment={"ES_TMPDIR": str(_temporary(site)), "ES_JAVA_HOME": str(kit.home)},
            directory=home,
            stop_seconds=60,
        )

    def check(self, site: Site) -> None:
        """Every index must have its first copy: a search over half of them would answer wrongly."""
        answer = ask_json(f"{self.address(site)['url']}/_cluster/health", "it")
        if answer.get("status") not in {"yellow", "green"}:
            raise NotReady(f"its state is {answer.get('status', 'unknown')}")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        """End the launcher and, should it be gone already, the server that it started."""
        ours = {f"-Des.path.conf={_configuration(site)}", f"-Djava.io.tmpdir={_temporary(site)}"}
        end_orphans(lambda words: not ours.isdisjoint(words))

    def _settings(self, site: Site) -> str:
        values = {
            **_CONSTANT,
            "path.data": str(site.home.data / self.name),
            "path.logs": str(site.home.logs / self.name),
            "network.host": site.host,
            "http.port": site.ports[self.name],
        }
        # YAML reads every JSON value as itself.
        return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


ELASTICSEARCH = Elasticsearch()


def _home(site: Site) -> Path:
    (pin,) = files_of(_BUNDLE)
    return folder_of(site.downloads, _BUNDLE) / f"{pin.artifact}-{pin.version}"


def _configuration(site: Site) -> Path:
    return site.home.config / "elasticsearch"


def _temporary(site: Site) -> Path:
    return site.home.run / "elasticsearch"


# Reasons stand beside the values; anything not named keeps the server's default.
_CONSTANT: Mapping[str, object] = {
    "cluster.name": "payments",
    "node.name": "local",
    "discovery.type": "single-node",
    "transport.port": "0",  # nobody else joins
    "xpack.security.enabled": False,  # this machine only
    "node.store.allow_mmap": False,  # needs a kernel setting that only root may change
    # A mistyped index must not become one with a guessed mapping.
    "action.auto_create_index": "+transactions-*,-*",
    # By default a disk that is 95 % full makes every index read-only, however much room a large disk has left.
    "cluster.routing.allocation.disk.watermark.low": "2gb",
    "cluster.routing.allocation.disk.watermark.high": "1gb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "512mb",
}
_JVM = f"""-Xms{_HEAP_MB}m
-Xmx{_HEAP_MB}m
-XX:-AlwaysPreTouch
-XX:+UseSerialGC
-XX:+ExitOnOutOfMemoryError
-Djava.io.tmpdir=${{ES_TMPDIR}}
-Djava.net.preferIPv4Stack=true
"""
# The supervisor keeps what is printed and rotates it.
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
