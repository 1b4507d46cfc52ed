"""Bringing the local stack up and down: order, ports, readiness, healing after a crash.

Belongs here: what `payments up`, `down` and `status` do. Does not: any one server (servers/), the supervisor's own
language (supervision), printing (commands/).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from payments_platform.local import dotenv, downloads, elsewhere, java, ports
from payments_platform.local.failures import StackError
from payments_platform.local.home import DEFAULT_NAME, Home
from payments_platform.local.servers import dagster, kafka
from payments_platform.local.servers.connect import CONNECT
from payments_platform.local.servers.dagster import DAEMON, WEBSERVER
from payments_platform.local.servers.elasticsearch import ELASTICSEARCH
from payments_platform.local.servers.guardian import Guardian
from payments_platform.local.servers.kafka import KAFKA
from payments_platform.local.servers.mongodb import MONGODB
from payments_platform.local.servers.postgres import PLATFORM, PRIMARY, REPLICA
from payments_platform.local.servers.workers import WORKERS
from payments_platform.local.service import NotReady, Service, Site
from payments_platform.local.starting import start_all
from payments_platform.local.supervision import State, Supervisor
from payments_platform.settings import (
    STREAM_VARIABLES,
    Environment,
    Settings,
    is_continuous_integration,
    servers_elsewhere,
)

SEARCH_OFF = (
    "search: off (no JDK): Elasticsearch needs a whole JDK, 17 or newer; `payments doctor` says how to install one"
)
SUPERVISOR = "supervisor"
SUPERVISOR_PORT = 9001

# Ports beside the servers' own: whose it is (None: the stack's), and the usual number.
_INNER_PORTS: Mapping[str, tuple[str | None, int]] = {
    SUPERVISOR: (None, SUPERVISOR_PORT),
    kafka.CONTROLLER: (KAFKA.name, kafka.CONTROLLER_PORT),
}

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


def services(
    *, ui: bool, streams: bool, workers: bool = False, stop_with: int | None = None, only: Collection[str] = ()
) -> tuple[Service, ...]:
    """Return the servers of the stack, the slowest to start first; with ``only``, those and what they need."""
    guardian: tuple[Service, ...] = () if stop_with is None else (Guardian(stop_with),)
    pages: tuple[Service, ...] = (WEBSERVER, DAEMON) if ui else ()
    speed: tuple[Service, ...] = (*(_SPEED if streams else ()), *(WORKERS if workers else ()))
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


_SPEED: tuple[Service, ...] = (ELASTICSEARCH, KAFKA, CONNECT, MONGODB)
_ALL = services(ui=True, streams=True, workers=True)


@dataclass(frozen=True)
class Request:
    """What is asked of ``up``: for which home, which servers, and how it talks.

    ``streams`` adds the servers of the speed layer, ``workers`` the programs between them; ``only`` names some of all
    of these. Homes may share ``downloads``.
    """

    home: Home
    project: Path
    downloads: Path | None = None
    ui: bool = True
    streams: bool = False
    workers: bool = False
    only: tuple[str, ...] = ()
    environment: Environment = "local"
    any_ports: bool = False
    stop_with: int | None = None
    say: Say = _silent

    @property
    def cache(self) -> Path:
        """Where the files of the Java servers lie."""
        return self.downloads or self.home.downloads

    @property
    def settings(self) -> Settings:
        """The settings of this very home, whatever the variables say."""
        return Settings(home=self.home.root, environment=self.environment)


def up(request: Request) -> list[ServiceStatus]:
    """Start what does not run, wait until it serves, migrate the source database. Safe to repeat and to interrupt.

    The source is migrated before the pages start: definitions that look at it find it complete.
    """
    home = request.home
    home.create()
    with home.lock():
        wanted = _startable(request)
        bundles = dict.fromkeys(bundle for service in wanted for bundle in service.bundles)
        downloads.fetch(list(bundles), request.cache, request.say)
        site = _site(request, wanted)
        supervisor = supervisor_of(site)
        home.save_services({it.name: it.address(site) for it in wanted} | _inner_addresses(site))
        if not request.ui:
            # Commands run jobs against the instance without its pages too; with them, they prepare it themselves.
            WEBSERVER.prepare(site)
        start_all(site, supervisor, wanted, request.say, lambda service: _completed(request, wanted, service))
        if _owns_dotenv(request.home, request.project):
            dotenv.write(request.project / ".env", dagster.environment(site))
        return [*_status(site, supervisor, wanted), *_status_elsewhere(request.settings, request.streams)]


def _startable(request: Request) -> Sequence[Service]:
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
            for service in reversed(_ALL):
                if service.name in states and states[service.name].word not in {"STOPPED", "EXITED", "FATAL"}:
                    say(f"stopping {service.name}")
                    supervisor.stop([service.name])
            supervisor.shutdown()
        _heal(site, _ALL)
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
    here = home.services()
    known = [service for service in _ALL if service.name in here]
    settings = Settings(home=home.root, environment=site.environment)
    return [*_status(site, supervisor_of(site), known), *_status_elsewhere(settings, streams=KAFKA.name not in here)]


def supervisor_of(site: Site) -> Supervisor:
    """Return the supervisor of a stack, running or not."""
    return Supervisor(site.home, site.ports[SUPERVISOR], site.passwords["supervisor"])


def known_site(home: Home) -> Site | None:
    """Return what the last ``up`` of this home decided."""
    known = home.services() if home.exists() else {}
    if SUPERVISOR not in known:
        return None
    # Nothing is started from this site, so the project and the downloads are not looked at.
    return Site(home, _ports_of(home), home.secrets().passwords, home.root, home.downloads)


def _site(request: Request, wanted: Sequence[Service]) -> Site:
    """Choose the ports: of what runs its own, else last time's, else the usual one, else the next free one."""
    home, passwords = request.home, request.home.secrets().passwords
    before = _ports_of(home)
    running = _running(home, before, passwords)
    _heal(
        Site(home, before, passwords, request.project, request.cache), [it for it in wanted if it.name not in running]
    )
    usual = usual_ports(wanted)
    if KAFKA.name in running:
        running.add(kafka.CONTROLLER)
    chosen = {name: port for name, port in before.items() if name in running}
    with ports.claims() as claimed:
        for name, port in usual.items():
            if name not in chosen:
                default = 0 if request.any_ports else port
                others = {number for other, number in usual.items() if other != name}
                reserved = {*chosen.values(), *others, *claimed}
                chosen[name] = _choose(name, before.get(name), default, reserved, request.say)
        claimed.update(chosen.values())
    return Site(home, chosen, passwords, request.project, request.cache, request.environment)


def _ports_of(home: Home) -> dict[str, int]:
    return {name: int(str(at["port"])) for name, at in home.services().items() if "port" in at}


def usual_ports(wanted: Sequence[Service]) -> dict[str, int]:
    """Return the ports that the services and the stack itself take when these are free."""
    own = {it.name: it.port for it in wanted if it.port is not None}
    inner = {name: port for name, (of, port) in _INNER_PORTS.items() if of is None or of in own}
    return inner | own


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


def _status_elsewhere(settings: Settings, streams: bool) -> list[ServiceStatus]:
    """One line for each server that somebody else runs, if asked for; without its address, which may hold a secret."""
    return [_status_of_other(name, settings) for name in sorted(servers_elsewhere())] if streams else []


def _status_of_other(name: str, settings: Settings) -> ServiceStatus:
    note = f"named by {STREAM_VARIABLES[name]}"
    try:
        elsewhere.check(name, settings)
    except NotReady as why:
        return ServiceStatus(name, "elsewhere", ready=False, pid=0, address={}, note=f"{note}: {why}")
    return ServiceStatus(name, "elsewhere", ready=True, pid=0, address={}, note=note)


def _owns_dotenv(home: Home, project: Path) -> bool:
    """Say whether this is the stack that a plain shell in the project finds."""
    return home.root.resolve() == (project / DEFAULT_NAME).resolve()


def _inner_addresses(site: Site) -> dict[str, dict[str, object]]:
    """Ports that nobody but the stack itself connects to, kept for the next ``up``."""
    return {name: {"host": site.host, "port": site.ports[name]} for name in _INNER_PORTS if name in site.ports}


def _completed(request: Request, wanted: Sequence[Service], service: Service) -> None:
    if service.name == PRIMARY.name:
        _migrate(request.settings)
    # Without workers nobody reads the topics, and a slot that is not needed would hold back the source's log.
    if service.name == CONNECT.name and any(worker in wanted for worker in WORKERS):
        _capture(request)


def _migrate(settings: Settings) -> None:
    """Bring the source database to the newest schema, as its owner."""
    from payments_platform.oltp.migrate import migrate

    migrate(settings.postgres("primary", "owner"))


def _capture(request: Request) -> None:
    """Make topics, connector and slot. A gap is said and left to a person: going on would hide what is missing."""
    from payments_platform.streaming.capture.apply import apply
    from payments_platform.streaming.capture.build import capture_of
    from payments_platform.streaming.capture.control import CaptureGap

    try:
        apply(capture_of(request.settings, request.say))
    except CaptureGap as gap:
        request.say(f"change capture does not run: {gap}")
