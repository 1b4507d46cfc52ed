"""Sample rows derived from a contract, for tests and documentation: valid under every rule, distinct in the key."""

from typing import Any, Final

import polars as pl

from payments_platform.contracts.dataset import Column, Dataset

PSEUDONYMS: Final = ("tok_", "dvt_")


def _value(dataset: Dataset, column: Column, row: int) -> Any:  # noqa: ANN401 - a cell of any column type
    is_key, listed = column.name in dataset.primary_key, dataset.closed_lists.get(column.name)
    if is_key and listed and column.name != "currency":
        return listed[row % len(listed)]
    if str(column.example).startswith(PSEUDONYMS):
        # A pseudonym is the key of a later zone: rows that share one there would be duplicates.
        return f"{column.example[:4]}{row:064x}"
    if is_key and isinstance(column.dtype, pl.String) and column.name != "currency" and column.example is not None:
        return f"{column.example}_{row}"
    if is_key and column.name.endswith("_offset"):
        return column.example + row
    return column.example


def sample(dataset: Dataset, rows: int = 4) -> pl.DataFrame:
    """``rows`` rows of a dataset with its exact schema; key columns of text differ from row to row."""
    if dataset.table == "exchange_rates":
        rows = 1
    cells = {column.name: [_value(dataset, column, row) for row in range(rows)] for column in dataset.columns}
    return pl.DataFrame(cells, schema=dataset.schema)
