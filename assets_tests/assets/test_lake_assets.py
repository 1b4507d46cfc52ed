"""Every lake asset materializes from samples alone, and refuses what its contract does not allow."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets_tests.assets.conftest import materialize
from assets_tests.fakes.source import FakeSource
from payments_platform.contracts.catalogue import DATASETS, dataset
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.sample import sample
from payments_platform.defs._platform.frames import DayFrames
from payments_platform.defs._platform.partitions import DAILY
from payments_platform.defs.clean.tables import clean_checks, clean_tables
from payments_platform.defs.curated.tables import curated_checks, curated_tables
from payments_platform.defs.raw.tables import raw_checks, raw_tables
from payments_platform.lake.partitions import Lake

RAW = dict(zip([asset.key.path[-1] for asset in raw_tables], zip(raw_tables, raw_checks, strict=True), strict=True))
DERIVED = [*zip(clean_tables, clean_checks, strict=True), *zip(curated_tables, curated_checks, strict=True)]


def _name(asset: dg.AssetsDefinition) -> str:
    return asset.op.name


def _reads(asset: dg.AssetsDefinition) -> list[Dataset]:
    return [dataset("/".join(key.path)) for key in asset.keys_by_input_name.values()]


class _FixedInputs(dg.IOManager):
    """Hands out given frames as inputs and keeps nothing."""

    def __init__(self, frames: dict[str, pl.DataFrame]) -> None:
        self._frames = frames

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """The decorator has committed it."""

    def load_input(self, context: dg.InputContext) -> DayFrames:
        return DayFrames({SAMPLE_DAY: self._frames["/".join(context.asset_key.path)].lazy()})


def _upstream(asset: dg.AssetsDefinition) -> list[dg.AssetSpec]:
    return [dg.AssetSpec(key, partitions_def=DAILY) for key in asset.keys_by_input_name.values()]


def _wrong_column(frame: pl.DataFrame, _: Dataset) -> pl.DataFrame:
    return frame.rename({frame.columns[-1]: "not_in_the_contract"})


def _wrong_type(frame: pl.DataFrame, of: Dataset) -> pl.DataFrame:
    other = pl.Date() if of.column(of.primary_key[-1]).dtype != pl.Date() else pl.String()
    return frame.with_columns(pl.lit(None, dtype=other).alias(of.primary_key[-1]))


def _null_key(frame: pl.DataFrame, of: Dataset) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, dtype=of.column(of.primary_key[0]).dtype).alias(of.primary_key[0]))


SPOILED: list[Callable[[pl.DataFrame, Dataset], pl.DataFrame]] = [_wrong_column, _wrong_type, _null_key]


@pytest.mark.row("C4", "C7")
@pytest.mark.parametrize("table", RAW)
def test_a_raw_asset_commits_what_the_source_gives(table: str, lake: Lake) -> None:
    """The raw day is the source's day: nothing added, nothing lost."""
    asset, checks = RAW[table]
    assert materialize([asset, checks], lake).success
    manifest = lake.manifest(dataset(f"raw/{table}"), SAMPLE_DAY)
    assert manifest is not None
    assert manifest.verdict == "passed"
    assert manifest.rows == len(sample(dataset(f"raw/{table}")))


@pytest.mark.row("C4", "C7")
@pytest.mark.parametrize("asset, checks", DERIVED, ids=[_name(asset) for asset, _ in DERIVED])
def test_an_asset_materializes_from_its_contracts_samples(
    asset: dg.AssetsDefinition, checks: dg.AssetChecksDefinition, full_lake: Lake
) -> None:
    """Each asset alone, fed with samples, gives passed partitions that follow its contract."""
    assert materialize([asset, checks, *_upstream(asset)], full_lake).success
    for key in asset.keys:
        made = dataset("/".join(key.path))
        manifest = full_lake.manifest(made, SAMPLE_DAY)
        assert manifest is not None
        assert manifest.verdict == "passed"
        assert full_lake.scan(made, SAMPLE_DAY).collect_schema() == made.schema


@pytest.mark.row("C4", "B3")
@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("asset", [asset for asset, _ in DERIVED], ids=_name)
def test_an_asset_refuses_an_input_outside_its_contract(
    asset: dg.AssetsDefinition, spoil: Callable[[pl.DataFrame, Dataset], pl.DataFrame], lake: Lake
) -> None:
    """A wrong column, a wrong type or a null key stops here and not three tables later."""
    frames = {read.name: spoil(sample(read), read) for read in _reads(asset)}
    result = materialize([asset, *_upstream(asset)], lake, lake_io=_FixedInputs(frames))
    assert not result.success
    assert all(lake.manifest(dataset("/".join(key.path)), SAMPLE_DAY) is None for key in asset.keys)


@pytest.mark.row("C4", "B3")
@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("table", RAW)
def test_a_raw_asset_refuses_a_source_outside_its_contract(
    table: str, spoil: Callable[[pl.DataFrame, Dataset], pl.DataFrame], lake: Lake
) -> None:
    """A source that changed its columns fails the day; the day is never half right."""
    raw = dataset(f"raw/{table}")
    source = FakeSource({raw.name: spoil(sample(raw), raw)})
    asset, checks = RAW[table]
    assert not materialize([asset, checks], lake, source=source).success
    manifest = lake.manifest(raw, SAMPLE_DAY)
    assert manifest is None or manifest.verdict != "passed"


@pytest.mark.row("B2", "B3")
def test_a_bad_row_is_quarantined_under_its_rule_and_the_rest_goes_on(full_lake: Lake) -> None:
    """A negative amount must reach neither the warehouse nor the void."""
    raw = dataset("raw/transactions")
    rows = sample(raw, 100).with_columns(
        amount_minor=pl.when(pl.col("transaction_id") == "txn_sample_1").then(-5).otherwise(pl.col("amount_minor"))
    )
    asset, checks = next(pair for pair in DERIVED if _name(pair[0]) == "clean_transactions")
    frames: dict[str, Any] = {raw.name: rows}
    full_lake.write(SAMPLE_DAY, {raw: rows}, code_version="test", now=full_lake.manifest(raw, SAMPLE_DAY).written_at)  # type: ignore[union-attr]
    full_lake.set_verdict(raw, SAMPLE_DAY, "passed")
    result = materialize([asset, checks, *_upstream(asset)], full_lake)
    assert result.success, frames
    bad = full_lake.scan(DATASETS["quarantine/transactions"], SAMPLE_DAY).collect()
    assert bad["transaction_id"].to_list() == ["txn_sample_1"]
    assert "R-amount-sign" in bad["reasons"].item().split(",")
    assert full_lake.scan(DATASETS["clean/transactions"], SAMPLE_DAY).collect().height == 99
