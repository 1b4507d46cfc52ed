"""Bringing the local stack up and down: order, ports, readiness, healing after a crash.

Belongs here: what `payments up`, `down` and `status` do. Does not: any one server (servers/), the supervisor's own
language (supervision), printing (commands/).
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local import dotenv, ports
from payments_platform.local.failures import StackError
from payments_platform.local.home import DEFAULT_NAME, Home
from payments_platform.local.servers import dagster
from payments_platform.local.servers.dagster import DAEMON, WEBSERVER
from payments_platform.local.servers.guardian import Guardian
from payments_platform.local.servers.postgres import PLATFORM, PRIMARY, REPLICA
from payments_platform.local.service import Broken, NotReady, Service, Site
from payments_platform.local.supervision import State, Supervisor

SUPERVISOR = "supervisor"
SUPERVISOR_PORT = 9001
_READY_SECONDS = 180.0
# A server that ends at once is tried again for this long: the last sessions of a killed one may still be ending.
_CRASH_SECONDS = 6.0

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class ServiceStatus:
    """One line of the status table."""

    name: str
    state: str
    ready: bool
    pid: int
    address: Mapping[str, object]
    note: str


def services(*, ui: bool, stop_with: int | None = None) -> tuple[Service, ...]:
    """Return the servers of the stack in starting order."""
    guardian: tuple[Service, ...] = () if stop_with is None else (Guardian(stop_with),)
    pages: tuple[Service, ...] = (WEBSERVER, DAEMON) if ui else ()
    return (*guardian, PRIMARY, PLATFORM, REPLICA, *pages)


@dataclass(frozen=True)
class Request:
    """What is asked of ``up``: for which home, which servers, and how it talks."""

    home: Home
    project: Path
    ui: bool = True
    environment: str = "local"
    any_ports: bool = False
    stop_with: int | None = None
    say: Say = _silent


def up(request: Request) -> list[ServiceStatus]:
    """Start what does not run, wait until it serves, migrate the source database. Safe to repeat and to interrupt.

    The source is migrated before the pages start: definitions that look at it find it complete.
    """
    home = request.home
    home.create()
    with home.lock():
        wanted = services(ui=request.ui, stop_with=request.stop_with)
        site = _site(request, wanted)
        supervisor = supervisor_of(site)
        home.save_services({it.name: it.address(site) for it in wanted} | _supervisor_address(site))
        if not request.ui:
            # Commands run jobs against the instance without its pages too; with them, they prepare it themselves.
            WEBSERVER.prepare(site)
        _start_all(site, supervisor, wanted, request.say)
        if _owns_dotenv(request.home, request.project):
            dotenv.write(request.project / ".env", dagster.environment(site))
        return _status(site, supervisor, wanted)


def down(home: Home, say: Say) -> bool:
    """Stop every server cleanly, and what a killed supervisor left; return whether anything ran."""
    if not home.exists():
        return False
    with home.lock():
        site = known_site(home)
        if site is None:
            return False
        supervisor = supervisor_of(site)
        ran = supervisor.settle()
        if ran:
            states = supervisor.states()
            for service in reversed(services(ui=True)):
                if service.name in states and states[service.name].word not in {"STOPPED", "EXITED", "FATAL"}:
                    say(f"stopping {service.name}")
                    supervisor.stop([service.name])
            supervisor.shutdown()
        _heal(site, services(ui=True))
        return ran


def remove(home: Home, project: Path, *, downloads: bool, say: Say) -> dict[str, int]:
    """Stop the stack and delete its data (with ``downloads``, all of the home); return the bytes freed by folder."""
    home.require()
    down(home, say)
    if _owns_dotenv(home, project):
        dotenv.remove(project / ".env")
    return home.remove(downloads=downloads)


def status(home: Home) -> list[ServiceStatus]:
    """Ask every server whether it serves; empty when this home has never been up."""
    site = known_site(home)
    if site is None:
        return []
    known = [service for service in services(ui=True) if service.name in home.services()]
    return _status(site, supervisor_of(site), known)


def supervisor_of(site: Site) -> Supervisor:
    """Return the supervisor of a stack, running or not."""
    return Supervisor(site.home, site.ports[SUPERVISOR], site.passwords["supervisor"])


def known_site(home: Home) -> Site | None:
    """Return what the last ``up`` of this home decided."""
    known = home.services() if home.exists() else {}
    if SUPERVISOR not in known:
        return None
    return Site(home, _ports_of(home), home.secrets().passwords, home.root)


def _site(request: Request, wanted: Sequence[Service]) -> Site:
    """Choose the ports: of what runs its own, else last time's, else the usual one, else the next free one."""
    home, passwords = request.home, request.home.secrets().passwords
    before = _ports_of(home)
    running = _running(home, before, passwords)
    _heal(Site(home, before, passwords, request.project), [it for it in wanted if it.name not in running])
    usual = {SUPERVISOR: SUPERVISOR_PORT, **{it.name: it.port for it in wanted if it.port is not None}}
    chosen = {name: port for name, port in before.items() if name in running}
    with ports.claims() as claimed:
        for name, port in usual.items():
            if name not in chosen:
                default = 0 if request.any_ports else port
                others = {number for other, number in usual.items() if other != name}
                reserved = {*chosen.values(), *others, *claimed}
                chosen[name] = _choose(name, before.get(name), default, reserved, request.say)
        claimed.update(chosen.values())
    return Site(home, chosen, passwords, request.project, request.environment)


def _ports_of(home: Home) -> dict[str, int]:
    return {name: int(str(at["port"])) for name, at in home.services().items() if "port" in at}


def _running(home: Home, before: Mapping[str, int], passwords: Mapping[str, str]) -> set[str]:
    if SUPERVISOR not in before:
        return set()
    supervisor = Supervisor(home, before[SUPERVISOR], passwords["supervisor"])
    if not supervisor.settle():
        return set()
    return {SUPERVISOR, *(name for name, state in supervisor.states().items() if state.runs)}


def _heal(site: Site, stopped: Sequence[Service]) -> None:
    """Undo what a crash left, last service first: a copy ends before its source."""
    for service in reversed(stopped):
        service.heal(site)


def _choose(name: str, before: int | None, usual: int, reserved: Collection[int], say: Say) -> int:
    if before is not None and before not in reserved and not ports.is_taken(before):
        return before
    port = ports.choose(usual, reserved)
    # A port that the system gave last time (usual is 0) has nothing usual about it, but scripts may have kept it.
    expected = usual or before
    if expected is not None and expected != port:
        say(f"port {expected} is taken: {name} listens on {port}")
    return port


def _start_all(site: Site, supervisor: Supervisor, wanted: Sequence[Service], say: Say) -> None:
    """Start the services in waves: each wave is prepared together, then all of it must be ready."""
    supervisor.configure({service.name: service.program(site) for service in wanted})
    ready: set[str] = set()
    waiting = list(wanted)
    while waiting:
        wave = [service for service in waiting if set(service.after) <= ready]
        for service in wave:
            _start(site, supervisor, service, say)
        for service in wave:
            wait_ready(site, supervisor, service)
            service.complete(site)
            if service.name == PRIMARY.name:
                _migrate(site.home)
        ready |= {service.name for service in wave}
        waiting = [service for service in waiting if service not in wave]


def _start(site: Site, supervisor: Supervisor, service: Service, say: Say) -> None:
    changed = service.prepare(site)
    running = service.name in (states := supervisor.states()) and states[service.name].runs
    if running and changed:
        say(f"restarting {service.name}: its configuration changed")
        supervisor.stop([service.name])
    elif running and _is_broken(site, service):
        say(f"restarting {service.name}: it runs but cannot serve")
        supervisor.stop([service.name])
    elif not running:
        say(f"starting {service.name}")
    supervisor.start(service.name)


def _is_broken(site: Site, service: Service) -> bool:
    """Whether only a restart can help, as when the definitions it loaded did not load and have been mended since."""
    try:
        service.check(site)
    except NotReady as why:
        return isinstance(why, Broken)
    return False


def wait_ready(site: Site, supervisor: Supervisor, service: Service, seconds: float = _READY_SECONDS) -> None:
    """Wait until the service serves; raises ``StackError`` with its last log lines at once when it gave up."""
    deadline = time.monotonic() + seconds
    crashed: float | None = None
    seen, then = "", "payments doctor"
    while time.monotonic() < deadline:
        try:
            service.check(site)
        except Broken as why:
            seen, then = str(why), "mend what the message names, then: payments up"
            break
        except NotReady as why:
            seen = str(why)
        else:
            return
        state = supervisor.states().get(service.name)
        if state is None or state.failed:
            break
        if state.word == "BACKOFF":
            crashed = crashed or time.monotonic()
            if time.monotonic() - crashed > _CRASH_SECONDS:
                break
        time.sleep(0.1)
    raise StackError(f"{service.name} did not become ready: {seen}.", then, log=site.home.log_of(service.name))


def _status(site: Site, supervisor: Supervisor, known: Sequence[Service]) -> list[ServiceStatus]:
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


def _owns_dotenv(home: Home, project: Path) -> bool:
    """Say whether this is the stack that a plain shell in the project finds."""
    return home.root.resolve() == (project / DEFAULT_NAME).resolve()


def _supervisor_address(site: Site) -> dict[str, dict[str, object]]:
    return {SUPERVISOR: {"host": site.host, "port": site.ports[SUPERVISOR]}}


def _migrate(home: Home) -> None:
    """Bring the source database to the newest schema, as its owner."""
    from payments_platform.oltp.migrate import migrate
    from payments_platform.settings import Settings

    migrate(Settings(home=home.root).postgres("primary", "owner"))
