"""The change topics and the connector that writes them, as one external asset: looked at, never built here."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from payments_platform.contracts.catalogue import extracted
from payments_platform.contracts.streams import CHANGE_TOPICS, CHANGES
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.observed import external, readable
from payments_platform.defs._platform.specs import key_of
from payments_platform.defs._platform.streams import STREAMS, Position, Streams, reading
from payments_platform.defs.oltp.tables import key_of_source
from payments_platform.vocabulary import topic

_CAPTURED = {spec.name for spec in CHANGE_TOPICS}


def position(streams: Streams) -> Position:
    """Where the change topics end, and how far the processor is behind."""
    ends = {name: end for spec in CHANGE_TOPICS for name, end in streams.ends(spec.name).items()}
    return replace(reading(streams, "processor", [spec.name for spec in CHANGE_TOPICS]), positions=ends)


changes = external(CHANGES, [key_of_source(raw) for raw in extracted() if topic(raw.table) in _CAPTURED])
changes_readable: dg.AssetChecksDefinition = readable(
    CHANGES, position, "The broker says where each change topic ends, and how far the processor is behind."
)


@dg.multi_asset_check(
    name="streams_changes_guarded",
    specs=[
        dg.AssetCheckSpec(
            "guarded",
            asset=key_of(CHANGES),
            description="The slot guardian finds nothing wrong: every committed change is captured, and in time.",
        )
    ],
    required_resource_keys={STREAMS},
    retry_policy=RETRY,
)
@explained
def changes_guarded(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Ask the guardian's judgement now. A warning alone is a warning here too."""
    findings = context.resources.streams.capture_findings()
    is_critical = any(finding.severity == "critical" for finding in findings)
    yield dg.AssetCheckResult(
        asset_key=key_of(CHANGES),
        check_name="guarded",
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if is_critical else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{finding.name}: {finding.text}" for finding in findings) or None,
        metadata={"findings": [finding.name for finding in findings]},
    )
