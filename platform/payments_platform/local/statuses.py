"""Whether each server of a stack serves now.

Belongs here: the lines of `payments status`. Does not: printing them (commands/), how one server is asked (servers/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from payments_platform.local import elsewhere
from payments_platform.local.home import Home
from payments_platform.local.selection import ALL
from payments_platform.local.servers.kafka import KAFKA
from payments_platform.local.service import NotReady, Service, Site
from payments_platform.local.sites import known_site, supervisor_of
from payments_platform.local.supervision import State, Supervisor
from payments_platform.settings import STREAM_VARIABLES, Settings, servers_elsewhere


@dataclass(frozen=True)
class ServiceStatus:
    """One line of the status table."""

    name: str
    state: str
    ready: bool
    pid: int
    address: Mapping[str, object]
    note: str


def status(home: Home) -> list[ServiceStatus]:
    """Ask every server whether it serves; empty when this home has never been up."""
    site = known_site(home)
    if site is None:
        return []
    here = home.services()
    known = [service for service in ALL if service.name in here]
    settings = Settings(home=home.root, environment=site.environment)
    return [*of_services(site, supervisor_of(site), known), *of_others(settings, streams=KAFKA.name not in here)]


def of_services(site: Site, supervisor: Supervisor, known: Sequence[Service]) -> list[ServiceStatus]:
    """One line for each server of the stack."""
    states = supervisor.states()
    return [_status_of(site, states.get(service.name), service) for service in known]


def _status_of(site: Site, state: State | None, service: Service) -> ServiceStatus:
    word, pid = (state.word.lower(), state.pid) if state else ("stopped", 0)
    note = state.said if state else ""
    ready = False
    if state and state.runs:
        try:
            service.check(site)
            ready = True
        except NotReady as why:
            note = str(why).splitlines()[0]
    return ServiceStatus(service.name, word, ready, pid, service.address(site), note)


def of_others(settings: Settings, streams: bool) -> list[ServiceStatus]:
    """One line for each server that somebody else runs, if asked for; without its address, which may hold a secret."""
    return [_status_of_other(name, settings) for name in sorted(servers_elsewhere())] if streams else []


def _status_of_other(name: str, settings: Settings) -> ServiceStatus:
    note = f"named by {STREAM_VARIABLES[name]}"
    try:
        elsewhere.check(name, settings)
    except NotReady as why:
        return ServiceStatus(name, "elsewhere", ready=False, pid=0, address={}, note=f"{note}: {why}")
    return ServiceStatus(name, "elsewhere", ready=True, pid=0, address={}, note=note)
