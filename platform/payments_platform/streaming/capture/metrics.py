"""Capture's metrics for Prometheus.

Belongs here: names, and which fact each shows. Does not: limits (judge.py), serving them (commands/capture.py).
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from payments_platform.streaming.capture.facts import CaptureFacts, Finding
from payments_platform.streaming.capture.judge import ALERTS, retained_share, seconds_to_full


class Metrics:
    """One set of metrics in a registry of its own, so that two guardians in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "payments_capture_"
        self._up = Gauge(f"{prefix}up", "1 when the connector and its task run.", registry=self.registry)
        self._delay = Gauge(f"{prefix}delay_seconds", "Commit to topic, of the last heartbeat.", registry=self.registry)
        self._age = Gauge(f"{prefix}heartbeat_age_seconds", "Age of the last heartbeat.", registry=self.registry)
        self._retained = Gauge(f"{prefix}slot_retained_bytes", "Log that the slot holds back.", registry=self.registry)
        self._share = Gauge(f"{prefix}slot_retained_ratio", "Share of what it may.", registry=self.registry)
        self._full = Gauge(f"{prefix}slot_full_seconds", "Until the slot is lost if unread.", registry=self.registry)
        self._epoch = Gauge(f"{prefix}epoch", "Epoch that changes carry.", registry=self.registry)
        self._findings = Gauge(f"{prefix}finding", "1 while it is found.", ["name", "severity"], registry=self.registry)
        self.restarts = Counter(f"{prefix}restarts", "Restarts by the guardian.", registry=self.registry)

    def show(self, facts: CaptureFacts, findings: Sequence[Finding]) -> None:
        """Show one look. What is not known keeps its last value, except for findings."""
        self._up.set(float(facts.runs and not facts.unreachable))
        if facts.heartbeat is not None:
            self._delay.set((facts.heartbeat.arrived_at - facts.heartbeat.beat_at).total_seconds())
            self._age.set((facts.at - facts.heartbeat.beat_at).total_seconds())
        if facts.slot is not None:
            self._retained.set(facts.slot.retained_bytes)
            self._share.set(retained_share(facts.slot))
        left = seconds_to_full(facts)
        self._full.set(float("inf") if left is None else left)
        self._epoch.set(facts.connector_epoch or 0)
        found = {(finding.name, finding.severity) for finding in findings}
        for name in ALERTS:
            for severity in ("warning", "critical"):
                self._findings.labels(name, severity).set(float((name, severity) in found))
