"""Where a stack's servers listen: the ports of the last start, the usual ones or free ones; and what a crash left.

Belongs here: choosing and remembering ports, the supervisor of a home, healing. Does not: which servers there are
(selection), finding a free port (ports).
"""

from collections.abc import Collection, Mapping, Sequence

from payments_platform.local import ports
from payments_platform.local.home import Home
from payments_platform.local.request import Request, Say
from payments_platform.local.servers import kafka
from payments_platform.local.servers.kafka import KAFKA
from payments_platform.local.service import Service, Site
from payments_platform.local.supervision import Supervisor

SUPERVISOR = "supervisor"
SUPERVISOR_PORT = 9001

# Ports beside the servers' own: whose it is (None: the stack's), and the usual number.
_INNER_PORTS: Mapping[str, tuple[str | None, int]] = {
    SUPERVISOR: (None, SUPERVISOR_PORT),
    kafka.CONTROLLER: (KAFKA.name, kafka.CONTROLLER_PORT),
}


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


def choose_site(request: Request, wanted: Sequence[Service]) -> Site:
    """Choose the ports: of what runs its own, else last time's, else the usual one, else the next free one."""
    home, passwords = request.home, request.home.secrets().passwords
    before = _ports_of(home)
    running = _running(home, before, passwords)
    heal(Site(home, before, passwords, request.project, request.cache), [it for it in wanted if it.name not in running])
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


def heal(site: Site, stopped: Sequence[Service]) -> None:
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


def inner_addresses(site: Site) -> dict[str, dict[str, object]]:
    """Ports that nobody but the stack itself connects to, kept for the next ``up``."""
    return {name: {"host": site.host, "port": site.ports[name]} for name in _INNER_PORTS if name in site.ports}
