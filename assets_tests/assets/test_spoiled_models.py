"""A warehouse model refuses landing tables that are not what the contract says, and so does all that reads it.

Belongs here: landing tables changed behind the load, and the real dbt project on them. Does not: spoiled files before
they land (test_spoiled_landing), what the models compute (unit/test_scd2).
"""

from pathlib import Path

import pytest

from assets_tests.assets.conftest import Platform, checks_of, failures_of
from assets_tests.fakes.source import FakeSource
from assets_tests.fakes.warehouse import MODELS, SPOILED_TABLE, DbtFailed, WarehouseBox
from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.sample import sample
from payments_platform.defs.jobs import WAREHOUSE_MODELS

# Read no table: the calendar and the clock are made from variables of the project.
READ_NOTHING = {"marts/dim_date", "marts/dim_time"}
every_spoiling = pytest.mark.parametrize("statement", SPOILED_TABLE.values(), ids=SPOILED_TABLE)


def landed(box: WarehouseBox) -> None:
    """The sample of every landing table."""
    for landing in of_zone("landing"):
        box.land(landing, SAMPLE_DAY, sample(landing))


def spoil_all(box: WarehouseBox, statement: str) -> None:
    """Change every table that the models read, in the same way."""
    for landing in of_zone("landing"):
        box.spoil(landing, statement)
    with box.warehouse.connection() as connection:
        connection.execute("insert into landing.removed_keys values ('transactions', 't', current_date, 1)")
        connection.execute(statement.format(table="landing.removed_keys", key="removed_key"))


@pytest.mark.row("C4", "B5")
@every_spoiling
def test_no_model_is_built_from_spoiled_tables(statement: str, tmp_path: Path) -> None:
    """Each model fails, is failed by a test of its own, or is skipped because of what it reads."""
    box = WarehouseBox(tmp_path)
    landed(box)
    spoil_all(box, statement)
    with pytest.raises(DbtFailed) as failed:
        box.dbt("build", "--exclude-resource-type", "unit_test")
    assert {model.name for model in MODELS if model.table not in failed.value.refused} == READ_NOTHING


@pytest.mark.row("C4", "B5")
def test_a_run_on_spoiled_tables_fails_and_shows_no_model_as_built(platform: Platform) -> None:
    """What the test of the key says must reach the run: a green run over an empty fact is the worst of nights."""
    landed(platform.box)
    spoil_all(platform.box, SPOILED_TABLE["a null key"])
    result = platform.run([], FakeSource({}), WAREHOUSE_MODELS)
    assert not result.success
    assert any(failure.startswith("dbt_models: ") for failure in failures_of(result))
    refused = {name.split(":")[0] for name, check in checks_of(result).items() if not check.passed}
    assert refused == {model.name for model in of_zone("staging")}
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert made == READ_NOTHING | refused
