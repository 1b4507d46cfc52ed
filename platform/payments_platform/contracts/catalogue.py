"""All datasets by name, and the relations between them that their keys imply."""

from typing import Final

from payments_platform.contracts import (
    aggregates,
    consents,
    customers,
    dead_letters,
    devices,
    dimensions,
    facts,
    figures,
    landing,
    merchants,
    operations,
    payments,
    quarantine,
    reference,
    reversals,
    staging,
    stores,
    streams,
    subscriptions,
)
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import NotDue

_MODULES: Final = (
    payments,
    reversals,
    subscriptions,
    merchants,
    customers,
    devices,
    consents,
    reference,
    quarantine,
    landing,
    staging,
    dimensions,
    facts,
    figures,
    aggregates,
    operations,
    streams,
    stores,
    dead_letters,
)
DATASETS: Final[dict[str, Dataset]] = {dataset.name: dataset for module in _MODULES for dataset in module.DATASETS}

# What can be late.
WATCHED: Final = tuple(found for found in DATASETS.values() if not isinstance(found.deadline, NotDue))


def dataset(name: str) -> Dataset:
    """A dataset by ``zone/name``. Raises KeyError that lists near names."""
    if name not in DATASETS:
        near = [known for known in DATASETS if known.split("/")[-1] == name.rsplit("/", maxsplit=1)[-1]] or sorted(
            DATASETS
        )
        raise KeyError(f"no dataset {name!r}; known: {', '.join(near)}")
    return DATASETS[name]


def of_zone(zone: str) -> tuple[Dataset, ...]:
    """The datasets of a zone, in the order they are declared."""
    return tuple(found for found in DATASETS.values() if found.zone == zone)


def extracted() -> tuple[Dataset, ...]:
    """The raw datasets that are taken from the source by the day, in the order they are declared."""
    return tuple(found for found in of_zone("raw") if found.is_daily)
