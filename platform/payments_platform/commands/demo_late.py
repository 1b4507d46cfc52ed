"""``payments demo-late``: a day is held back on purpose, the alert goes out, the day is built, the close goes out.

Belongs here: the order of the steps, how a Slack message looks in a terminal, the verdict. Does not: what late means
(operations/freshness.py), what is told when (operations/alerts). Nothing is sent to anyone: what would be is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

import typer
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from payments_platform.errors import ExplainedError

if TYPE_CHECKING:
    from payments_platform.operations.alerts.messages import Message
    from payments_platform.operations.alerts.store import Store
    from payments_platform.operations.freshness import Freshness

app = typer.Typer()
_out = Console(highlight=False)
_SERVERS: Final = "primary,replica,platform"
_KEPT: Final = ("run", "demo-late.json")
# As often as the sensor looks; between the first look and the last nothing may be told.
_LOOK: Final = timedelta(seconds=15)
_LOOKS: Final = 3
_COLOURS: Final = {"open": "red", "close": "green"}


class NotTold(ExplainedError):
    """The opening or the close was not told exactly once."""


class HomeInUse(ExplainedError):
    """The rehearsal would delete what somebody built."""


@dataclass
class Shown:
    """A channel that shows what it would send, and keeps it."""

    name: str
    show: "Callable[[Message], None]"
    taken: "list[Message]" = field(default_factory=list)

    def send(self, message: "Message") -> Literal["printed"]:
        self.taken.append(message)
        self.show(message)
        return "printed"


@app.command("demo-late")
def demo_late() -> None:
    """Hold a day back, show the alert, build the day, show the close. Ends with 1 unless both were told once.

    It works in a home of its own, which it deletes at the end: `make demo-late` names one.
    """
    from payments_platform.commands import backfill, source, stack
    from payments_platform.commands.freshness import lines_of
    from payments_platform.operations.alerts.file_store import FileStore
    from payments_platform.settings import load_settings

    settings = load_settings()
    if settings.lake_root.exists() or (settings.home / "config").exists():
        raise HomeInUse(
            f"{settings.home} holds a stack or data, and this demo deletes its home. Run: make demo-late\n"
            f"If an interrupted demo left it: PAYMENTS_HOME={settings.home} payments reset"
        )
    late = datetime.now(UTC).date() - timedelta(days=1)
    six = datetime.combine(late + timedelta(days=1), time(6), UTC)
    try:
        _out.rule("1/4 start PostgreSQL, simulate two small days, build the first", align="left")
        stack.up(ui=False, streams=False, workers=False, only=_SERVERS)
        source.simulate(days=2, per_day=200, until=late)
        backfill.build(late - timedelta(days=1), late - timedelta(days=1), models=True)
        rehearse(
            lambda now: [line.state for line in lines_of(settings, now)],
            lambda: backfill.run_daily(late),
            six,
            FileStore(settings.home.joinpath(*_KEPT)),
            settings.environment,
        )
    finally:
        stack.reset(yes=True)


def rehearse(
    judge: "Callable[[datetime], Sequence[Freshness]]",
    heal: Callable[[], None],
    deadline: datetime,
    store: "Store",
    environment: str,
) -> None:
    """Look from the deadline on, heal, look again. Raises NotTold unless each channel told both ends once."""
    from payments_platform.operations.alerts.evaluation import Alerting, evaluate
    from payments_platform.operations.alerts.sources import of_freshness

    slack, pagerduty, email = Shown("slack", show_slack), Shown("pagerduty", _quiet), Shown("email", _quiet)
    channels = {"slack": slack, "pagerduty": pagerduty, "email": email}
    alerting = Alerting(
        store, {"freshness": lambda now: of_freshness(judge(now), now)}, channels, environment  # type: ignore[arg-type]
    )  # fmt: skip
    _out.rule(f"2/4 the clock stands at {deadline:%Y-%m-%d %H:%M} UTC, and the day is not there", align="left")
    for look in range(_LOOKS):
        evaluate(alerting, deadline + look * _LOOK)
    _out.rule("3/4 build the day", align="left")
    heal()
    _out.rule("4/4 look again", align="left")
    for look in range(_LOOKS, 2 * _LOOKS):
        evaluate(alerting, deadline + look * _LOOK)
    told = {it.name: [message.kind for message in it.taken] for it in (slack, pagerduty)}
    if any(kinds != ["open", "close"] for kinds in told.values()):
        raise NotTold("; ".join(f"{name} was told {', '.join(kinds) or 'nothing'}" for name, kinds in told.items()))
    _out.print("Told once that the day is late and once that it is over: in Slack and, as an incident, in PagerDuty.")


def show_slack(message: "Message") -> None:
    """The blocks of a Slack message as Slack lays them out."""
    from payments_platform.operations.alerts.messages import slack_payload

    header, *sections = (block["text"]["text"] for block in slack_payload(message)["blocks"])
    few = [*sections[:4], f"(and {len(sections) - 4} sections more)"] if len(sections) > 5 else sections
    title = Text(f"Slack: {header}", style="bold")
    _out.print(Panel(Group(*(Text(f"{part}\n") for part in few)), title=title, border_style=_COLOURS[message.kind]))


def _quiet(_: "Message") -> None:
    """An incident has no look of its own."""
