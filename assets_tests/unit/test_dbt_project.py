"""The dbt project: described by the contracts alone, quiet, and right about rows that vanish or come late."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.fakes.warehouse import DBT, MODELS, DbtFailed, WarehouseBox, run_dbt
from payments_platform.commands.warehouse import stale_dbt_schema_files
from payments_platform.contracts.catalogue import dataset, of_zone
from payments_platform.contracts.sample import sample

TRANSACTIONS, MERCHANTS = dataset("landing/transactions"), dataset("landing/merchants")
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)


@pytest.fixture
def box(tmp_path: Path) -> WarehouseBox:
    return WarehouseBox(tmp_path)


def facts(box: WarehouseBox) -> dict[str, tuple[int, str]]:
    rows = box.warehouse.query("select transaction_id, version, status from marts.fact_transaction").rows()
    return {name: (version, status) for name, version, status in rows}


def version(rows: pl.DataFrame, number: int, status: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(number, pl.Int32).alias("version"), pl.lit(status).alias("status"))


def test_the_generated_yaml_is_up_to_date() -> None:
    assert [str(path) for path, _ in stale_dbt_schema_files()] == [], "run: payments dbt-schema"


def test_every_model_has_a_contract_and_every_contract_a_model() -> None:
    models = {f"{path.parent.name}/{path.stem}" for path in (DBT / "models").rglob("*.sql")}
    assert models == {model.name for model in MODELS}


def test_there_is_no_python_in_the_dbt_project() -> None:
    assert not list(DBT.rglob("*.py"))


@pytest.mark.row("B4")
def test_samples_build_through_to_the_aggregates_with_the_contracts_columns(box: WarehouseBox) -> None:
    """Runs every model, every data test and the dbt unit tests; a warning fails it."""
    for landing in of_zone("landing"):
        box.land(landing, FIRST, sample(landing, 4))
    box.dbt("build")
    for model in MODELS:
        assert box.warehouse.read(model).schema == model.schema
    assert box.warehouse.query("select sum(transaction_count) as n from aggregates.merchant_daily")["n"].item() == 4


def test_an_empty_warehouse_builds(box: WarehouseBox) -> None:
    box.dbt("build", "--exclude-resource-type", "unit_test")
    assert box.warehouse.query("select count(*) as n from marts.dim_merchant")["n"].item() == 1


@pytest.mark.row("B6", "Y4")
def test_a_payment_taken_out_of_its_day_falls_back_or_disappears(box: WarehouseBox) -> None:
    rows = sample(TRANSACTIONS, 3)
    box.land(TRANSACTIONS, FIRST, version(rows, 1, "pending"))
    box.land(TRANSACTIONS, SECOND, version(rows, 2, "succeeded"))
    box.dbt("run")
    assert facts(box) == {f"txn_sample_{n}": (2, "succeeded") for n in range(3)}
    box.land(TRANSACTIONS, SECOND, version(rows[:1], 2, "succeeded"))
    box.land(TRANSACTIONS, FIRST, version(rows[:2], 1, "pending"))
    box.dbt("run")
    assert facts(box) == {"txn_sample_0": (2, "succeeded"), "txn_sample_1": (1, "pending")}
    assert box.warehouse.query("select sum(transaction_count) as n from aggregates.merchant_daily")["n"].item() == 2


@pytest.mark.row("B5")
def test_a_merchant_that_comes_after_its_payments_replaces_the_inferred_one(box: WarehouseBox) -> None:
    """Lost: payments of new merchants would be dropped, or hang on a member without a name for ever."""
    payments = sample(TRANSACTIONS, 2).with_columns(pl.lit("m1").alias("merchant_id"))
    box.land(TRANSACTIONS, FIRST, payments)
    box.dbt("run")
    joined = (
        "select distinct is_inferred, name from marts.fact_transaction join marts.dim_merchant using (merchant_key)"
    )
    assert box.warehouse.query(joined).rows() == [(True, None)]
    late = sample(MERCHANTS, 1).with_columns(
        pl.lit("m1").alias("merchant_id"), pl.lit(datetime(2025, 1, 5, tzinfo=UTC)).alias("updated_at")
    )
    box.land(MERCHANTS, date(2025, 1, 5), late)
    box.dbt("run")
    assert box.warehouse.query(joined).rows() == [(False, "Sample Shop")]


@pytest.mark.row("B5", "O9")
def test_money_that_went_back_without_a_refund_is_told_of_and_stops_nothing(box: WarehouseBox) -> None:
    """The payment says 500 went back; its refund of 250 and a lost dispute of 200 do not make that."""
    payment = sample(TRANSACTIONS, 1).with_columns(pl.lit(500, pl.Int64).alias("refunded_minor"))
    of = pl.lit(payment["transaction_id"].item()).alias("transaction_id")
    refunds, disputes = dataset("landing/refunds"), dataset("landing/disputes")
    box.land(TRANSACTIONS, FIRST, payment)
    warned = [run for run in build(box) if run.status == "warn"]
    assert warned == [], "without a refund or dispute there is nothing to compare"
    lost = (pl.lit("lost").alias("status"), pl.lit(200, pl.Int64).alias("amount_minor"))
    box.land(refunds, FIRST, sample(refunds, 1).with_columns(of))
    box.land(disputes, FIRST, sample(disputes, 1).with_columns(of, *lost))
    assert [run.node.name.split("_fact")[0] for run in build(box) if run.status == "warn"] == ["money_back_agrees"]
    box.land(
        disputes, FIRST, sample(disputes, 1).with_columns(of, lost[0], pl.lit(250, pl.Int64).alias("amount_minor"))
    )
    assert [run for run in build(box) if run.status == "warn"] == []


def build(box: WarehouseBox) -> list[Any]:
    """What became of each model and test of a build."""
    result = run_dbt(box.path, "build", "--exclude-resource-type", "unit_test")
    return list(result.results)


def test_a_build_of_the_fact_alone_is_healed_by_the_next_whole_one(box: WarehouseBox) -> None:
    """The fact alone finds no member and takes -1; the next build must see that the payment does name somebody."""
    box.dbt("run")
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 2))
    box.dbt("run", "--select", "fact_transaction")
    unknown = (
        "select count(*) as n from marts.fact_transaction where -1 in (merchant_key, customer_key, payment_method_key)"
    )
    assert box.warehouse.query(unknown)["n"].item() == 2
    box.dbt("run")
    assert box.warehouse.query(unknown)["n"].item() == 0


@pytest.mark.row("B5")
def test_aggregates_built_beside_a_part_of_the_star_are_healed_by_the_next_whole_build(
    box: WarehouseBox, tmp_path: Path
) -> None:
    """A month that took the refunds of a later load must still take the payments of an earlier one."""
    box.dbt("run")
    for table, count in {"transactions": 6, "customers": 6, "refunds": 2}.items():
        box.land(dataset(f"landing/{table}"), FIRST, sample(dataset(f"landing/{table}"), count))
    box.dbt("run", "--select", "fact_refund", "merchant_monthly", "dim_customer", "customer_segment_daily")
    box.dbt("run")
    again = box.copy_to(tmp_path / "again")
    again.dbt("run", "--full-refresh")
    for aggregate in ("aggregates/merchant_monthly", "aggregates/customer_segment_daily"):
        assert box.digests()[aggregate] == again.digests()[aggregate]
    assert box.warehouse.query("select sum(transaction_count) from aggregates.merchant_monthly").item() == 6
    assert box.warehouse.query("select sum(customer_count) from aggregates.customer_segment_daily").item() == 6


def test_a_status_outside_the_contract_fails_the_build_and_keeps_the_aggregate(box: WarehouseBox) -> None:
    box.land(TRANSACTIONS, FIRST, sample(TRANSACTIONS, 2))
    box.dbt("build", "--exclude-resource-type", "unit_test")
    before = box.warehouse.digest("aggregates.merchant_daily")
    box.land(TRANSACTIONS, SECOND, version(sample(TRANSACTIONS, 2), 2, "lost"))
    with pytest.raises(DbtFailed, match="accepted_values_fact_transaction_status"):
        box.dbt("build", "--exclude-resource-type", "unit_test")
    assert box.warehouse.digest("aggregates.merchant_daily") == before
