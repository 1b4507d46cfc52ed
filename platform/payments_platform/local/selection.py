"""Which servers and workers a stack has, and which of them are started here.

Belongs here: the list, what a name brings along, what runs elsewhere or cannot run here. Does not: any one server
(servers/), starting them (starting).
"""

from collections.abc import Collection, Sequence

from payments_platform.local import elsewhere, java
from payments_platform.local.failures import StackError
from payments_platform.local.request import Request
from payments_platform.local.servers import code_server
from payments_platform.local.servers.connect import CONNECT
from payments_platform.local.servers.dagster import DAEMON, WEBSERVER
from payments_platform.local.servers.elasticsearch import ELASTICSEARCH
from payments_platform.local.servers.guardian import Guardian
from payments_platform.local.servers.kafka import KAFKA
from payments_platform.local.servers.mongodb import MONGODB
from payments_platform.local.servers.postgres import PLATFORM, PRIMARY, REPLICA
from payments_platform.local.servers.workers import WATCH, WORKERS
from payments_platform.local.service import Service
from payments_platform.settings import is_continuous_integration, servers_elsewhere

SEARCH_OFF = (
    "search: off (no JDK): Elasticsearch needs a whole JDK, 17 or newer; `payments doctor` says how to install one"
)


def services(
    *, ui: bool, streams: bool, workers: bool = False, stop_with: int | None = None, only: Collection[str] = ()
) -> tuple[Service, ...]:
    """Return the servers of the stack, the slowest to start first; with ``only``, those and what they need."""
    guardian: tuple[Service, ...] = () if stop_with is None else (Guardian(stop_with),)
    pages: tuple[Service, ...] = (code_server.SERVER, WEBSERVER, DAEMON, WATCH) if ui else ()
    speed: tuple[Service, ...] = (*(SPEED if streams else ()), *(WORKERS if workers else ()))
    return (*guardian, *_selected((*speed, PRIMARY, PLATFORM, REPLICA, *pages), only))


def _selected(known: Sequence[Service], only: Collection[str]) -> Sequence[Service]:
    by_name = {service.name: service for service in known}
    unknown = sorted(set(only) - set(by_name))
    if unknown:
        raise StackError(f"There is no server {unknown[0]}. Servers: {', '.join(by_name)}.", "payments up --only kafka")
    wanted, found = list(only), set[str]()
    while wanted:
        name = wanted.pop()
        if name in by_name and name not in found:
            found.add(name)
            wanted += by_name[name].after
    return [service for service in known if not only or service.name in found]


SPEED: tuple[Service, ...] = (ELASTICSEARCH, KAFKA, CONNECT, MONGODB)
ALL = services(ui=True, streams=True, workers=True)


def startable(request: Request) -> Sequence[Service]:
    """Return the servers to start: not those that run elsewhere (they must serve), nor what cannot run here."""
    asked = services(
        ui=request.ui,
        streams=request.streams,
        workers=request.workers,
        stop_with=request.stop_with,
        only=request.only,
    )
    others = servers_elsewhere()
    for service in asked:
        if service.name in others:
            elsewhere.require(service.name, request.settings)
    wanted = [service for service in asked if service.name not in others]
    if ELASTICSEARCH in wanted and java.development_kit() is None:
        if is_continuous_integration() or ELASTICSEARCH.name in request.only:
            raise StackError(SEARCH_OFF, "payments doctor")
        request.say(SEARCH_OFF)
        # What only works with it stays off too.
        wanted = [it for it in wanted if it is not ELASTICSEARCH and ELASTICSEARCH.name not in it.after]
    return wanted
