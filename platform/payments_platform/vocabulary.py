"""The naming grammar as code: zones, domains, teams, asset keys, partitions, topics.

Belongs here: the closed lists that every name is made of. Does not: columns and rules of a dataset (contracts/),
where things are stored (settings), anything that imports a client or Dagster.
"""

import re
from datetime import date, timedelta
from typing import Final, Literal, get_args

Zone = Literal[
    "oltp",
    "streams",
    "raw",
    "clean",
    "quarantine",
    "curated",
    "landing",
    "staging",
    "intermediate",
    "marts",
    "aggregates",
    "documents",
    "search",
    "features",
    "models",
    "governance",
    "operations",
]
Domain = Literal["payments", "subscriptions", "merchants", "customers", "reference", "platform"]
Team = Literal["payments-data", "data-platform", "analytics"]

ZONES: tuple[Zone, ...] = get_args(Zone)
LAKE_ZONES: tuple[Zone, ...] = ("raw", "clean", "quarantine", "curated", "operations")
DBT_ZONES: tuple[Zone, ...] = ("staging", "intermediate", "marts", "aggregates")

TEAM_OF_ZONE: dict[Zone, Team] = {
    "oltp": "payments-data",
    "streams": "data-platform",
    "raw": "data-platform",
    "clean": "data-platform",
    "quarantine": "data-platform",
    "curated": "data-platform",
    "landing": "data-platform",
    "staging": "analytics",
    "intermediate": "analytics",
    "marts": "analytics",
    "aggregates": "analytics",
    "documents": "data-platform",
    "search": "data-platform",
    "features": "data-platform",
    "models": "data-platform",
    "governance": "data-platform",
    "operations": "data-platform",
}

DATASET_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
COLUMN_NAME = DATASET_NAME

# Change topics are named after their table (``topic``); these are the others.
ANALYTICS_TRANSACTIONS: Final = "analytics.transactions"
FRAUD_CANDIDATES: Final = "fraud.candidates"
FRAUD_SIGNALS: Final = "fraud.signals"
OPS_METRICS: Final = "ops.metrics"
OPS_CAPTURE: Final = "ops.capture"
HEARTBEATS_PREFIX: Final = "heartbeats"
HEARTBEATS_OLTP: Final = f"{HEARTBEATS_PREFIX}.oltp"
STATE_PARTIALS: Final = "state.partials"
STATE_COUNTERS: Final = "state.counters"
STATE_DEAD_LETTERS: Final = "state.dead_letters"

AssetPath = tuple[Zone, str]


def asset_path(zone: Zone, dataset: str) -> AssetPath:
    """The two parts of an asset key. Raises ValueError for a zone or name outside the grammar."""
    if zone not in ZONES:
        raise ValueError(f"unknown zone {zone!r}; zones are {', '.join(ZONES)}")
    if not DATASET_NAME.fullmatch(dataset):
        raise ValueError(f"dataset name {dataset!r} is not lower_snake_case")
    return (zone, dataset)


def topic(table: str) -> str:
    """The change topic of a source table: ``oltp.<table>``."""
    return f"oltp.{asset_path('oltp', table)[1]}"


def dead_letters(topic: str) -> str:
    """The topic of what could not be used of ``topic``: ``<topic>.dlq``."""
    return f"{topic}.dlq"


def day_of(partition_key: str) -> date:
    """The UTC day of a daily partition key (``YYYY-MM-DD``). Raises ValueError on anything else."""
    return date.fromisoformat(partition_key)


def days_between(first: date, end: date) -> list[date]:
    """The days of the half-open range ``[first, end)``, in order."""
    return [first + timedelta(days=n) for n in range((end - first).days)]
