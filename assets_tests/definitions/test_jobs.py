"""What runs together, when, and where it starts by itself.

Belongs here: jobs and schedules as Dagster resolves them. Does not: running them (assets_tests/assets, integration).
"""

import dagster as dg
import pytest

from payments_platform.contracts import figures
from payments_platform.definitions import defs
from payments_platform.defs._platform.specs import key_of
from payments_platform.operations.job_terms import FIVE_JOBS
from payments_platform.vocabulary import DBT_ZONES

GRAPH = defs.resolve_asset_graph()
# Written by workers by the hour, and compared with the day's extraction by a job of its own.
OF_THE_STREAM = {dg.AssetKey(["raw", "transactions_stream"]), dg.AssetKey(["operations", "stream_reconciliation"])}
# Figures of the platform itself are taken after the day's last deadline, also on a day whose job failed.
OF_THE_PLATFORM = {key_of(it) for it in figures.DATASETS}
MATERIALIZABLE = (
    {key for key in GRAPH.get_all_asset_keys() if GRAPH.get(key).is_materializable} - OF_THE_STREAM - OF_THE_PLATFORM
)
JOBS = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}


REPORT_ALONE = "quality_report_of_a_failed_run"


def assets_of(job: str) -> set[dg.AssetKey]:
    """What a job makes."""
    return set(defs.resolve_job_def(job).asset_layer.executable_asset_keys)


def test_the_jobs_are_a_short_list() -> None:
    halves = {"lake_to_landing", "warehouse_models", "daily_upkeep", REPORT_ALONE}
    of_the_stream = {"stream_window_checks", "stream_reconciliation_of_the_day", "platform_figures"}
    assert {terms.name for terms in FIVE_JOBS} | halves | of_the_stream == JOBS


@pytest.mark.row("B1", "R1")
def test_the_daily_job_makes_every_asset() -> None:
    """An asset outside the daily job goes stale in silence."""
    assert assets_of("daily_oltp_to_dwh") == MATERIALIZABLE


@pytest.mark.row("C7")
def test_the_two_halves_make_the_daily_job_and_do_not_overlap() -> None:
    """A backfill runs the first in ranges and the second once; only the times of a daily run are left out."""
    lake, models = assets_of("lake_to_landing"), assets_of("warehouse_models")
    assert lake & models == set()
    records = {dg.AssetKey(["operations", table]) for table in ("phase_times", "data_load_times")}
    assert MATERIALIZABLE - lake - models == records
    assert {key.path[0] for key in models} == set(DBT_ZONES)
    assert all(GRAPH.get(key).is_partitioned for key in lake)


@pytest.mark.row("R6", "O12")
def test_the_platform_s_figures_have_a_job_of_their_own_after_the_last_deadline() -> None:
    """In the daily job they would be missing for every day on which it failed."""
    assert assets_of("platform_figures") == OF_THE_PLATFORM
    schedule = defs.resolve_schedule_def("platform_figures_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 6 * * *", "UTC")


@pytest.mark.parametrize("job", ["daily_oltp_to_dwh", "lake_to_landing", "warehouse_models"])
def test_a_job_runs_all_gates_of_what_it_makes(job: str) -> None:
    """A job without the checks would leave days pending, and landing would skip them without a word."""
    gates = {check for key in assets_of(job) for check in GRAPH.get(key).check_keys}
    # Whether a dataset is late is said by a sensor, between runs too.
    wanted = {check for check in gates if check.name != "on_time"}
    steps = {handle.name for handle in defs.resolve_job_def(job).nodes}
    ops = {key: check.op.name for check in defs.asset_checks or () for key in check.check_keys}
    # The models' own tests run inside the op that builds them.
    assert {key for key in wanted if ops.get(key, "dbt_models") not in steps} == set()


@pytest.mark.parametrize("job", ["daily_oltp_to_dwh", "lake_to_landing", REPORT_ALONE])
def test_a_partitioned_job_knows_its_days(job: str) -> None:
    partitions = defs.resolve_job_def(job).partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert defs.resolve_job_def("warehouse_models").partitions_def is None


@pytest.mark.row("R1")
def test_the_daily_run_goes_before_backfills() -> None:
    """A month of old days must not make yesterday late."""
    assert int(defs.resolve_job_def("daily_oltp_to_dwh").tags["dagster/priority"]) > 0
    assert "dagster/priority" not in defs.resolve_job_def("lake_to_landing").tags


@pytest.mark.row("C7")
@pytest.mark.parametrize("key", sorted(MATERIALIZABLE), ids=lambda key: key.to_user_string())
def test_an_asset_can_be_chosen_alone_in_the_ui(key: dg.AssetKey) -> None:
    """A backfill of everything builds a model alone where it must; gates that cannot be split would refuse its run."""
    together = GRAPH.get(key).execution_set_asset_keys
    subset = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(together))
    assert subset.asset_layer.executable_asset_keys == together
