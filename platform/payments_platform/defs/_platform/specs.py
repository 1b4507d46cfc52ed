"""From a contract to an asset spec: key, group, owner, kinds, description, column schema.

Belongs here: what is true of every asset because its contract says so. Does not: freshness and environments, which are
policy (build.py), and what one asset computes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import dagster as dg

from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.rules import rules_of
from payments_platform.vocabulary import TEAM_OF_ZONE, Zone

# Where an asset's metadata names its consumers outside the graph.
USED_BY: Final = "used_by"
_KINDS: dict[Zone, tuple[str, ...]] = {
    "oltp": ("postgres", "table"),
    "streams": ("kafka",),
    "raw": ("python", "parquet"),
    "clean": ("python", "parquet"),
    "quarantine": ("python", "parquet"),
    "curated": ("polars", "parquet"),
    "landing": ("duckdb", "table"),
    "documents": ("mongodb",),
    "search": ("elasticsearch",),
    "operations": ("python",),
}


def key_of(dataset: Dataset) -> dg.AssetKey:
    """The asset key ``zone/dataset``."""
    return dg.AssetKey(list(dataset.key))


def table_column(column: Column) -> dg.TableColumn:
    """A column as the Dagster UI shows it; unit and closeness to a person ride along as tags."""
    tags = {"pii": column.pii.value} if column.pii.value != "none" else {}
    return dg.TableColumn(
        name=column.name,
        type=str(column.dtype),
        description=f"{column.description} Unit: {column.unit}." if column.unit else column.description,
        constraints=dg.TableColumnConstraints(nullable=column.nullable),
        tags=tags | ({"unit": column.unit} if column.unit else {}),
    )


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """The dataset's columns as Dagster's table schema."""
    return dg.TableSchema(columns=[table_column(column) for column in dataset.columns])


def contract_metadata(dataset: Dataset) -> dict[str, object]:
    """What the catalogue shows beside every materialization: columns, key, rules, retention."""
    rules = "\n".join(f"- `{rule.id}` ({rule.severity.value}): {rule.reason}" for rule in rules_of(dataset))
    metadata: dict[str, object] = {
        "dagster/column_schema": column_schema(dataset),
        "primary_key": ", ".join(dataset.primary_key),
        "retention": f"{dataset.retention.days} days" if dataset.retention else "for ever",
    }
    return metadata | ({"rules": dg.MetadataValue.md(rules)} if rules else {})


def spec_of(dataset: Dataset, deps: Iterable[Dataset] = (), kinds: Sequence[str] | None = None) -> dg.AssetSpec:
    """The spec of a dataset's asset; its description's first sentence is the grain."""
    zone = dataset.key[0]
    return dg.AssetSpec(
        key=key_of(dataset),
        deps=[key_of(dep) for dep in deps],
        description=dataset.grain,
        metadata=contract_metadata(dataset),
        group_name=zone,
        owners=[f"team:{TEAM_OF_ZONE[zone]}"],
        kinds=set(kinds if kinds is not None else _KINDS[zone]),
        tags={"domain": dataset.domain},
    )
