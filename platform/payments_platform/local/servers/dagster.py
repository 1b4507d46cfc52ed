"""Dagster's web server and daemon as services of the stack.

Belongs here: how they are started, and whether they really serve (code location loaded, daemons beating). Does not:
the instance (instance.py), the process that holds the definitions (code_server.py).
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments_platform.local.answers import ask_json
from payments_platform.local.orphans import end_orphans
from payments_platform.local.servers.instance import CODE_SERVER, environment, prepare_workspace, workspace_of
from payments_platform.local.service import Broken, NotReady, Program, Site

WEBSERVER_NAME = "webserver"
_SECONDS = 10
_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@dataclass(frozen=True)
class Dagster:
    """One long-lived process of Dagster; ``arguments`` are those of its console command."""

    name: str
    port: int | None
    command: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = (CODE_SERVER,)
    bundles: tuple[str, ...] = ()

    def address(self, site: Site) -> Mapping[str, object]:
        if self.port is None:
            return {}
        port = site.ports[self.name]
        return {"host": site.host, "port": port, "url": f"http://{site.host}:{port}"}

    def prepare(self, site: Site) -> bool:
        return prepare_workspace(site)

    def program(self, site: Site) -> Program:
        listen = ("-h", site.host, "-p", str(site.ports[self.name])) if self.port is not None else ()
        command = (str(Path(sys.executable).parent / self.command), *self.arguments, *listen)
        return Program(
            command=(*command, "-w", str(workspace_of(site))),
            environment=environment(site),
            directory=site.home.dagster,
            stop_seconds=60,
        )

    def check(self, site: Site) -> None:
        if self.name == WEBSERVER_NAME:
            _check_locations(_ask(site, _LOCATIONS))
        elif WEBSERVER_NAME in site.ports:
            _check_daemons(_ask(site, _DAEMONS))
        # Started without the web server, whose answer it is, its process is all there is to see.

    def complete(self, site: Site) -> None:
        """Nothing is left to do once it serves."""

    def heal(self, site: Site) -> None:
        """End processes of this very workspace whose supervisor was killed: they would hold the port and run twice."""
        workspace = str(workspace_of(site))
        end_orphans(lambda words: workspace in words and any(Path(word).name == self.command for word in words[:3]))


WEBSERVER = Dagster(WEBSERVER_NAME, 3000, "dagster-webserver", ("--dagster-log-level", "warning"))
DAEMON = Dagster("daemon", None, "dagster-daemon", ("run",))


def _ask(site: Site, query: str) -> Any:  # noqa: ANN401  # the shape of the answer is the query's
    """Ask the web server's GraphQL endpoint; ``NotReady`` while nobody answers."""
    url = f"http://{site.host}:{site.ports[WEBSERVER_NAME]}/graphql"
    data = ask_json(url, "the web server", body=json.dumps({"query": query}), seconds=_SECONDS).get("data")
    if not data:
        raise NotReady("the web server answers with an error")
    return data


def _check_locations(data: Any) -> None:  # noqa: ANN401  # the shape of the answer is the query's
    entries = data["workspaceOrError"].get("locationEntries", [])
    for entry in entries:
        outcome = entry["locationOrLoadError"]
        if outcome and outcome["__typename"] == "PythonError":
            raise Broken(f"code location {entry['name']} does not load: {outcome['message'].strip()}")
    if not entries or any(entry["loadStatus"] != "LOADED" for entry in entries):
        raise NotReady("it is still loading the definitions")


def _check_daemons(data: Any) -> None:  # noqa: ANN401  # the shape of the answer is the query's
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    silent = [it["daemonType"] for it in daemons if it["required"] and not it["healthy"]]
    if silent:
        raise NotReady(f"no heartbeat from {', '.join(sorted(silent))}")
