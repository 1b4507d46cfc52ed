"""The dead-man's switch: somebody outside the evaluation who says so when it stops.

Belongs here: how long ago the last evaluation was, told like any alert but by its own process, store and connection.
Does not: evaluating rules. What stops Dagster's daemon, the platform's database or the evaluation itself stops every
other alert with it, and silence looks like health.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from payments_platform.operations.alerts.evaluation import Alerting, Evaluated, evaluate
from payments_platform.operations.alerts.state import Observation


@dataclass
class Watch:
    """Asks ``last_evaluation`` for its time, None before the first one; a question that fails is silence too.

    ``problem`` says why the switch cannot keep what it told, "" while it can: that is told like silence, for what fills
    a disk stops everything else as well.
    """

    alerting: Alerting
    last_evaluation: Callable[[], datetime | None]
    problem: Callable[[], str] = lambda: ""
    _known: datetime | None = field(default=None, init=False)
    _kept: datetime | None = field(default=None, init=False)

    def look(self, now: datetime) -> Evaluated | None:
        """Look once, and tell what changed."""
        watching = Alerting(
            store=self.alerting.store, sources={"heartbeat": self._seen}, channels=self.alerting.channels,
            environment=self.alerting.environment, links=self.alerting.links, summary_channels=(),
        )  # fmt: skip
        return evaluate(watching, now)

    def _seen(self, now: datetime) -> Sequence[Observation]:
        problem = ""
        try:
            self._known = self.last_evaluation() or self._known
        except Exception as error:  # noqa: BLE001 - whatever stands between us and the evaluation, it is not seen
            problem = f"; its record cannot be read: {type(error).__name__}"
        # Before the first evaluation, the watch's own start counts: one that never comes is silence as well.
        self._known = self._known or now
        seconds = (now - self._known).total_seconds()
        said = f"The last evaluation was at {self._known:%Y-%m-%d %H:%M:%S} UTC{problem}"
        return [Observation("alerting_silent", "alert evaluation", seconds, said), *self._forgetful(now)]

    def _forgetful(self, now: datetime) -> Sequence[Observation]:
        problem = self.problem()
        self._kept = self._kept if problem and self._kept else now
        seconds = (now - self._kept).total_seconds()
        said = f"The switch cannot keep what it told: {problem}"
        return [Observation("alerting_silent", "dead-man's switch", seconds, said)] if problem else []
