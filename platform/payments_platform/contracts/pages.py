"""The catalogue page: every dataset as Markdown, from its contract.

Belongs here: how a contract reads to a person. Does not: where pages are kept (commands/docs.py).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from payments_platform.contracts.dataset import Column, Dataset, Pii
from payments_platform.contracts.rules import rules_of
from payments_platform.vocabulary import ZONES


def catalogue_page(datasets: Iterable[Dataset]) -> str:
    """All datasets, zone by zone in the order in which data walks. The same contracts give the same bytes."""
    known = list(datasets)
    sections = [section(found) for zone in ZONES for found in known if found.zone == zone]
    rows = [(f"[`{it.name}`](#{anchor(it)})", it.grain) for zone in ZONES for it in known if it.zone == zone]
    return "\n".join(["# Catalogue", "", *table(("dataset", "one row is"), rows), "", *sections])


def section(dataset: Dataset) -> str:
    """One dataset: grain, key, retention, columns, rules."""
    facts = [
        ("key", ", ".join(f"`{name}`" for name in dataset.primary_key)),
        ("domain", dataset.domain),
        ("partitions", "one per UTC day" if dataset.is_daily else "none"),
        ("kept", shown(dataset.retention)),
    ]
    columns = [(f"`{it.name}`", str(it.dtype), meaning(it)) for it in dataset.columns]
    lines = [f"## {dataset.name}", "", dataset.grain, "", *table(("", ""), facts), ""]
    lines += [*table(("column", "type", "meaning"), columns), ""]
    if rules_of(dataset):
        rules = [(f"`{rule.id}`", rule.severity.value, rule.reason) for rule in rules_of(dataset)]
        lines += [*table(("rule", "severity", "what must hold"), rules), ""]
    return "\n".join(lines)


def anchor(dataset: Dataset) -> str:
    """The fragment that a Markdown viewer gives to the dataset's heading."""
    return dataset.name.replace("/", "")


def meaning(column: Column) -> str:
    """Description, nullability and closeness to a person of a column."""
    notes = ["may be null"] if column.nullable else []
    if column.pii is not Pii.NONE:
        notes.append(f"**{column.pii.value.replace('_', ' ')}**")
    return column.description + (f" ({', '.join(notes)})" if notes else "")


def shown(retention: timedelta | None) -> str:
    """A retention as people say it."""
    return "for ever" if retention is None else f"{retention.days} days"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; a bar inside a cell is escaped, it would start a new cell."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *cells)]
