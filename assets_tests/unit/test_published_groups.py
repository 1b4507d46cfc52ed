"""No published group of customers is small, and none can be had by taking published ones from a total.

Belongs here: the published aggregate against small groups of every make. Does not: its other figures (test_scd2, dbt's
unit tests).
"""

import random
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from assets_tests.fakes.histories import START, days_from
from assets_tests.fakes.warehouse import DBT, DbtFailed, WarehouseBox
from payments_platform.contracts.aggregates import CUSTOMER_SEGMENT_DAILY, MERGED_SEGMENT, SMALLEST_GROUP, WITHHELD_DAY
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.customers import CUSTOMER_SEGMENTS
from payments_platform.contracts.pandera_schema import validate
from payments_platform.contracts.sample import sample

CUSTOMERS, TRANSACTIONS = dataset("landing/customers"), dataset("landing/transactions")
K_ANONYMOUS = "k_anonymous_customer_segment_daily_customer_count__5"
DAYS = days_from(date(2025, 3, 1), 300)
Groups = dict[date, Counter[str]]


def small_world(seed: int) -> Groups:
    """Customers by day and segment, mostly few: each of the sizes around the smallest allowed one is common."""
    chosen = random.Random(seed)
    sizes = (0, 0, 1, 2, 3, 4, 5, 6, 9)
    return {day: Counter({name: chosen.choice(sizes) for name in (*CUSTOMER_SEGMENTS, "unknown")}) for day in DAYS}


def landed(box: WarehouseBox, groups: Groups) -> None:
    """One or two payments of each customer, in one load; customers of the segment `unknown` are not shown."""
    people = [
        (day, segment, f"{segment}{n}")
        for day, sizes in groups.items()
        for segment, size in sizes.items()
        for n in range(size)
    ]
    payments = [(day, token, f"{token}_{day}_{copy}") for day, _, token in people for copy in range(1 + len(token) % 2)]
    base = sample(TRANSACTIONS, 1).drop("transaction_id", "customer_token", "created_date", "created_at")
    facts = pl.DataFrame(payments, schema=["created_date", "customer_token", "transaction_id"], orient="row")
    box.land(
        TRANSACTIONS,
        START.date(),
        facts.join(base, how="cross")
        .with_columns(pl.col("created_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("created_at"))
        .select(TRANSACTIONS.names)
        .cast(TRANSACTIONS.schema),
    )
    shown = sorted({(token, segment) for _, segment, token in people if segment != "unknown"})
    names = pl.DataFrame(shown, schema=["customer_token", "segment"], orient="row")
    rest = sample(CUSTOMERS, 1).drop("customer_token", "segment")
    box.land(CUSTOMERS, START.date(), names.join(rest, how="cross").select(CUSTOMERS.names).cast(CUSTOMERS.schema))


@pytest.mark.row("G4")
def test_no_published_group_is_small_and_no_small_one_is_what_is_left_of_a_total(tmp_path: Path) -> None:
    """A group of one is that customer's account statement; so is a total less all the groups but one."""
    groups = small_world(seed=4)
    box = WarehouseBox(tmp_path)
    landed(box, groups)
    box.dbt("run", "--select", "+customer_segment_daily")
    box.dbt("test", "--select", K_ANONYMOUS)
    published = box.warehouse.read(CUSTOMER_SEGMENT_DAILY)
    assert validate(CUSTOMER_SEGMENT_DAILY, published) == []
    for day, sizes in groups.items():
        rows = {row["segment"]: row["customer_count"] for row in published.filter(created_date=day).to_dicts()}
        people = sum(sizes.values())
        if people < SMALLEST_GROUP:
            assert rows == ({WITHHELD_DAY: None} if people else {})
            continue
        assert sum(rows.values()) == people, "every customer is in one group: a total tells nothing more"
        assert min(rows.values()) >= SMALLEST_GROUP
        hidden = {name for name, size in sizes.items() if size} - set(rows)
        assert len(hidden) != 1, "the one group that is not shown is the total less the others"
        assert rows.get(MERGED_SEGMENT, 0) == sum(sizes[name] for name in hidden)
        assert all(rows[name] == sizes[name] for name in set(rows) - {MERGED_SEGMENT})
    with box.warehouse.connection() as connection:
        connection.execute("update aggregates.customer_segment_daily set customer_count = 4 where customer_count = 9")
    with pytest.raises(DbtFailed, match="k_anonymous"):
        box.dbt("test", "--select", K_ANONYMOUS)


@pytest.mark.row("G4")
def test_the_contract_refuses_a_small_group_and_a_withheld_one_that_shows_a_figure() -> None:
    rows = sample(CUSTOMER_SEGMENT_DAILY, 3).with_columns(
        customer_count=pl.Series([SMALLEST_GROUP, SMALLEST_GROUP - 1, None]),
        segment=pl.lit("consumer"),
    )
    assert [str(it).split(" ")[0] for it in validate(CUSTOMER_SEGMENT_DAILY, rows)] == ["R-k-anonymity:"]
    assert [it.count for it in validate(CUSTOMER_SEGMENT_DAILY, rows)] == [2]


def test_the_models_and_the_contract_mean_the_same_smallest_group() -> None:
    assert f"\n  smallest_group: {SMALLEST_GROUP}\n" in (DBT / "dbt_project.yml").read_text(encoding="utf-8")
