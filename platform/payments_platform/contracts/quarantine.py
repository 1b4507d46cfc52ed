"""Contracts of what people record about quarantined rows: how they are to be treated, and who looked at their values.

Belongs here: the two lists that only grow. Does not: quarantined rows (each table's own contract), how a record is
applied (batch/repairs.py). They have no days: a record is about one row of one day, written whenever a person decides.
"""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Dataset, Pii
from payments_platform.contracts.due import NotDue
from payments_platform.contracts.rules import one_of

ACTIONS: Final = ("repair", "release", "discard")

_ROW: Final = (
    Column("table_name", pl.String(), "Table of the row, by its name in the clean zone.", "transactions"),
    Column("partition_date", pl.Date(), "UTC day that the row is quarantined on.", c.SAMPLE_DAY),
    Column("record_number", pl.Int32(), "Number of the record among those of its table and day: 1, 2, …", 1),
    Column("row_key", pl.String(), "Key of the row at the source.", "txn_sample", pii=Pii.PSEUDONYM),
    c.VERSION,
)
_WHO: Final = (
    Column("reason", pl.String(), "Why, in the words of who decided.", "The merchant confirmed the amount."),
    Column("recorded_by", pl.String(), "Account that recorded it.", "operator"),
    Column("recorded_at", c.UTC_MICROS, "When it was recorded, UTC.", datetime(2025, 1, 2, 9, tzinfo=UTC)),
)
REPAIRS: Final = Dataset(
    key=("quarantine", "repairs"),
    grain="One row per decision about a quarantined row: repair, release or discard.",
    domain="platform",
    columns=(
        *_ROW,
        Column("action", pl.String(), "repair, release or discard; of several about a row the last counts.", "repair"),
        Column(
            "changes",
            pl.String(),
            "JSON: columns that a repair sets, with their values as text.",
            '{"currency":"EUR"}',
        ),
        *_WHO,
    ),
    primary_key=("table_name", "partition_date", "record_number"),
    rules=(one_of("R-action-known", "action", ACTIONS),),
    is_daily=False,
    due=NotDue("people write it, whenever they decide"),
)
REVEALS: Final = Dataset(
    key=("quarantine", "reveals"),
    grain="One row per time that a person had the values of a quarantined row or a dead letter shown unmasked.",
    domain="platform",
    columns=(
        Column(
            "table_name", pl.String(), "Table of the row in the clean zone, or topic of the letter.", "transactions"
        ),
        Column("partition_date", pl.Date(), "UTC day that the row is quarantined on, or refused.", c.SAMPLE_DAY),
        _ROW[2],
        Column("row_key", pl.String(), "Key of the row, or name of the letter.", "txn_sample", pii=Pii.PSEUDONYM),
        Column("version", pl.Int32(), "Version of the row, or attempts of the letter.", 1),
        *_WHO,
    ),
    primary_key=("table_name", "partition_date", "record_number"),
    is_daily=False,
    due=NotDue("people write it, whenever they decide"),
)

DATASETS: Final = (REPAIRS, REVEALS)
