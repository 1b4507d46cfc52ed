"""Bytes of a day in the lake beside what the same rows take in the source (the requirements quote a factor of ten).

Belongs here: measuring both. Does not: how Parquet is written (lake/writing.py). One part of "compression" is the file
format's, the other is what a database keeps beside the rows: indexes, free space, the table beside its history.
"""

from datetime import date

from rich.table import Table

from payments_platform.clients.postgres import connect
from payments_platform.contracts.payments import (
    CLEAN_TRANSACTIONS,
    CURATED_TRANSACTIONS,
    QUARANTINE_TRANSACTIONS,
    RAW_TRANSACTIONS,
)
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.settings import Settings

_MEGABYTE = 1e6
_SIZES = """
    SELECT pg_relation_size('oltp.transactions_history_p{day:%Y%m%d}'),
           pg_indexes_size('oltp.transactions_history_p{day:%Y%m%d}'),
           pg_table_size('oltp.transactions_p{day:%Y%m}'),
           pg_indexes_size('oltp.transactions_p{day:%Y%m}') + pg_total_relation_size('oltp.transaction_keys')
"""


def bytes_table(settings: Settings, day: date) -> Table:
    """Bytes in source and lake, and how many times smaller each lake zone is than the history and than all of it.

    The source's month holds nothing but this day in a home of the benchmark.
    """
    with connect(settings.postgres("primary", "owner"), autocommit=True) as session:
        row = session.execute(_SIZES.format(day=day)).fetchone() or ()
    history, history_indexes, table_bytes, indexes = (int(str(size)) for size in row)
    source = history + history_indexes + table_bytes + indexes
    shown = Table("where", "MB", "history is", "source is", title="transactions of the day: bytes")
    shown.add_row("source: history", f"{history / _MEGABYTE:,.0f}", "", "")
    shown.add_row("source: table, indexes and history", f"{source / _MEGABYTE:,.0f}", "", "")
    lake = Lake(LocalStorage(settings.lake_root))
    for dataset in (RAW_TRANSACTIONS, CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, CURATED_TRANSACTIONS):
        manifest = lake.manifest(dataset, day)
        stored = manifest.outputs[dataset.name].bytes if manifest else 0
        if stored:
            factors = f"{history / stored:.1f} times", f"{source / stored:.1f} times"
            shown.add_row(f"lake: {dataset.name}", f"{stored / _MEGABYTE:,.0f}", *factors)
    return shown
