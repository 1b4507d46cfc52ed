"""Where a partition lies: folder and manifest of a dataset's day.

Belongs here: paths below the lake's root. Does not: reading or writing them.
"""

from datetime import date
from typing import Final

from payments_platform.contracts import catalogue
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.quarantine import REPAIRS, REVEALS

MANIFEST_NAME: Final = "_manifest.json"
# What people write, one file a record; see records.py.
RECORDS: Final = (REPAIRS.name, REVEALS.name)


def keeper(dataset: Dataset) -> Dataset:
    """The dataset whose manifest holds this one: ``quarantine/x`` is made with ``clean/x`` and kept there."""
    is_part = dataset.zone == "quarantine" and dataset.is_daily
    return catalogue.dataset(f"clean/{dataset.table}") if is_part else dataset


def folder(dataset: Dataset, day: date) -> str:
    """Hive path of a day, below the lake's root."""
    return f"{dataset.name}/year={day:%Y}/month={day:%m}/day={day:%d}"


def manifest_path(dataset: Dataset, day: date) -> str:
    """Path of the manifest that keeps the dataset's day."""
    return f"{folder(keeper(dataset), day)}/{MANIFEST_NAME}"


def manifest_path_of(file: str) -> str:
    """Path of the manifest responsible for a data file."""
    place = file.rpartition("/")[0]
    zone, _, rest = place.partition("/")
    return f"{'clean' if zone == 'quarantine' else zone}/{rest}/{MANIFEST_NAME}"


def is_record(path: str) -> bool:
    """Whether a path is that of a record, which no manifest names and nobody ever removes.

    What a killed writer left half-written beside the records is none: it must stop no day, and is swept.
    """
    return path.endswith(".json") and any(path.startswith(f"{folder}/") for folder in RECORDS)


def is_manifest(path: str) -> bool:
    """Whether a path is a manifest's."""
    return path.endswith(f"/{MANIFEST_NAME}")


def day_of_path(path: str) -> date:
    """The day of a path made by ``folder``. Raises ValueError for any other path."""
    parts = dict(part.split("=", 1) for part in path.split("/") if "=" in part)
    try:
        return date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except KeyError as error:
        raise ValueError(f"{path} is no partition's path: no {error}") from None
