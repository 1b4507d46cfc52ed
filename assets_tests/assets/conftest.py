"""The asset graph without a server: a lake in memory, a source that serves samples, an instance that forgets."""

from collections.abc import Sequence
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest

from assets_tests.fakes.source import FakeSource
from assets_tests.fakes.storage import MemoryStorage
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.sample import sample
from payments_platform.defs._platform.lake_io import LakeIOManager
from payments_platform.lake.partitions import Lake
from payments_platform.lake.paths import keeper
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
