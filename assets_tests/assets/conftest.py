"""The asset graph without a server: a lake in memory, a source that serves samples, an instance that forgets."""

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest

from assets_tests.fakes.source import FakeSource
from assets_tests.fakes.storage import MemoryStorage
from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.sample import sample
from payments_platform.definitions import defs
from payments_platform.defs._platform.lake_io import LakeIOManager
from payments_platform.defs._platform.partitions import RANGE_END, RANGE_START
from payments_platform.defs._platform.resources import resources
from payments_platform.defs._platform.streams import STREAMS
from payments_platform.defs.jobs import EVERYTHING
from payments_platform.defs.operations.on_time import on_time_checks
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import keeper
from payments_platform.lake.storage import LocalStorage
from payments_platform.vocabulary import LAKE_ZONES

DAY = SAMPLE_DAY.isoformat()
NOW = datetime(2025, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def lake() -> Lake:
    """An empty lake in memory."""
    return Lake(MemoryStorage())


@pytest.fixture
def full_lake(lake: Lake) -> Lake:
    """A lake in which every dataset has its sample on the sample day, passed."""
    for dataset in DATASETS.values():
        if dataset.zone in LAKE_ZONES and dataset.is_daily and keeper(dataset) == dataset:
            made_with = [other for other in DATASETS.values() if other.zone in LAKE_ZONES and keeper(other) == dataset]
            lake.write(SAMPLE_DAY, {made: sample(made) for made in made_with}, code_version="test", now=NOW)
            lake.set_verdict(dataset, SAMPLE_DAY, "passed")
    return lake


def materialize(
    assets: Sequence[Any], lake: Lake, *, selection: Sequence[Any] | None = None, **resources: object
) -> dg.ExecuteInProcessResult:
    """Materialize the sample day with a lake and, unless another is given, a source that serves samples."""
    given = {"lake": lake, "lake_io": LakeIOManager(lake), "source": FakeSource({}), **resources}
    with TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral(tempdir=folder) as instance:
        return dg.materialize(
            assets,
            partition_key=DAY,
            resources=given,
            selection=selection,
            raise_on_error=False,
            instance=instance,
        )


def _is_here(it: Any) -> bool:  # noqa: ANN401 - whatever definitions hold
    """Whether it can run: not what asks the streams' servers, nor what says who is late."""
    return STREAMS not in getattr(it, "required_resource_keys", ()) and it is not on_time_checks


RUN: list[Any] = [it for it in (*(defs.assets or ()), *(defs.asset_checks or ())) if _is_here(it)]


class Platform:
    """A lake and a warehouse in a folder, and the whole graph run on them: no server, no port, no file elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(LocalStorage(folder / "lake"))
        self.box = WarehouseBox(folder / "warehouse")

    def run(
        self, days: Sequence[date], source: FakeSource, selection: dg.AssetSelection | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets and their checks for a day, in one run for a range of days, or (models alone) for none."""
        tags = {RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat()} if len(days) > 1 else {}
        given = {"lake": self.lake, "lake_io": LakeIOManager(self.lake), "warehouse": self.box.warehouse}
        with (
            pytest.MonkeyPatch.context() as patch,
            TemporaryDirectory() as home,
            dg.DagsterInstance.ephemeral(tempdir=home) as instance,
            warnings.catch_warnings(),
        ):
            # dagster-dbt calls what Dagster deprecates. Exit: dagster-dbt 0.30.
            warnings.filterwarnings("ignore", "AssetExecutionContext.op is deprecated", DeprecationWarning)
            patch.setenv("PAYMENTS_WAREHOUSE_PATH", str(self.box.path))
            return dg.materialize(
                RUN,
                partition_key=days[0].isoformat() if len(days) == 1 else None,
                resources={"source": source, "dbt": resources()["dbt"], **given},
                selection=EVERYTHING if selection is None else selection,
                raise_on_error=False,
                instance=instance,
                tags=tags,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

    def digests(self, days: Sequence[date]) -> dict[tuple[str, date], str]:
        """Content of every lake dataset that comes from the source, by dataset and day."""
        zones = ("raw", "clean", "quarantine", "curated")
        return {
            (made.name, day): manifest.outputs[made.name].digest
            for made in DATASETS.values()
            if made.zone in zones
            for day in days
            if (manifest := self.lake.manifest(made, day))
        }

    def landed(self, table: str = "transactions") -> dict[date, int]:
        """Rows of a landing table by day, from the record of loads."""
        frame = self.box.warehouse.query(
            "select partition_date, arg_max(row_count, landed_at) as row_count from operations.data_load_times"
            f" where dataset = 'landing/{table}' group by all order by all"
        )
        return dict(frame.iter_rows())


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """What each check of a run found, by ``zone/dataset:check``."""
    found = result.get_asset_check_evaluations()
    return {f"{check.asset_key.to_user_string()}:{check.check_name}": check for check in found}


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """An empty platform."""
    return Platform(tmp_path)


def failures_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """Each step that failed, with the innermost cause."""
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            found.append(f"{event.step_key}: {error.message.strip() if error else 'failed'}")
    return found
