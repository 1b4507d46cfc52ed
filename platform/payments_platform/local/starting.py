"""Starting servers together: each as soon as those it needs serve, all of them awaited at once.

Belongs here: order, readiness, giving up. Does not: which servers there are and where they listen (stack), any one
server (servers/).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from payments_platform.local.failures import StackError
from payments_platform.local.service import Broken, NotReady, Service, Site
from payments_platform.local.supervision import Supervisor

_READY_SECONDS = 300.0
# A server that ends at once is tried again for this long: the last sessions of a killed one may still be ending.
_CRASH_SECONDS = 6.0
_LOOK_EVERY_SECONDS = 0.1

Say = Callable[[str], None]


def start_all(
    site: Site, supervisor: Supervisor, wanted: Sequence[Service], say: Say, completed: Callable[[Service], None]
) -> None:
    """Start every service once what it needs serves; return when all serve.

    ``completed`` is called for each when it serves, before anything that needs it starts. Servers take seconds to
    start, so those that do not need each other start side by side.
    """
    supervisor.configure({service.name: service.program(site) for service in wanted})
    names = {service.name for service in wanted}
    waiting, starting, ready = list(wanted), list[_Awaited](), set[str]()
    while waiting or starting:
        for service in [it for it in waiting if set(it.after) & names <= ready]:
            _start(site, supervisor, service, say)
            waiting.remove(service)
            starting.append(_Awaited(site, supervisor, service))
        for awaited in [it for it in starting if it.is_ready()]:
            awaited.service.complete(site)
            completed(awaited.service)
            starting.remove(awaited)
            ready.add(awaited.service.name)
        if starting:
            time.sleep(_LOOK_EVERY_SECONDS)


@dataclass
class _Awaited:
    """One service that was started and does not serve yet."""

    site: Site
    supervisor: Supervisor
    service: Service
    deadline: float = field(default_factory=lambda: time.monotonic() + _READY_SECONDS)
    crashed: float | None = None

    def is_ready(self) -> bool:
        """Look once; raises ``StackError`` with the last log lines at once when the server gave up."""
        try:
            self.service.check(self.site)
        except Broken as why:
            raise self._failure(str(why), "mend what the message names, then: payments up") from None
        except NotReady as why:
            if self._has_given_up():
                raise self._failure(str(why), "payments doctor") from None
            return False
        return True

    def _has_given_up(self) -> bool:
        if time.monotonic() > self.deadline:
            return True
        state = self.supervisor.states().get(self.service.name)
        if state is None or state.failed:
            return True
        if state.waits:
            self.crashed = self.crashed or time.monotonic()
        return self.crashed is not None and time.monotonic() - self.crashed > _CRASH_SECONDS

    def _failure(self, seen: str, then: str) -> StackError:
        name = self.service.name
        return StackError(f"{name} did not become ready: {seen}.", then, log=self.site.home.log_of(name))


def _start(site: Site, supervisor: Supervisor, service: Service, say: Say) -> None:
    changed = service.prepare(site)
    state = supervisor.states().get(service.name)
    running = state is not None and state.runs
    if state is not None and state.waits:
        # Its pause may have grown to minutes.
        supervisor.stop([service.name])
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
