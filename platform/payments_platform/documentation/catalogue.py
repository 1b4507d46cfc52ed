"""The catalogue page: every dataset as Markdown, from its contract and its place in the asset graph.

Belongs here: how a contract reads to a person. Does not: where pages are kept (commands/), diagrams (lineage.py).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from payments_platform.contracts.dataset import Column, Dataset, Pii
from payments_platform.contracts.rules import rules_of
from payments_platform.documentation.lineage import AssetFacts, read_by, upstream_diagram, zones_diagram
from payments_platform.documentation.markdown import NOTHING, code, table
from payments_platform.vocabulary import ZONES

# The dataset whose way through all zones is drawn.
_FOLLOWED = "aggregates/merchant_daily"


def catalogue_page(datasets: Iterable[Dataset], facts: Mapping[str, AssetFacts]) -> str:
    """All datasets, zone by zone in the order in which data walks. The same contracts and graph give the same bytes."""
    known = [it for zone in ZONES for it in datasets if it.zone == zone]
    readers = read_by(facts)
    rows = [(f"[`{it.name}`](#{anchor(it.name)})", it.grain) for it in known]
    lines = ["# Catalogue", "", "## Lineage", "", "The zones, and which reads which:", "", *zones_diagram(facts), ""]
    if _FOLLOWED in facts:
        lines += [f"What `{_FOLLOWED}` is made from:", "", *upstream_diagram(facts, _FOLLOWED), ""]
    lines += ["## Datasets", "", *table(("dataset", "one row is"), rows), "", *_closeness(known), ""]
    return "\n".join([*lines, *(section(it, facts.get(it.name), readers.get(it.name, ())) for it in known)])


def section(dataset: Dataset, facts: AssetFacts | None, readers: Iterable[str]) -> str:
    """One dataset: grain, key, owner, freshness, retention, lineage, columns, rules."""
    rows = [
        ("key", code(dataset.primary_key)),
        ("domain", dataset.domain),
        ("owner", ", ".join(facts.owners) if facts else NOTHING),
        ("partitions", "one per UTC day" if dataset.is_daily else "one per hour" if dataset.is_hourly else "none"),
        ("due", facts.due if facts else NOTHING),
        ("kept", shown(dataset.retention)),
        ("reads", _links(facts.reads if facts else ())),
        ("read by", _links(readers)),
        *([("used by", facts.used_by)] if facts and facts.used_by else []),
    ]
    columns = [(f"`{it.name}`", str(it.dtype), meaning(it)) for it in dataset.columns]
    lines = [f"## {dataset.name}", "", dataset.grain, "", *table(("", ""), rows), ""]
    lines += [*table(("column", "type", "meaning"), columns), ""]
    if rules_of(dataset):
        rules = [(f"`{rule.id}`", rule.severity.value, rule.reason) for rule in rules_of(dataset)]
        lines += [*table(("rule", "severity", "what must hold"), rules), ""]
    return "\n".join(lines)


def anchor(name: str) -> str:
    """The fragment that a Markdown viewer gives to the dataset's heading."""
    return name.replace("/", "")


def meaning(column: Column) -> str:
    """Description, nullability and closeness to a person of a column."""
    notes = ["may be null"] if column.nullable else []
    if column.pii is not Pii.NONE:
        notes.append(f"**{column.pii.value.replace('_', ' ')}**")
    return column.description + (f" ({', '.join(notes)})" if notes else "")


def shown(retention: timedelta | None) -> str:
    """A retention as people say it."""
    return "for ever" if retention is None else f"{retention.days} days"


def _closeness(datasets: Iterable[Dataset]) -> list[str]:
    """What erasure has to visit: every dataset with a column that is a person's, or stands for one."""
    rows = []
    for dataset in datasets:
        of = {kind: [it.name for it in dataset.columns if it.pii is kind] for kind in Pii if kind is not Pii.NONE}
        if any(of.values()):
            rows.append((f"[`{dataset.name}`](#{anchor(dataset.name)})", *(code(names) for names in of.values())))
    header = ("dataset", *(kind.value.replace("_", " ") for kind in Pii if kind is not Pii.NONE))
    lead = "A request for erasure has to visit these datasets; all others hold nothing about a person."
    return ["## What erasure visits", "", lead, "", *table(header, rows)]


def _links(names: Iterable[str]) -> str:
    """Names of datasets, linked to their sections; the source's tables have none here."""
    return ", ".join(f"`{it}`" if it.startswith("oltp/") else f"[`{it}`](#{anchor(it)})" for it in names) or NOTHING
