"""What must be true of every asset, whoever wrote it: owner, group, kinds, words, columns, partitions, due time.

Belongs here: policy that a spec shows. Does not: ops, pools, checks and files (test_policy_ops).
"""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from payments_platform.contracts import figures
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.due import Due, MaxAge, NotDue
from payments_platform.definitions import defs
from payments_platform.defs._platform.deadlines import policy_of
from payments_platform.defs._platform.frames import dagster_type
from payments_platform.defs._platform.specs import column_schema
from payments_platform.vocabulary import COLUMN_NAME, DBT_ZONES, LAKE_ZONES, TEAM_OF_ZONE, asset_path

SPECS = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)
MADE = [spec for spec in SPECS if spec.key.path[0] != "oltp"]
GRAPH = defs.resolve_asset_graph()
DBT = Path(__file__).parents[2] / "dbt" / "models"

# Every asset without partitions, by zone, and why. Anything else is built and judged by the day.
UNPARTITIONED = {
    "oltp": "the source has one present state; its history is what raw takes by the day",
    "streams": "a topic is a log without days: a message has an offset",
    "documents": "a store has one present state, written as events come",
    "search": "a store has one present state, written as events come",
    "operations/dead_letters": "a ledger at the broker: a letter is refused at any time and ended at any other",
    "quarantine/repairs": "a list that only grows: a decision is about a row of any day, whenever somebody takes it",
    "quarantine/reveals": "a list that only grows, as the decisions do",
    "staging": "a view of all landed days",
    "intermediate": "joins what has landed since the model last ran, of any day",
    "marts": "one table over all days; incremental by load sequence, so late days need no partition",
    "aggregates": "recomputes the dates that the last load touched, of any day",
}
# By the hour in which the broker got a message: the stream's files are cut there.
HOURLY = {"raw/transactions_stream"}
KINDS = {
    "oltp": {"postgres", "table"},
    "streams": {"kafka"},
    "documents": {"mongodb"},
    "search": {"elasticsearch"},
    "raw": {"python", "parquet"},
    "clean": {"python", "parquet"},
    "quarantine": {"python", "parquet"},
    "curated": {"polars", "parquet"},
    "landing": {"duckdb", "table"},
    "operations": {"python"},
} | {zone: {"dbt", "duckdb"} for zone in DBT_ZONES}


def name(spec: dg.AssetSpec) -> str:
    """Test id: the asset key."""
    return spec.key.to_user_string()


def contract(spec: dg.AssetSpec) -> Dataset:
    """The contract of an asset that this platform makes."""
    return DATASETS[name(spec)]


def columns(spec: dg.AssetSpec) -> dg.TableSchema:
    """The columns that the asset graph shows."""
    shown = spec.metadata["dagster/column_schema"]
    assert isinstance(shown, dg.TableSchema)
    return shown


every_asset = pytest.mark.parametrize("spec", SPECS, ids=name)
every_table = pytest.mark.parametrize("spec", MADE, ids=name)


@pytest.mark.row("C4", "C1")
def test_contracts_and_assets_are_the_same_list() -> None:
    """A contract without an asset is a promise nobody keeps; an asset without a contract is checked against nothing."""
    assert {name(spec) for spec in MADE} == set(DATASETS)


@pytest.mark.row("C4")
@every_asset
def test_a_name_follows_the_grammar(spec: dg.AssetSpec) -> None:
    """Two spellings of one thing are two things to everyone who searches."""
    zone, table = spec.key.path
    assert asset_path(zone, table) == (zone, table)  # type: ignore[arg-type]
    assert [column.name for column in columns(spec).columns if not COLUMN_NAME.fullmatch(column.name)] == []


@pytest.mark.row("C4")
@every_asset
def test_an_asset_belongs_to_the_zone_and_team_of_its_key(spec: dg.AssetSpec) -> None:
    """An alert about an asset without an owner is nobody's."""
    zone = spec.key.path[0]
    assert spec.group_name == zone
    assert list(spec.owners) == [f"team:{TEAM_OF_ZONE[zone]}"]  # type: ignore[index]
    assert set(spec.kinds) == KINDS[zone]


@pytest.mark.row("C4")
@every_asset
def test_a_description_opens_with_the_grain(spec: dg.AssetSpec) -> None:
    """What one row is decides every join; it is the first thing a reader of the graph must see."""
    assert spec.description
    first = spec.description.split(". ")[0].removesuffix(".")
    assert first.startswith(("One row per ", "One document per "))
    if name(spec) in DATASETS:
        assert spec.description.startswith(contract(spec).grain)


@pytest.mark.row("C4")
@every_table
def test_the_graph_shows_the_columns_of_the_contract(spec: dg.AssetSpec) -> None:
    assert columns(spec) == column_schema(contract(spec))
    assert all(column.description for column in columns(spec).columns)


@pytest.mark.row("C4")
@every_asset
def test_every_column_is_described(spec: dg.AssetSpec) -> None:
    assert [column.name for column in columns(spec).columns if not column.description] == []


@pytest.mark.row("C4")
@pytest.mark.parametrize(
    "spec",
    [spec for spec in MADE if spec.key.path[0] in LAKE_ZONES and spec.partitions_def and name(spec) not in HOURLY],
    ids=name,
)
def test_a_lake_asset_gives_and_takes_the_type_of_its_contract(spec: dg.AssetSpec) -> None:
    """The type is what refuses a wrong frame at the border of an asset."""
    asset = defs.resolve_assets_def(spec.key)
    outputs = {asset.keys_by_output_name[out.name]: out.dagster_type for out in asset.op.output_defs}
    assert outputs[spec.key] is dagster_type(contract(spec))
    for argument, read in asset.node_keys_by_input_name.items():
        given = asset.op.input_dict[argument].dagster_type
        assert given.is_nothing or given is dagster_type(DATASETS[read.to_user_string()])


@pytest.mark.row("C5")
@every_asset
def test_an_asset_is_built_by_utc_days_unless_it_has_a_reason(spec: dg.AssetSpec) -> None:
    """A table without partitions cannot be mended one day at a time."""
    if {spec.key.path[0], name(spec)} & set(UNPARTITIONED):
        assert spec.partitions_def is None
        return
    if name(spec) in HOURLY:
        assert isinstance(spec.partitions_def, dg.HourlyPartitionsDefinition)
        return
    assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)
    assert spec.partitions_def.timezone == "UTC"
    assert (spec.partitions_def.hour_offset, spec.partitions_def.minute_offset) == (0, 0)


# By zone: when a day has to be there, and how long before that making it may begin (02:00).
DEADLINES = {
    "raw": ("0 3 * * *", 60),
    "clean": ("30 3 * * *", 90),
    "quarantine": ("30 3 * * *", 90),
    "curated": ("15 4 * * *", 135),
    "landing": ("45 4 * * *", 165),
}
# Seconds that the newest data of a stream may be old.
AGES = {"raw/transactions_stream": 600} | dict.fromkeys(
    ("streams/changes", "streams/transactions", "documents/transaction_logs", "search/transactions"), 300
)


@pytest.mark.row("C5", "O8")
@every_asset
def test_an_asset_shows_by_when_it_has_to_be_updated(spec: dg.AssetSpec) -> None:
    """T+4h after the start at 02:00, earlier for what comes before the marts: a late table looks like a quiet one."""
    if name(spec) in AGES:
        limit = timedelta(seconds=AGES[name(spec)])
        assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=limit)
        return
    cron, minutes = DEADLINES.get(spec.key.path[0], ("0 6 * * *", 240))
    if name(spec) in {"quarantine/repairs", "quarantine/reveals"}:
        cron, minutes = "0 6 * * *", 240
    wanted = dg.FreshnessPolicy.cron(cron, lower_bound_delta=timedelta(minutes=minutes), timezone="UTC")
    assert spec.freshness_policy == wanted


@pytest.mark.row("C5", "X4")
@every_table
def test_an_asset_has_one_check_that_knows_its_partitions(spec: dg.AssetSpec) -> None:
    """Dagster's policy sees the last update alone: a backfill of last year would make it green."""
    late = {check.name for check in GRAPH.get(spec.key).check_keys} & {"on_time"}
    assert bool(late) != isinstance(contract(spec).deadline, NotDue)


# What is never late, and why it is not; anything else is judged.
BY_PEOPLE = {"quarantine/repairs", "quarantine/reveals"}
OF_DAILY_RUNS = {"operations/phase_times", "operations/data_load_times"}
NEVER_DUE = BY_PEOPLE | OF_DAILY_RUNS | {"operations/dead_letters"} | {it.name for it in figures.DATASETS}


def test_what_is_never_due_is_a_short_list() -> None:
    assert {name(spec) for spec in MADE if isinstance(contract(spec).deadline, NotDue)} == NEVER_DUE


@pytest.mark.parametrize(
    "deadline, cron",
    [
        (Due("hour", timedelta(minutes=30)), "30 * * * *"),
        (Due("week", timedelta(days=1, hours=2)), "0 2 * * 1"),
        (Due("month", timedelta(days=1, hours=7)), "0 7 2 * *"),
    ],
)
def test_other_periods_have_a_policy_too(deadline: Due, cron: str) -> None:
    assert policy_of(deadline) == dg.FreshnessPolicy.cron(cron, lower_bound_delta=deadline.after, timezone="UTC")
    age = dg.FreshnessPolicy.time_window(fail_window=timedelta(seconds=90))
    assert policy_of(MaxAge(timedelta(seconds=90))) == age


@pytest.mark.row("C7")
@every_table
def test_a_range_of_days_takes_few_runs(spec: dg.AssetSpec) -> None:
    """A run for each day pays imports and planning for each day: 2 s of work become minutes."""
    if spec.partitions_def is None:
        return
    policy = GRAPH.get(spec.key).backfill_policy
    assert policy is not None
    assert policy.max_partitions_per_run is None or policy.max_partitions_per_run >= 30


def test_every_reason_for_no_partitions_is_needed() -> None:
    found = [spec for spec in SPECS if spec.partitions_def is None]
    assert {name(spec) if name(spec) in UNPARTITIONED else spec.key.path[0] for spec in found} == set(UNPARTITIONED)


@pytest.mark.parametrize("zone", DBT_ZONES)
def test_a_zone_of_the_warehouse_project_holds_the_models_of_its_contracts(zone: str) -> None:
    """A model without an asset is built by nobody; an asset without a model fails at two in the morning."""
    models = {path.stem for path in (DBT / zone).glob("*.sql")}
    assert models == {spec.key.path[1] for spec in MADE if spec.key.path[0] == zone}
