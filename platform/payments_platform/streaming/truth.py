"""What the source committed, asked of PostgreSQL alone: every version of a table, from its history.

Belongs here: reading history as topics and stores must show it. Does not: comparing (comparison.py), whole days for the
lake (batch/extract.py).
"""

from typing import Any, Final

import polars as pl

from payments_platform.batch.extract import as_contract
from payments_platform.batch.masking import mask_frame
from payments_platform.batch.source import relation, select_list
from payments_platform.contracts.dataset import Dataset

_ALL: Final = "true"


def committed_versions(connection: Any, dataset: Dataset, epoch: int, where: str = _ALL) -> pl.DataFrame:  # noqa: ANN401 - an ADBC connection, imported late
    """Every committed version of a captured table, deletes too, with the columns of its raw contract, cards masked.

    ``connection`` is an Arrow one to the **primary**: a replica that is behind would make what is right look invented.
    ``where`` is SQL that narrows the rows. What a store shows and this does not, never was.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {select_list(dataset, epoch)} FROM {relation(dataset)} WHERE {where}")
        rows = as_contract(cursor.fetch_arrow_table(), dataset)
    return mask_frame(rows, dataset)[0]


def latest(versions: pl.DataFrame, key: str) -> pl.DataFrame:
    """The highest version of each row, which may be its delete."""
    return versions.sort("version").unique(key, keep="last", maintain_order=True)
