"""What the definitions say about each asset, in plain words, for pages that know no Dagster.

Belongs here: reading specs of the loaded graph. Does not: how it is shown (documentation/).
"""

from collections.abc import Mapping

import dagster as dg

from payments_platform.defs._platform.specs import USED_BY
from payments_platform.documentation.lineage import AssetFacts


def asset_facts(definitions: dg.Definitions) -> Mapping[str, AssetFacts]:
    """Every asset by ``zone/name``: what it reads, its owners, its deadline."""
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): AssetFacts(
            reads=tuple(sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)),
            owners=tuple(owner.removeprefix("team:") for owner in graph.get(key).owners),
            due=_deadline(graph.get(key).freshness_policy),
            used_by=str(graph.get(key).metadata.get(USED_BY, "")),
        )
        for key in sorted(graph.get_all_asset_keys())
    }


def _deadline(policy: object) -> str:
    """A daily cron deadline as a time of day. Raises ValueError for a policy that this page cannot say."""
    match policy:
        case None:
            return "never"
        case dg.FreshnessPolicy():
            cron = getattr(policy, "deadline_cron", "")
            minute, hour, *rest = cron.split() or ("", "")
            if rest == ["*", "*", "*"]:
                return f"{int(hour):02}:{int(minute):02} UTC of the next day"
    raise ValueError(f"the catalogue has no words for the freshness policy {policy!r}")
