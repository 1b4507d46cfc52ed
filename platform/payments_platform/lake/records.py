"""Records that people write: one small file each, numbered, created and never changed.

Belongs here: appending and reading them. Does not: what they say (contracts/quarantine.py), who may write (commands/).
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from payments_platform.contracts.dataset import Dataset
from payments_platform.lake.errors import ManifestUnreadable
from payments_platform.lake.paths import is_record
from payments_platform.lake.storage import Conflict, Storage


def append(storage: Storage, dataset: Dataset, record: Mapping[str, Any]) -> int:
    """Add a record with the next number of its table and day; return the number.

    Two people at once get two numbers: a file is created only if nobody has, which an object store can promise too.
    """
    table, day = record["table_name"], record["partition_date"]
    number = len(read(storage, dataset, table, day)) + 1
    while True:
        data = json.dumps({**record, "record_number": number}, default=_text, sort_keys=True, ensure_ascii=False)
        try:
            storage.replace(f"{_folder(dataset, table, day)}/{number:06}.json", data.encode(), expected=None)
        except Conflict:
            number += 1
            continue
        return number


def read(storage: Storage, dataset: Dataset, table: str = "", day: date | None = None) -> pl.DataFrame:
    """Records by number, of one table and day or of all. Raises ManifestUnreadable naming a file that is no record."""
    files = [file.path for file in storage.list(_folder(dataset, table, day)) if is_record(file.path)]
    rows = [_record(dataset, path, storage.read(path) or b"") for path in files]
    return pl.concat([pl.DataFrame(schema=dataset.schema), *rows]).sort(dataset.primary_key)


def _folder(dataset: Dataset, table: str, day: date | None) -> str:
    return "/".join([dataset.name, *([table] if table else []), *([str(day)] if day else [])])


def _record(dataset: Dataset, path: str, data: bytes) -> pl.DataFrame:
    """One record as a frame, so that a value of a wrong type is found where its file is known."""
    try:
        record: dict[str, Any] = json.loads(data)
        record["partition_date"] = date.fromisoformat(record["partition_date"])
        record["recorded_at"] = datetime.fromisoformat(record["recorded_at"])
        return pl.DataFrame([{name: record[name] for name in dataset.names}], schema=dataset.schema)
    except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise ManifestUnreadable(path, f"{type(error).__name__}: {error}") from error


def _text(value: object) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"a record holds text, numbers and times, not {type(value).__name__}")
