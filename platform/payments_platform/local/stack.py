"""Bringing the local stack up and down.

Belongs here: what `payments up`, `down`, `reset` and `clean` do, in order. Does not: any one server (servers/), which
are started (selection), ports (sites), readiness (starting), the supervisor's own language (supervision).
"""

from pathlib import Path

from payments_platform.local import dotenv, downloads
from payments_platform.local.home import DEFAULT_NAME, Home
from payments_platform.local.milestones import Milestones
from payments_platform.local.request import Request, Say
from payments_platform.local.selection import ALL, startable
from payments_platform.local.servers import instance
from payments_platform.local.sites import choose_site, heal, inner_addresses, known_site, supervisor_of
from payments_platform.local.starting import start_all
from payments_platform.local.statuses import ServiceStatus, of_others, of_services
from payments_platform.local.supervision import Supervisor


def up(request: Request) -> list[ServiceStatus]:
    """Start what does not run, wait until it serves, migrate the source database. Safe to repeat and to interrupt.

    The source is migrated before the pages start: definitions that look at it find it complete.
    """
    home = request.home
    home.create()
    with home.lock():
        wanted = startable(request)
        bundles = dict.fromkeys(bundle for service in wanted for bundle in service.bundles)
        downloads.fetch(list(bundles), request.cache, request.say)
        site = choose_site(request, wanted)
        supervisor = supervisor_of(site)
        home.save_services({it.name: it.address(site) for it in wanted} | inner_addresses(site))
        if not request.ui:
            # Commands run jobs against the instance without its pages too; with them, they prepare it themselves.
            instance.prepare_policy(site)
        start_all(site, supervisor, wanted, request.say, Milestones(request, wanted).passed)
        if _owns_dotenv(request.home, request.project):
            dotenv.write(request.project / ".env", instance.environment(site))
        return [*of_services(site, supervisor, wanted), *of_others(request.settings, request.streams)]


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
            _stop_in_turn(supervisor, say)
            supervisor.shutdown()
        heal(site, ALL)
        return ran


def _stop_in_turn(supervisor: Supervisor, say: Say) -> None:
    """Stop side by side whatever no running server needs any more, until nothing runs."""
    states = supervisor.states()
    left = [it for it in ALL if it.name in states and states[it.name].word not in {"STOPPED", "EXITED", "FATAL"}]
    while left:
        needed = {name for service in left for name in service.after}
        turn = [service.name for service in left if service.name not in needed]
        say(f"stopping {', '.join(turn)}")
        supervisor.stop(turn)
        left = [service for service in left if service.name in needed]


def remove(home: Home, project: Path, *, downloads: bool, say: Say) -> dict[str, int]:
    """Stop the stack and delete its data (with ``downloads``, all of the home); return the bytes freed by folder."""
    home.require()
    down(home, say)
    if _owns_dotenv(home, project):
        dotenv.remove(project / ".env")
    return home.remove(downloads=downloads)


def _owns_dotenv(home: Home, project: Path) -> bool:
    """Say whether this is the stack that a plain shell in the project finds."""
    return home.root.resolve() == (project / DEFAULT_NAME).resolve()
