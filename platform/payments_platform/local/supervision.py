"""The process supervisor of one stack: its configuration, starting it, and talking to it.

Belongs here: everything that knows supervisor. Does not: which programs there are, in which order they start (stack).
"""

import contextlib
import http.client
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

import psutil

from payments_platform.local.failures import StackError
from payments_platform.local.home import Home, write_private
from payments_platform.local.ports import HOST
from payments_platform.local.service import Program

USER = "payments"
_ALREADY_STARTED, _NOT_RUNNING, _ALREADY_ADDED = 60, 70, 90
# XML-RPC takes its arguments by position only.
_WAIT, _DO_NOT_WAIT = True, False
_SETTLE_SECONDS = 10.0
_GONE = (OSError, http.client.HTTPException, ProtocolError)


@dataclass(frozen=True)
class State:
    """What the supervisor says about one program: STOPPED, STARTING, RUNNING, BACKOFF, EXITED or FATAL."""

    name: str
    word: str
    pid: int
    since: float
    said: str

    @property
    def runs(self) -> bool:
        return self.word in {"STARTING", "RUNNING"}

    @property
    def waits(self) -> bool:
        """Whether it could not start and is tried again later."""
        return self.word == "BACKOFF"

    @property
    def failed(self) -> bool:
        return self.word in {"FATAL", "UNKNOWN"}


class Supervisor:
    """One supervisord per home. It restarts what dies, and outlives the command that started it."""

    def __init__(self, home: Home, port: int, password: str) -> None:
        self._home, self._port, self._password = home, port, password
        self._identifier = f"payments {home.root}"

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  # XML-RPC has no types
        url = f"http://{USER}:{self._password}@{HOST}:{self._port}/RPC2"
        with ServerProxy(url) as remote:
            return getattr(remote.supervisor, method)(*arguments)

    def alive(self) -> bool:
        """Say whether the supervisor **of this home** answers; another program on its port does not count."""
        try:
            return bool(self._call("getIdentification") == self._identifier)
        except (*_GONE, Fault, ValueError, SyntaxError):
            return False

    def settle(self) -> bool:
        """Say whether the supervisor answers, giving one that is just starting the time to; ends one that is stuck."""
        process = self._process()
        deadline = time.monotonic() + _SETTLE_SECONDS
        while process is not None and process.is_running() and time.monotonic() < deadline:
            if self.alive():
                return True
            time.sleep(0.1)
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return self.alive()

    def configure(self, programs: Mapping[str, Program]) -> None:
        """Write the configuration; a running supervisor takes it over without touching unchanged programs."""
        write_private(self._file, self._configuration(programs))
        if not self.alive():
            self._start()
            return
        ((added, changed, removed),) = self._call("reloadConfig")
        for name in (*removed, *changed):
            self.stop([name])
            self._call("removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)

    def states(self) -> dict[str, State]:
        """Return the state of every program; empty when no supervisor runs."""
        if not self.alive():
            return {}
        return {
            info["name"]: State(info["name"], info["statename"], info["pid"], info["start"], info["spawnerr"])
            for info in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start one program without waiting for it; does nothing when it runs."""
        try:
            self._call("startProcess", name, _DO_NOT_WAIT)
        except Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise StackError(f"{name} cannot be started: {fault.faultString}.", "payments doctor") from None

    def stop(self, names: Iterable[str]) -> None:
        """Stop programs side by side, each with the processes that it had started."""
        with ThreadPoolExecutor(max_workers=8) as stopping:
            for _ in stopping.map(self._stop, names):
                pass

    def _stop(self, name: str) -> None:
        family = _family(self.states().get(name))
        try:
            self._call("stopProcess", name, _WAIT)
        except Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise StackError(f"{name} cannot be stopped: {fault.faultString}.", "payments down") from None
        _end(family)

    def shutdown(self) -> None:
        """End the supervisor itself; its programs are stopped before."""
        process = self._process()
        # It gives up its groups one a second, empty ones too.
        with contextlib.suppress(*_GONE):
            for name in [state.name for state in self.states().values() if not state.runs]:
                with contextlib.suppress(Fault):
                    self._call("removeProcessGroup", name)
        with contextlib.suppress(*_GONE):
            self._call("shutdown")
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.wait(timeout=90)
        self._pid_file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._home.config / "supervisord.conf"

    @property
    def _pid_file(self) -> Path:
        return self._home.run / "supervisord.pid"

    def _process(self) -> psutil.Process | None:
        """Return the process that runs with this home's configuration: pid files lie after a crash."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if str(self._file) in words and "supervisor.supervisord" in words:
                return process
        return None

    def _start(self) -> None:
        self._pid_file.unlink(missing_ok=True)
        log = self._home.log_of("supervisord")
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._file)]
        with log.open("ab") as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60, check=False
            )
        deadline = time.monotonic() + 20
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.alive():
                return
            time.sleep(0.05)
        raise StackError("The process supervisor did not start.", "payments doctor", log=log)

    def _configuration(self, programs: Mapping[str, Program]) -> str:
        head: dict[str, dict[str, object]] = {
            "supervisord": {
                "identifier": self._identifier,
                "logfile": self._home.log_of("supervisord"),
                "logfile_maxbytes": "5MB",
                "logfile_backups": "1",
                "pidfile": self._pid_file,
                "childlogdir": self._home.logs,
                "directory": self._home.run,
                "umask": "077",
            },
            "inet_http_server": {"port": f"{HOST}:{self._port}", "username": USER, "password": self._password},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        parts = [_section(title, values) for title, values in head.items()]
        home = self._home
        parts += [program_section(name, it, home.run, home.log_of(name)) for name, it in programs.items()]
        return "\n".join(parts)


def program_section(name: str, program: Program, run: Path, log: Path) -> str:
    """Return the supervisor's lines for one program; any path and value is read back as it was."""
    pairs = (f'{key}="{value}"' for key, value in program.environment.items())
    values: dict[str, object] = {
        "command": " ".join(shlex.quote(word) for word in program.command),
        "environment": ",".join(pairs),
        "directory": program.directory or run,
        "autostart": "false",  # `up` starts them in order
        "autorestart": "true",
        "startsecs": "1",
        # With pauses that grow by a second: what cannot start on a full disk starts by itself once there is room.
        "startretries": "1000",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "killasgroup": "true",
        "stdout_logfile": log,
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "1",
        "redirect_stderr": "true",
    }
    return _section(f"program:{name}", values)


def _section(title: str, values: Mapping[str, object]) -> str:
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in values.items() if str(value)]
    return "\n".join([f"[{title}]", *lines, ""])


def _family(state: State | None) -> list[psutil.Process]:
    try:
        return psutil.Process(state.pid).children(recursive=True) if state and state.pid else []
    except psutil.NoSuchProcess:
        return []


def _end(processes: list[psutil.Process]) -> None:
    """End what a stopped program left running, such as the child of the code server."""
    _, left = psutil.wait_procs(processes, timeout=1)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(left, timeout=10)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
