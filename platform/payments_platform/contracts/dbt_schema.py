"""What dbt reads beside its models, written from the contracts: YAML of columns, tests, sources; a list of countries.

Belongs here: the pure translation contract → text. Does not: reading or writing files (commands/warehouse.py), SQL.
Without it a column would be described twice, and the two would drift apart.
"""

import json
from typing import Any

from payments_platform.contracts.catalogue import DATASETS, of_zone
from payments_platform.contracts.dataset import Column, Dataset
from payments_platform.contracts.geography import countries_macro
from payments_platform.contracts.relations import CLOSED_LISTS, PUBLISHED, RECONCILED, RELATIONS, VERSIONED
from payments_platform.contracts.sql_types import sql_type
from payments_platform.vocabulary import DBT_ZONES

_HEADER = "# Written from the contracts by `payments dbt-schema`; change the contract, then run it again.\n"
_VIEW_ZONES = ("staging",)
# A day must be queryable at 06:00 UTC of the next: 30 hours after it began, read up to its end.
_FRESHNESS = {"warn_after": {"count": 30, "period": "hour"}, "error_after": {"count": 54, "period": "hour"}}


def dbt_schema_files() -> dict[str, str]:
    """The generated files by path below ``dbt/``, each with its whole text."""
    files = {
        f"models/{zone}/_schema.yml": _document({"models": [_model(dataset) for dataset in of_zone(zone)]})
        for zone in DBT_ZONES
    }
    files["models/staging/_sources.yml"] = _document({"sources": [_landing_source()]})
    files["macros/countries.sql"] = countries_macro()
    return files


def _model(dataset: Dataset) -> dict[str, Any]:
    """One model: its contract is enforced, so a column that changes type or name fails the build."""
    return {
        "name": dataset.table,
        "description": dataset.grain,
        "columns": [_column(dataset, column) for column in dataset.columns],
        "data_tests": _model_tests(dataset),
    }


def _column(dataset: Dataset, column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "description": column.description,
        "data_type": sql_type(column.dtype),
    }
    if not column.nullable and dataset.zone not in _VIEW_ZONES:
        described["constraints"] = [{"type": "not_null"}]
    tests = _column_tests(dataset, column)
    if tests:
        described["data_tests"] = tests
    return described


def _column_tests(dataset: Dataset, column: Column) -> list[Any]:
    tests: list[Any] = []
    if dataset.zone not in _VIEW_ZONES and dataset.primary_key == (column.name,):
        tests.append("unique")
    if (dataset.table, column.name) in RELATIONS:
        model, field = RELATIONS[dataset.table, column.name]
        tests.append({"relationships": {"arguments": {"to": f"ref('{model}')", "field": field}}})
    if (dataset.table, column.name) in CLOSED_LISTS:
        values = list(CLOSED_LISTS[dataset.table, column.name])
        tests.append({"accepted_values": {"arguments": {"values": values}}})
    return tests


def _model_tests(dataset: Dataset) -> list[Any]:
    tests: list[Any] = []
    if dataset.zone in _VIEW_ZONES:
        # A view has no constraints, and what joins on the key would lose the row without a word.
        tests.append({"whole_key": {"arguments": {"columns": list(dataset.primary_key)}}})
    if dataset.zone not in _VIEW_ZONES and len(dataset.primary_key) > 1:
        tests.append({"unique_together": {"arguments": {"columns": list(dataset.primary_key)}}})
    if dataset.table in VERSIONED:
        tests.append({"whole_history": {"arguments": {"natural_key": VERSIONED[dataset.table]}}})
    if dataset.table in PUBLISHED:
        column, fewest = PUBLISHED[dataset.table]
        tests.append({"k_anonymous": {"arguments": {"count_column": column, "fewest": fewest}}})
    if dataset.table in RECONCILED:
        test, others = RECONCILED[dataset.table]
        arguments = {name: f"ref('{model}')" for name, model in others.items()}
        tests.append({test: {"arguments": arguments, "config": {"severity": "warn"}}})
    return tests


def _landing_source() -> dict[str, Any]:
    return {
        "name": "landing",
        "schema": "landing",
        "description": "Curated days as loaded, replaced one whole day at a time.",
        "tables": [_source_table(dataset) for dataset in DATASETS.values() if dataset.zone == "landing"],
    }


def _source_table(dataset: Dataset) -> dict[str, Any]:
    as_of = f"select max(data_as_of) from operations.data_load_times where dataset = '{dataset.name}'"  # noqa: S608 - a name of the contract
    return {
        "name": dataset.table,
        "description": dataset.grain,
        "config": {"freshness": _FRESHNESS, "loaded_at_query": as_of},
        "columns": [
            {"name": column.name, "description": column.description, "data_type": sql_type(column.dtype)}
            for column in dataset.columns
        ],
    }


def _document(content: dict[str, Any]) -> str:
    return _HEADER + "version: 2\n" + "\n".join(_lines(content, 0)) + "\n"


def _lines(value: Any, depth: int) -> list[str]:  # noqa: ANN401 - any YAML value
    """A YAML block. Scalars and lists of them are written as JSON, which YAML contains, so quoting is always right."""
    pad = "  " * depth
    if isinstance(value, dict):
        return [line for name, item in value.items() for line in _entry(f"{pad}{name}:", item, depth + 1)]
    lines: list[str] = []
    for item in value:
        block = _lines(item, depth + 1) if _is_block(item) else [f"{pad}  {_scalar(item)}"]
        lines += [f"{pad}- {block[0].lstrip()}", *block[1:]]
    return lines


def _entry(head: str, item: Any, depth: int) -> list[str]:  # noqa: ANN401 - any YAML value
    if item in ([], {}):
        return []
    return [head, *_lines(item, depth)] if _is_block(item) else [f"{head} {_scalar(item)}"]


def _is_block(item: Any) -> bool:  # noqa: ANN401 - any YAML value
    return isinstance(item, dict) or (isinstance(item, list) and any(isinstance(part, (dict, list)) for part in item))


def _scalar(item: Any) -> str:  # noqa: ANN401 - any YAML value
    return json.dumps(item, ensure_ascii=False)
