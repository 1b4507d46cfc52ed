"""The gate of the warehouse models reads every row that nobody has judged, and no row twice; a stale manifest is named.

Belongs here: which rows the check takes, and what the op refuses to start with. Does not: broken landing tables
(test_spoiled_models), the mark itself (contracts/test_warehouse).
"""

from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import Platform, checks_of
from assets_tests.fakes.source import FakeSource
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.sample import sample
from payments_platform.defs.marts.models import PARSED, DbtManifestStale, known_events, refuse_other_models

METHODS = dataset("landing/payment_methods")
CHECKED = dg.AssetCheckKey(dg.AssetKey(["marts", "dim_payment_method"]), "contract")
CHECK = "marts/dim_payment_method:contract"


def methods(prefix: str, brand: str = "visa") -> pl.DataFrame:
    """Three payment methods of a day."""
    return sample(METHODS, 3).with_columns(
        pl.lit(brand).alias("card_brand"), pl.col("payment_method_id").str.replace("^", prefix)
    )


def gate(platform: Platform) -> tuple[bool, int]:
    """Build the dimension, then check it alone; whether it passed, and how many rows the check read."""
    platform.box.dbt("run", "--select", "+dim_payment_method")
    check = checks_of(platform.run([], FakeSource({}), dg.AssetSelection.checks(CHECKED)))[CHECK]
    return check.passed, int(str(check.metadata["rows_checked"].value))


@pytest.mark.row("C5", "B5")
def test_rows_of_every_load_since_the_last_check_are_judged_until_they_are_mended(platform: Platform) -> None:
    """A backfill lands several loads before one build: with the last one alone, what the others brought is not seen."""
    days: list[date] = [SAMPLE_DAY + timedelta(days=n) for n in range(4)]
    platform.box.land(METHODS, days[0], methods("a", brand="no such brand"))
    platform.box.land(METHODS, days[1], methods("b"))
    assert gate(platform) == (False, 7)
    platform.box.land(METHODS, days[2], methods("c"))
    assert gate(platform) == (False, 10)
    platform.box.land(METHODS, days[0], methods("a"))
    assert gate(platform) == (True, 10)
    platform.box.land(METHODS, days[3], methods("d"))
    assert gate(platform) == (True, 3 + 1)


def test_models_that_came_after_the_manifest_are_named_with_what_mends_it() -> None:
    """A bare key of dbt's at two in the morning tells nobody to parse the project."""
    nodes = {name: node for name, node in PARSED["nodes"].items() if not name.endswith(".dim_merchant")}
    with pytest.raises(DbtManifestStale, match=r"models/marts/dim_merchant\.sql.*make setup"):
        refuse_other_models({**PARSED, "nodes": nodes})
    refuse_other_models(PARSED)


@pytest.mark.parametrize("missing", ["model.payments.new", "test.payments.unique_new.1a2b"])
def test_a_test_that_came_after_the_manifest_is_named_too(missing: str) -> None:
    with pytest.raises(DbtManifestStale, match=f"{missing}.*make setup"):
        list(known_events(failing(KeyError(missing))))


def test_another_missing_key_stays_what_it_is() -> None:
    with pytest.raises(KeyError, match="colour"):
        list(known_events(failing(KeyError("colour"))))


def failing(error: Exception) -> Any:  # noqa: ANN401 - an iterator of events of any kind
    """One event, then an error."""
    yield "event"
    raise error
