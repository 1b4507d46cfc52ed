"""What the definitions say about each asset, in plain words, for pages that know no Dagster.

Belongs here: reading specs of the loaded graph. Does not: how it is shown (documentation/).
"""

from collections.abc import Mapping

import dagster as dg

from payments_platform.contracts.due import in_words
from payments_platform.defs._platform.deadlines import deadline_of
from payments_platform.defs._platform.specs import USED_BY
from payments_platform.documentation.lineage import AssetFacts


def asset_facts(definitions: dg.Definitions) -> Mapping[str, AssetFacts]:
    """Every asset by ``zone/name``: what it reads, its owners, its deadline."""
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): AssetFacts(
            reads=tuple(sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)),
            owners=tuple(owner.removeprefix("team:") for owner in graph.get(key).owners),
            due=in_words(deadline_of(key)),
            used_by=str(graph.get(key).metadata.get(USED_BY, "")),
        )
        for key in sorted(graph.get_all_asset_keys())
    }
