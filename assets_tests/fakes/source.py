"""A source that serves frames from memory, in place of the replica.

Belongs here: what ``defs._platform.resources.Source`` promises, without a server. Does not: SQL, snapshots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from payments_platform.batch.extract import Extraction, in_memory_extraction
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample


@dataclass(frozen=True)
class FakeSource:
    """Serves the given frame of a dataset on every day; by default the sample of its contract."""

    frames: Mapping[str, pl.DataFrame]
    problem: str | None = None

    def extract(self, dataset: Dataset, days: Sequence[date]) -> Iterator[tuple[date, Extraction]]:
        for day in days:
            yield day, in_memory_extraction(dataset, self.frames.get(dataset.name, sample(dataset)))

    def problem_with(self, _: Dataset) -> str | None:
        return self.problem
