"""What the asset graph says about a dataset, and the graph as Mermaid diagrams, which code hosts draw.

Belongs here: diagrams and relations from plain names. Does not: asking Dagster (defs/_platform/facts.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from payments_platform.vocabulary import ZONES


@dataclass(frozen=True)
class AssetFacts:
    """One asset as the graph knows it: what it reads, who answers for it, until when it is due, who uses it.

    ``used_by`` names consumers outside the graph, as text; empty for none.
    """

    reads: tuple[str, ...]
    owners: tuple[str, ...]
    due: str
    used_by: str = ""


def read_by(facts: Mapping[str, AssetFacts]) -> dict[str, tuple[str, ...]]:
    """The other direction: for each asset, the assets that read it, sorted."""
    return {name: tuple(sorted(it for it, known in facts.items() if name in known.reads)) for name in facts}


def zones_diagram(facts: Mapping[str, AssetFacts]) -> list[str]:
    """One box for each zone, one arrow where a dataset of one zone reads one of another."""
    zones = {zone: sorted(name for name in facts if name.startswith(f"{zone}/")) for zone in ZONES}
    boxes = [f'    {zone}["{zone}<br/>{_count(len(names))}"]' for zone, names in zones.items() if names]
    pairs = {(_zone(read), _zone(name)) for name, known in facts.items() for read in known.reads}
    arrows = sorted((a, b) for a, b in pairs if a != b)
    return _diagram([*boxes, *(f"    {a} --> {b}" for a, b in arrows)])


def upstream_diagram(facts: Mapping[str, AssetFacts], name: str) -> list[str]:
    """Everything that an asset is made from, zone by zone."""
    found = sorted(upstream(facts, name) | {name})
    lines = []
    for zone in ZONES:
        names = [it for it in found if _zone(it) == zone]
        if names:
            lines += [f"    subgraph {zone}", *(f'        {_id(it)}["{it.split("/")[1]}"]' for it in names), "    end"]
    arrows = [(_id(read), _id(it)) for it in found for read in facts[it].reads]
    return _diagram([*lines, *(f"    {a} --> {b}" for a, b in sorted(arrows))])


def upstream(facts: Mapping[str, AssetFacts], name: str) -> set[str]:
    """The names of everything that an asset is made from, however far back. Raises KeyError for an unknown name."""
    seen, waiting = set[str](), [name]
    while waiting:
        reads = set(facts[waiting.pop()].reads) - seen
        seen |= reads
        waiting += reads
    return seen


def _diagram(lines: Iterable[str]) -> list[str]:
    return ["```mermaid", "flowchart LR", *lines, "```"]


def _count(number: int) -> str:
    return f"{number} dataset{'' if number == 1 else 's'}"


def _zone(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def _id(name: str) -> str:
    """A name that Mermaid takes for a node: no slash."""
    return name.replace("/", "_")
