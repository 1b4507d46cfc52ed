"""Workers as supervised programs of the stack: restarted when they die, stopped with time to finish.

Belongs here: how they are started and seen to run. Does not: what a worker does (streaming/, operations/).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local.answers import OK, ask
from payments_platform.local.orphans import end_orphans
from payments_platform.local.servers.connect import CONNECT
from payments_platform.local.servers.elasticsearch import ELASTICSEARCH
from payments_platform.local.servers.instance import environment
from payments_platform.local.servers.mongodb import MONGODB
from payments_platform.local.servers.postgres import PLATFORM, REPLICA
from payments_platform.local.service import NotReady, Program, Site
from payments_platform.settings import variables_elsewhere

_PAYMENTS = "payments"


@dataclass(frozen=True)
class Worker:
    """One worker: a `payments` command that runs in the foreground; at ``port`` it tells Prometheus how it does."""

    name: str
    arguments: tuple[str, ...]
    port: int
    after: tuple[str, ...]
    bundles: tuple[str, ...] = ()

    def address(self, site: Site) -> Mapping[str, object]:
        port = site.ports[self.name]
        return {"host": site.host, "port": port, "url": f"http://{site.host}:{port}/metrics"}

    def prepare(self, site: Site) -> bool:
        del site
        return False

    def program(self, site: Site) -> Program:
        command = (str(Path(sys.executable).parent / _PAYMENTS), *self.arguments)
        return Program(
            command=(*command, "--metrics-port", str(site.ports[self.name])),
            environment=environment(site) | variables_elsewhere(),
            directory=site.home.run,
            stop_seconds=30,  # it finishes its batch and commits
        )

    def check(self, site: Site) -> None:
        status, _ = ask(str(self.address(site)["url"]), "its metrics page")
        if status != OK:
            raise NotReady(f"its metrics page answers {status}")

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it runs."""

    def heal(self, site: Site) -> None:
        """End a worker of this very home that nobody supervises: two of one name would take turns for ever."""
        end_orphans(lambda words: _follows(words, (_PAYMENTS, *self.arguments)), home=site.home.root)


# Capture is set up when Connect serves (milestones.py), and with it the topics that the others read. Its guardian
# looks at the copy of the slot on the replica.
WORKERS = (
    Worker("capture", ("capture", "watch", "--no-apply"), 9409, (CONNECT.name, REPLICA.name)),
    Worker("processor", ("stream", "run", "processor"), 9410, (CONNECT.name,)),
    Worker("sink-mongodb", ("stream", "run", "sink-mongodb"), 9411, (CONNECT.name, MONGODB.name)),
    Worker("sink-elasticsearch", ("stream", "run", "sink-elasticsearch"), 9412, (CONNECT.name, ELASTICSEARCH.name)),
    Worker("sink-lake", ("stream", "run", "sink-lake"), 9413, (CONNECT.name,)),
)

# Not of the speed layer: the dead-man's switch of the alerts, which serves the platform's own metrics too.
WATCH = Worker("alerts-watch", ("alerts", "watch"), 9414, (PLATFORM.name,))


def _follows(words: Sequence[str], wanted: tuple[str, ...]) -> bool:
    """Say whether a command line holds these words in a row, the first of them as a program of any folder."""
    line = [*(Path(word).name for word in words[:2]), *words[2:]]
    return any(tuple(line[at : at + len(wanted)]) == wanted for at in range(len(line)))
