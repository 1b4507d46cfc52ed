"""Kafka Connect: its REST interface, for one connector.

Belongs here: requests, answers, errors that say what Connect said. Does not: what a configuration holds
(streaming/capture/connector.py), when to restart what.
"""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from payments_platform.errors import ExplainedError

_SECONDS = 20
# While the workers of a cluster agree on who runs what, Connect answers 409; that takes seconds.
_REBALANCE_SECONDS = 60


class ConnectAway(ExplainedError):
    """Connect does not answer. Waiting may help."""

    error_class = "transient"


class ConnectRefused(ExplainedError):
    """Connect answered and refused: the text is its reason."""


@dataclass(frozen=True)
class ConnectorState:
    """What Connect says about a connector and its tasks: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING."""

    connector: str
    tasks: tuple[str, ...]
    trace: str = ""

    @property
    def runs(self) -> bool:
        """Whether the connector and every task of it run; a connector without a task does not."""
        return self.connector == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}


@dataclass(frozen=True)
class Connect:
    """One Connect cluster by the address of any of its workers."""

    url: str

    def connectors(self) -> list[str]:
        """Return the names of its connectors."""
        return list(self._call("GET", "/connectors"))

    def validate(self, class_name: str, configuration: Mapping[str, str]) -> list[str]:
        """Return what Connect and the connector find wrong with a configuration, one line an option."""
        answer = self._call("PUT", f"/connector-plugins/{class_name}/config/validate", dict(configuration))
        values = [item["value"] for item in answer["configs"]]
        return [f"{value['name']}: {'; '.join(value['errors'])}" for value in values if value["errors"]]

    def configuration(self, name: str) -> dict[str, str] | None:
        """Return a connector's configuration, None when there is no such connector."""
        found: dict[str, str] | None = self._call("GET", f"/connectors/{quote(name)}/config", missing_ok=True)
        return found

    def create(
        self, name: str, configuration: Mapping[str, str], state: Literal["RUNNING", "STOPPED"] = "RUNNING"
    ) -> None:
        """Create a connector in a state; one that is there already is an error."""
        self._call("POST", "/connectors", {"name": name, "config": dict(configuration), "initial_state": state})

    def configure(self, name: str, configuration: Mapping[str, str]) -> None:
        """Replace the configuration; a running connector restarts with it."""
        self._call("PUT", f"/connectors/{quote(name)}/config", dict(configuration))

    def delete(self, name: str) -> None:
        """Delete a connector; its offsets stay. One that is missing is no error."""
        self._call("DELETE", f"/connectors/{quote(name)}", missing_ok=True)

    def state(self, name: str) -> ConnectorState | None:
        """Return a connector's state, None when there is no such connector."""
        answer = self._call("GET", f"/connectors/{quote(name)}/status", missing_ok=True)
        if answer is None:
            return None
        parts = [answer["connector"], *answer["tasks"]]
        trace = next((part["trace"] for part in parts if part.get("trace")), "")
        return ConnectorState(answer["connector"]["state"], tuple(task["state"] for task in answer["tasks"]), trace)

    def offsets(self, name: str) -> dict[str, Any] | None:
        """Return the position that is stored for a connector's only partition, None when none is."""
        answer = self._call("GET", f"/connectors/{quote(name)}/offsets", missing_ok=True)
        stored = [entry["offset"] for entry in (answer or {}).get("offsets", []) if entry["offset"]]
        return stored[0] if stored else None

    def forget_offsets(self, name: str) -> None:
        """Delete the stored position. Connect allows it for a stopped connector only."""
        self._call("DELETE", f"/connectors/{quote(name)}/offsets")

    def restart(self, name: str) -> None:
        """Restart the connector and those of its tasks that failed."""
        self._call("POST", f"/connectors/{quote(name)}/restart?includeTasks=true&onlyFailed=true")

    def change_state(self, name: str, verb: Literal["pause", "resume", "stop"]) -> None:
        """Pause, resume or stop a connector; a stopped one has no task and may have its offsets changed."""
        self._call("PUT", f"/connectors/{quote(name)}/{verb}")

    def await_state(self, name: str, state: str, seconds: float = 60.0) -> None:
        """Wait until the connector (for RUNNING, its task too) has the state. Raises ConnectRefused with the reason."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.state(name)
            if found and found.connector == state and (found.runs or (state != "RUNNING" and not _busy(found, state))):
                return
            if time.monotonic() > deadline:
                seen = f"{found.connector}, tasks {found.tasks}, {found.trace[:400]}" if found else "missing"
                raise ConnectRefused(f"Connector {name} did not become {state} in {seconds:.0f} s: {seen}.")
            time.sleep(0.2)

    def _call(self, method: str, path: str, body: object = None, *, missing_ok: bool = False) -> Any:  # noqa: ANN401  # JSON
        """One request; tries again while the cluster agrees on who runs what."""
        deadline = time.monotonic() + _REBALANCE_SECONDS
        while True:
            status, content = self._request(method, path, body)
            if status != http.client.CONFLICT or "rebalance" not in content or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if status == http.client.NOT_FOUND and missing_ok:
            return None
        if status >= 400:
            raise ConnectRefused(f"Kafka Connect at {self.url} refuses {method} {path} ({status}): {_said(content)}")
        return json.loads(content) if content else None

    def _request(self, method: str, path: str, body: object) -> tuple[int, str]:
        place = urlsplit(self.url)
        secure = place.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(place.hostname or "", place.port or (443 if secure else 80), timeout=_SECONDS)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, place.path.rstrip("/") + path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise ConnectAway(
                f"Kafka Connect does not answer at {self.url} ({error}). See what runs: payments status"
            ) from None
        finally:
            connection.close()


def _busy(found: ConnectorState, state: str) -> bool:
    """Whether tasks still run that the state has no place for."""
    return any(task != state for task in found.tasks) if state == "PAUSED" else bool(found.tasks)


def _said(content: str) -> str:
    try:
        return str(json.loads(content).get("message", content))[:1000]
    except ValueError:
        return content[:1000]
