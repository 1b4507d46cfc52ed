"""Dagster's code server: one process that holds the definitions for the web server, the daemon and every run.

Belongs here: how it is started, and whether it serves. Does not: who asks it (dagster.py), the definitions.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from payments_platform.local import with_child
from payments_platform.local.orphans import end_orphans
from payments_platform.local.ports import is_open
from payments_platform.local.servers.instance import CODE_SERVER, LOCATION, environment, prepare_policy
from payments_platform.local.service import NotReady, Program, Site

# The child that holds the definitions ends itself when its parent is not heard for so long. The 20 s that a daemon
# gives a child of its own pass on a busy machine, and the next child has everything to import again.
_TTL_SECONDS: Final = 300


@dataclass(frozen=True)
class CodeServer:
    """`dagster code-server`: "Reload definitions" in the UI gives it a new child, and with it the changed code."""

    name: str = CODE_SERVER
    port: int = 3030
    after: tuple[str, ...] = ("platform",)
    bundles: tuple[str, ...] = ()

    def address(self, site: Site) -> Mapping[str, object]:
        return {"host": site.host, "port": site.ports[self.name]}

    def prepare(self, site: Site) -> bool:
        return prepare_policy(site)

    def program(self, site: Site) -> Program:
        dagster = str(Path(sys.executable).parent / "dagster")
        start = (sys.executable, "-m", with_child.__name__, dagster, "code-server", "start")
        module = ("-m", "payments_platform.definitions", "--location-name", LOCATION)
        listen = ("-h", site.host, "-p", str(site.ports[self.name]))
        patience = ("--startup-timeout", str(_TTL_SECONDS), "--heartbeat-ttl", str(_TTL_SECONDS))
        return Program(
            command=(*start, *module, *listen, *patience),
            environment=environment(site),
            directory=site.home.dagster,
            stop_seconds=10,
        )

    def check(self, site: Site) -> None:
        # It listens once its child serves; whether the definitions load is what the web server is asked (dagster.py).
        if not is_open(site.ports[self.name]):
            raise NotReady("it does not listen yet")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        """End servers of this very home whose supervisor was killed; runs that they launched go on."""
        served = ({"code-server", "start"}, {"api", "grpc"})
        end_orphans(lambda words: any(it <= set(words[:6]) for it in served), home=site.home.root)


SERVER: Final = CodeServer()
