"""What consumers refused, as an external asset: kept by the broker, counted and watched here."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from payments_platform.contracts.dead_letters import DEAD_LETTERS
from payments_platform.contracts.streams import CHANGES, EVENTS
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import STREAMS, Position, Streams
from payments_platform.streaming.dead_letter_watch import Finding, judge


def position(streams: Streams) -> Position:
    """How many letters there are, and how many of them nobody has decided about."""
    from payments_platform.streaming.dead_letter_replay import waiting

    ledger = streams.dead_letters()
    open_letters = waiting(ledger).height
    return Position({}, open_letters, open_letters, ledger.height)


dead_letters = external(DEAD_LETTERS, [key_of(CHANGES), key_of(EVENTS)])
dead_letters_readable: dg.AssetChecksDefinition = readable(
    DEAD_LETTERS, position, "Every letter and every end can be read; lag counts those that nobody has decided about."
)


@dg.multi_asset_check(
    name="operations_dead_letters_watched",
    specs=[
        dg.AssetCheckSpec(
            "watched", asset=key_of(DEAD_LETTERS), description="No topic has above 1000 open letters, none expires."
        )
    ],
    required_resource_keys={STREAMS},
    retry_policy=RETRY,
)
@explained
def dead_letters_watched(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Judge the ledger now; a sensor does so every minute."""
    yield dg.AssetCheckResult(**verdict(judge(context.resources.streams.dead_letters(), datetime.now(UTC))))


def verdict(findings: Sequence[Finding]) -> dict[str, Any]:
    """What the check says of the letters, for the check itself and for the sensor that looks every minute."""
    return {
        "asset_key": key_of(DEAD_LETTERS),
        "check_name": "watched",
        "passed": not findings,
        "description": "; ".join(finding.text for finding in findings) or None,
        "metadata": {"findings": len(findings)},
    }
